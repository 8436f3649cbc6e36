"""Updates that are handled in the event loop's callback: the same bytes and the same feed as from a greenlet, for any frames."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import gevent
import pytest
from gevent import socket

from dpresence.channels.connection import Connection
from dpresence.channels.connection_scheduler import IDLE, ConnectionScheduler
from dpresence.channels.device import DeviceChannel
from dpresence.channels.frame_receiver import FrameReceiver
from dpresence.tests.live.support import frame
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually
from dpresence.tests.web.support import App, World, updates

ANN = "ann@example.org"


def update(status: str = "online", email: str = ANN, **fields: Any) -> bytes:
    """Return a frame with an update."""
    return frame(1, text(status, email, **fields))


def text(status: str = "online", email: str = ANN, **fields: Any) -> bytes:
    return json.dumps({"email": email, "status": status, **fields}).encode()


ONLINE, AWAY = update(), update("unavailable")
AWAY_TEXT = text("unavailable")
TICK = object()
SCRIPTS: dict[str, list[Any]] = {
    "updates": [AWAY, ONLINE, ONLINE, update("offline"), ONLINE],
    "an id": [update(id="a"), update("unavailable", id=7), update(id="\u00e9"), frame(1, text(id="e").replace(b'"e"', b'"\xc3\xa9"'))],
    "the name of the device": [update(device="phone"), update("unavailable", device="other"), ONLINE],
    "another e-mail address": [update(email="eve@example.org"), ONLINE],
    "another spelling of the address": [update(email="ann@EXAMPLE.org"), AWAY],
    "a wrong status": [update("away"), update("ONLINE"), AWAY],
    "an unknown field": [update(other=1), AWAY],
    "a false assertion": [update(assertion="x"), AWAY],
    "other actions": [frame(1, b'{"action": "ack", "notifications": []}'), frame(1, b'{"action": "none"}'), AWAY],
    "no object": [frame(1, payload) for payload in (b"", b"[]", b"{", b"\x00", b"null", AWAY_TEXT)],
    "frames of one read": [ONLINE + AWAY + ONLINE, AWAY, frame(1, b"{") + frame(1, b"["), AWAY],
    "parts of a frame": [AWAY[:1], AWAY[1:9], AWAY[9:], ONLINE, ONLINE + AWAY[:20], AWAY[20:], ONLINE],
    "fragments": [frame(1, AWAY_TEXT[:9], final=False), frame(0, AWAY_TEXT[9:]), ONLINE, frame(1, b"{", final=False), AWAY],
    "a ping between fragments": [frame(1, AWAY_TEXT[:9], final=False), frame(9, b"x"), frame(0, AWAY_TEXT[9:]), ONLINE],
    "a mask of zeros": [frame(1, AWAY_TEXT, mask=bytes(4)), ONLINE],
    "no mask": [ONLINE, frame(1, AWAY_TEXT, mask=b""), ONLINE],
    "reserved bits": [frame(1, AWAY_TEXT, reserved=0x40), ONLINE],
    "a binary message": [frame(2, AWAY_TEXT), ONLINE],
    "control frames": [frame(9, b"x"), frame(10, b"x"), AWAY],
    "a length in the wrong form": [b"\x81\xfe\x00\x02abcd{}", ONLINE],
    "125 and 126 bytes": [frame(1, AWAY_TEXT.ljust(125)), ONLINE, frame(1, AWAY_TEXT.ljust(126)), ONLINE],
    "more than 125 bytes": [update(id="x" * 60), update("unavailable", id="x" * 40 + "\u00e9"), update(id="x" * 99, email="e"), AWAY],
    "the longest message": [frame(1, AWAY_TEXT.ljust(16384)), frame(1, AWAY_TEXT.ljust(16385)), ONLINE],
    "more than the length": [frame(1, AWAY_TEXT.ljust(126)) + b"\x81", ONLINE[1:], AWAY],
    "a long length that is short": [b"\x81\xfe\x00\x7dabcd" + bytes(125), ONLINE],
    "a message that is too long": [frame(1, AWAY_TEXT.ljust(20_000)), ONLINE],
    "invalid UTF-8": [AWAY, frame(1, AWAY_TEXT[:-2] + b'\xff"}'), ONLINE],
    "invalid UTF-8 in a name": [frame(1, b'{"\xff": 1}'), ONLINE],
    "a lone surrogate": [frame(1, text(id="e").replace(b'"e"', b'"\\ud800"')), AWAY],
    "close": [AWAY, frame(8, b"\x03\xe8"), ONLINE],
    "close without a code": [frame(8), ONLINE],
    "a flood of frames": [*[ONLINE] * 30, 1.0, ONLINE],
    "a flood of changes": [*[AWAY, ONLINE] * 8, 1.0, TICK, 1.0, 1.0, TICK, AWAY],
    "changes at their rate": [step for _ in range(12) for step in (AWAY, 5.0, ONLINE, 5.0)],
    "the end of the session": [AWAY, 100_000.0, ONLINE, AWAY, TICK],
    "a pending status that another update replaces": [*[AWAY, ONLINE] * 5, update("offline"), 20.0, TICK, ONLINE],
}
"""Scripts by their subject. Of the steps, bytes are one write to the socket, a number advances the clock, TICK ticks the connection."""


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world(channels__device_frame_burst="25", presence__status_burst="8", channels__device_frame_rate="2")


@pytest.fixture
def app(world: World) -> App:
    return world.application()


class Device:
    """A signed-in device over a real pair of sockets."""

    def __init__(self, world: World) -> None:
        self._world = world
        ours, self._sock = socket.socketpair()
        self._sock.settimeout(PATIENCE_SECONDS)
        self.connection = Connection(world.registry.gate, "198.51.100.1")
        self.connection.open(DeviceChannel(world.services, world.registry.settings, world.clock))
        self.connection.start(ours, b"")
        self._sock.sendall(update(assertion=world.assertion(ANN), device="phone"))
        assert self._sock.recv(1000)[2:] == b'{"result":"OK"}'
        self._wait()

    def play(self, step: Any) -> bytes:
        """Do one step of a script; return the bytes of the answer, b"end" at the end of the stream."""
        if isinstance(step, float):
            self._world.clock.advance(step)
        elif step is TICK:
            self.connection.tick(self._world.clock.monotonic())
        else:
            with suppress(OSError):
                self._sock.sendall(step)
        return self._received()

    def close(self) -> None:
        """End the connection."""
        self.connection.abort()
        self._sock.close()
        self._wait_for_end()

    def _wait_for_end(self) -> None:
        eventually(lambda: self.connection.channel is None)

    def _wait(self) -> None:
        """Wait until no greenlet of the connection runs and the socket was polled afterwards, for a second at most."""
        idle = 0
        for _ in range(500):
            gevent.sleep(0.002)
            idle = idle + 1 if self.connection.closed or self.connection.run_state == IDLE else 0
            if idle == 2:
                return

    def _received(self) -> bytes:
        self._wait()
        self._sock.settimeout(0)
        try:
            return self._sock.recv(100_000) or b"end"
        except BlockingIOError:
            return b""
        except OSError:
            return b"end"
        finally:
            self._sock.settimeout(PATIENCE_SECONDS)


def transcript(world: World, app: App, script: list[Any]) -> tuple[list[bytes], list[tuple[str, str]]]:
    """Play a script with a new connection; return the answers, and the status and reason of the updates that an application gets."""
    service = world.followed(app)
    device = Device(world)
    answers = [device.play(step) for step in script]
    world.settle()
    seen = [(status, reason) for _, status, reason in updates(service)]
    device.close()
    service.leave()
    world.advance(3600)
    return answers, seen


@pytest.mark.parametrize("name", SCRIPTS)
def test_all_ways_answer_the_same_bytes_and_append_the_same_updates(world, app, monkeypatch, name):
    script = SCRIPTS[name]
    world.grant(ANN, app)
    transcript(world, app, [])  # the first sign-in takes a token of the user's rate more than the next ones
    at_once = transcript(world, app, script)
    for owner, part in ((DeviceChannel, "try_message"), (FrameReceiver, "small_text")):  # then in a run; then in a run by the parser
        with monkeypatch.context() as patch:
            patch.setattr(owner, part, lambda self, payload, now: None)
            assert transcript(world, app, script) == at_once
    assert any(at_once[0]), "the script is answered"


@pytest.fixture
def device(world: World) -> Iterator[Device]:
    made = Device(world)
    yield made
    made.close()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Return the runs in greenlets that bytes have started."""
    started: list[Any] = []
    start = ConnectionScheduler.start_run

    def counted(self: ConnectionScheduler, body: Callable[[], None]) -> None:
        started.append(body)
        start(self, body)

    monkeypatch.setattr(ConnectionScheduler, "start_run", counted)
    return started


