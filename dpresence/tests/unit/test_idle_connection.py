"""The ticks of a connection: when it is looked at, and that nobody looks at it in between."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from dpresence.channels.connection import Channel, Connection, FrameLimits
from dpresence.channels.gate import Gate
from dpresence.channels.ticker import Ticker
from dpresence.metrics import Metrics
from dpresence.settings import Settings
from dpresence.tests.live.support import frame
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

PING, PONG = b"\x89\x00", frame(10)
MOST_CALLS = 21
"""Maximum number of Python functions for a ping with its pong, those of the round and of the fake clock included."""


class Timed(Channel):
    """Counts its ticks."""

    limits = FrameLimits(1000, 1000, 1000, 10)

    def __init__(self) -> None:
        self.at = math.inf
        self.ticks = 0
        self.messages: list[str] = []
        self.code: int | None = None

    def opened(self, connection: Any) -> None:
        self.connection = connection

    def message(self, text: str) -> None:
        self.messages.append(text)

    def tick(self) -> float:
        self.ticks += 1
        return self.at

    def closed(self, code: int, clean: bool) -> None:
        self.code = code


class Site:
    """A gate, its ticker and one connection, with time that the tests move."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gate = Gate(Settings(), self.clock, Metrics(self.clock))
        self.ticker = Ticker(self.gate)
        ours, self.peer = socket.socketpair()
        self.peer.settimeout(0)
        self.connection, self.channel = Connection(self.gate, "198.51.100.1"), Timed()
        self.connection.open(self.channel)
        self.gate.admit(self.connection)
        self.connection.start(ours, b"")
        ours.close()
        eventually(lambda: hasattr(self.channel, "connection"))
        self.pass_seconds(1)

    def pass_seconds(self, seconds: int) -> int:
        """Let the ticker do a round each second; return how often the channel was ticked."""
        before = self.channel.ticks
        for _ in range(seconds):
            self.clock.advance(1)
            self.ticker._tick_due()
        return self.channel.ticks - before

    def received(self) -> bytes:
        """Return what the peer has received."""
        gevent.sleep(0)
        try:
            return self.peer.recv(1000)
        except BlockingIOError:
            return b""

    def answer(self, data: bytes) -> None:
        """Send bytes of the peer, and wait until they were handled."""
        self.peer.send(data)
        gevent.sleep(0.01)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.connection.abort()
    site.peer.close()
    eventually(lambda: not len(site.gate.connections))


def test_an_idle_connection_is_ticked_once_for_each_ping(site: Site) -> None:
    ticks = []
    for _ in range(20):
        assert site.received() == b""
        ticks.append(site.pass_seconds(25))
        assert site.received() == PING
        site.answer(PONG)
    assert ticks[2:] == [1] * 18, "the first ping comes at a random time, up to a fifth sooner"
    assert site.channel.code is None


def test_a_ping_with_its_pong_takes_few_calls(site: Site) -> None:
    """Calls are most of what an idle device costs, and unlike time they can be counted anywhere."""
    site.pass_seconds(25)
    assert site.received() == PING
    site.answer(PONG)
    site.clock.advance(25)
    calls: list[str] = []
    sys.setprofile(lambda frame, event, argument: calls.append(frame.f_code.co_qualname) if event == "call" else None)
    try:
        site.ticker._tick_due()
        site.peer.send(PONG)
        site.connection.on_readable()
    finally:
        sys.setprofile(None)
    assert site.received() == PING and not site.connection.awaits_pong
    assert len(calls) <= MOST_CALLS, calls


def test_a_connection_that_is_admitted_but_not_started_is_ticked_in_every_round(site: Site) -> None:
    waiting = Connection(site.gate, "198.51.100.2")
    waiting.open(Timed())
    site.gate.admit(waiting)
    now = site.clock.monotonic()
    assert waiting.tick(now) == now
    site.gate.leave(waiting)


def test_a_peer_that_does_not_answer_is_closed_in_the_promised_time(site: Site) -> None:
    silent = next(seconds for seconds in range(1, 30) if site.pass_seconds(1) and site.received() == PING)
    assert 18 <= silent <= 26, "the first ping comes up to a fifth sooner"
    site.pass_seconds(9)
    assert site.received() == b"" and site.channel.code is None
    site.pass_seconds(2)
    assert site.received()[:4] == b"\x88\x09\x10\x69"  # 4201
    site.pass_seconds(2)
    eventually(lambda: site.channel.code == 4201)


def test_a_peer_is_silent_when_nothing_came_for_longer_than_a_ping_and_its_pong_take(site: Site) -> None:
    site.answer(PONG)
    for seconds, silent in ((35, False), (1, True)):
        site.clock.advance(seconds)  # without a tick, as while the process stands still
        assert site.connection.silent is silent
    site.answer(PONG)
    assert not site.connection.silent


def test_a_channel_is_ticked_in_the_round_after_its_deadline(site: Site) -> None:
    site.channel.at = site.clock.monotonic() + 5
    site.answer(frame(9))  # not ordinary, so a greenlet runs, and a tick follows
    assert site.pass_seconds(1) == 1
    site.channel.at, at = math.inf, site.channel.at
    rounds = next(rounds for rounds in range(1, 30) if site.pass_seconds(1))
    assert at <= site.clock.monotonic() <= at + 1, rounds


@pytest.mark.parametrize("data", [frame(1, b"text"), frame(9), frame(1, b"text")[:3]], ids=["text", "ping", "half a frame"])
def test_a_tick_follows_each_run(site: Site, data: bytes) -> None:
    site.pass_seconds(3)
    site.answer(data)
    assert site.pass_seconds(1) == 1


def test_a_frame_that_is_never_completed_ends_the_connection_in_time(site: Site) -> None:
    site.answer(frame(1, b"x" * 100)[:10])
    for _ in range(6):
        site.pass_seconds(9)
        site.answer(b"x")
    assert site.channel.code is None
    site.pass_seconds(8)
    eventually(lambda: site.channel.code == 1006)


def test_a_connection_whose_pong_is_handled_needs_no_greenlet(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(site.gate.workers, "run", lambda *work: started.append(work))
    site.pass_seconds(25)
    site.answer(PONG)
    assert not site.pass_seconds(20) and site.channel.code is None and not started


def test_a_peer_that_answered_every_ping_but_the_last_is_closed_in_the_promised_time(site: Site) -> None:
    for _ in range(3):
        site.pass_seconds(25)
        assert site.received() == PING
        site.answer(PONG)
    site.pass_seconds(25)
    assert site.received() == PING
    site.pass_seconds(9)
    assert site.received() == b""
    site.pass_seconds(2)
    assert site.received()[:4] == b"\x88\x09\x10\x69"  # 4201