def test_ordinary_updates_start_no_greenlet(device, runs):
    del runs[:]
    for step in (AWAY, ONLINE, update(id="a"), update("offline"), ONLINE, update("unavailable", device="phone")):
        assert b'"OK"' in device.play(step)
    assert not runs


def test_a_message_in_a_read_of_its_own_needs_no_parser(device, monkeypatch):
    monkeypatch.setattr(FrameReceiver, "feed", lambda self, data, now: 1 / 0)
    for step in (update(id="x" * 99), frame(1, b'{"action": "ack", "notifications": []}'), update(assertion="x" * 200), AWAY):
        assert b'{"result"' in device.play(step)


@pytest.mark.parametrize(("applications", "most"), [(1, 30), (5, 46)])
def test_an_ordinary_update_takes_few_calls(world, device, applications, most):
    """Calls are most of what an update costs, and unlike time they can be counted anywhere."""
    for number in range(applications):
        followed = world.application(name=f"Chess {number}")
        world.grant(ANN, followed)
        world.followed(followed)
    for step in (AWAY, ONLINE):
        device.play(step)
    calls: list[str] = []
    sys.setprofile(lambda frame, event, argument: calls.append(frame.f_code.co_qualname) if event == "call" else None)
    try:
        assert device.connection._handle_small(AWAY)
    finally:
        sys.setprofile(None)
    assert len(calls) <= most, calls


def test_an_update_waits_for_what_is_deferred(device):
    order: list[str] = []

    def slowly() -> None:
        gevent.sleep(0.01)
        order.append("deferred")

    device.connection.defer(slowly)
    gevent.sleep(0)
    assert b'"OK"' in device.play(AWAY)
    assert order == ["deferred"]


def test_an_error_of_the_channel_closes_the_connection_once(device, monkeypatch, caplog):
    monkeypatch.setattr(DeviceChannel, "try_message", lambda self, payload, now: 1 / 0)
    assert device.play(AWAY)[2:4] == (1011).to_bytes(2, "big")
    assert len([record for record in caplog.records if record.exc_info]) == 1
    device.play(frame(8, b"\x03\xf3"))
    device._wait_for_end()
