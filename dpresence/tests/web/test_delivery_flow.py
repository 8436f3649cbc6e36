"""Very many notifications over a real pair of sockets: a page at a time, in order, none twice, and nobody is locked out by them."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import gevent
import pytest
from gevent import socket

from dpresence.backends.mailbox import QueuedNotification
from dpresence.channels.connection import Connection
from dpresence.channels.device import DeviceChannel
from dpresence.messages import MAX_NOTIFICATIONS
from dpresence.model import Notification
from dpresence.service.delivery import MAX_UNACKNOWLEDGED
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually
from dpresence.tests.web.support import App, World

ANN = "ann@example.org"
LARGE = "\U0001f600" * 512
_ids = itertools.count()


class Peer:
    """A device whose socket the system takes little for, so that its service notices when it does not read."""

    def __init__(self, world: World, **fields: Any) -> None:
        registry = world.registry
        ours, self._sock = socket.socketpair()
        for sock, option in ((ours, socket.SO_SNDBUF), (self._sock, socket.SO_RCVBUF)):
            sock.setsockopt(socket.SOL_SOCKET, option, 16_384)
        self._sock.settimeout(PATIENCE_SECONDS)
        self.channel = DeviceChannel(registry.services, registry.settings, world.clock)
        self.connection = Connection(registry.gate, "198.51.100.1")
        self.connection.open(self.channel)
        self.connection.start(ours, b"")
        ours.close()
        self._received = b""
        self.most_on_the_way = 0
        self.send({"email": ANN, "assertion": world.assertion(ANN), "status": "online", **fields})
        assert self.next() == {"result": "OK"}

    def send(self, frame: dict[str, Any]) -> None:
        data = json.dumps(frame).encode()
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self._sock.sendall(b"\x81" + length + bytes(4) + data)

    def acknowledge(self, ids: list[str]) -> None:
        for start in range(0, len(ids), 500):
            self.send({"action": "ack", "notifications": ids[start : start + 500]})

    def next(self) -> Any:
        """Return the next frame, decoded; of a close frame its code."""
        head = self._take(2)
        size = head[1] & 0x7F
        if size > 125:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        data = self._take(size)
        self.most_on_the_way = max(self.most_on_the_way, len(self.channel.session.progress.sent))
        return int.from_bytes(data[:2], "big") if head[0] == 0x88 else json.loads(data)

    def page(self) -> list[dict[str, Any]]:
        """Return the next notifications; answers to acknowledgements are read over."""
        while "notifications" not in (frame := self.next()):
            assert frame == {"result": "OK"}, frame
        return list(frame["notifications"])

    def read(self, count: int, acknowledge: bool = False) -> list[str]:
        """Return the messages of so many notifications; several pages are acknowledged with one frame, whose rate is limited."""
        found: list[str] = []
        ids: list[str] = []
        while len(found) < count:
            page = self.page()
            found += [item["message"] for item in page]
            ids += [item["id"] for item in page] if acknowledge else []
            if len(ids) >= 300 or len(found) >= count:
                self.acknowledge(ids)
                ids = []
        return found

    def close(self) -> None:
        self.connection.abort()
        self._sock.close()

    def silent(self) -> bool:
        """Return whether nothing but answers comes for a while."""
        return not self.rest()

    def rest(self) -> list[str]:
        """Return the messages of all that comes until nothing but answers comes for a while."""
        found: list[str] = []
        with suppress(gevent.Timeout):
            while True:
                with gevent.Timeout(0.3):
                    found += [item["message"] for item in self.page()]
        return found

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            data = self._sock.recv(65_536)
            assert data, "the connection is lost"
            self._received += data
        found, self._received = self._received[:size], self._received[size:]
        return found


class Box:
    """Return ann's waiting notifications of one application."""

    def __init__(self, world: World, app: App, puid: str) -> None:
        self._mailbox = world.registry.backends.mailbox
        self._world, self._app, self._puid = world, app, puid
        self.user = world.registry.backends.directory.grants_by_puid(app.id, [puid])[puid].user
        self.peers: list[Peer] = []

    def fill(self, count: int, text: str = "", source: str = "Chess") -> list[str]:
        """Let so many wait; returns their messages."""
        items = [
            QueuedNotification(self.user, Notification(f"n_{n}", self._app.id, self._puid, source, f"{n}{text}"[:512], "", 0), 86_400_000)
            for n in itertools.islice(_ids, count)
        ]
        for start in range(0, count, 100):
            self._mailbox.enqueue(items[start : start + 100], 100_000)
        return [item.notification.message for item in items]

    def waiting(self) -> int:
        return len(self._mailbox.pending(self.user, 0, 100_000))

    def peer(self, **fields: Any) -> Peer:
        self.peers.append(Peer(self._world, **fields))
        return self.peers[-1]

    def deliver(self) -> None:
        self._world.services.delivery.deliver(self.user)


@pytest.fixture
def box(world: World, app: App, puid: str) -> Iterator[Box]:
    box = Box(world, app, puid)
    yield box
    for peer in box.peers:
        peer.close()
    gevent.sleep(0.01)


@pytest.mark.slow
def test_two_mebibytes_reach_a_device_that_acknowledges_and_reads_late(box: Box) -> None:
    sent = box.fill(800, LARGE)
    peer = box.peer(ack=True)
    gevent.sleep(0.3)
    assert not peer.connection.closed
    assert peer.read(800, acknowledge=True) == sent
    eventually(lambda: box.waiting() == 0)
    assert peer.silent() and not peer.connection.closed


def test_two_mebibytes_reach_a_plain_device_and_are_discarded_as_they_leave(box: Box) -> None:
    sent = box.fill(800, LARGE)
    peer = box.peer()
    gevent.sleep(0.3)
    assert box.waiting() >= 700 and not peer.connection.closed
    assert peer.read(800) == sent
    eventually(lambda: box.waiting() == 0)
    assert peer.silent() and not peer.connection.closed


@pytest.mark.slow
@pytest.mark.parametrize("ack", [True, False])
def test_ten_thousand_come_in_order_and_once(box: Box, ack: bool) -> None:
    sent = box.fill(10_000)
    peer = box.peer(ack=ack)
    assert peer.read(10_000, acknowledge=ack) == sent
    eventually(lambda: box.waiting() == 0)
    assert peer.most_on_the_way <= MAX_UNACKNOWLEDGED
    assert peer.silent() and not peer.connection.closed


@pytest.mark.parametrize("text", ["", LARGE])
def test_one_that_never_acknowledges_has_as_many_as_may_be_on_their_way_whatever_fits_into_a_page(box: Box, text: str) -> None:
    sent = box.fill(800, text, source=text[:250])
    peer = box.peer(ack=True)
    found = peer.rest()
    assert found == sent[: len(found)]
    assert MAX_UNACKNOWLEDGED - MAX_NOTIFICATIONS < len(found) == len(peer.channel.session.progress.sent) <= MAX_UNACKNOWLEDGED


@pytest.mark.slow
def test_one_that_acknowledges_only_the_first_page_has_the_others_later(box: Box) -> None:
    sent = box.fill(2_000)
    peer = box.peer(ack=True)
    page = peer.page()
    peer.acknowledge([item["id"] for item in page])
    rest = [peer.page() for _ in range(5)]
    assert peer.silent() and len(peer.channel.session.progress.sent) == MAX_UNACKNOWLEDGED
    sent += box.fill(10)
    for _ in range(3):
        box.deliver()
    assert peer.silent()
    for some in rest:
        peer.acknowledge([item["id"] for item in some])
    found = [item["message"] for some in (page, *rest) for item in some]
    assert found + peer.read(2_010 - len(found), acknowledge=True) == sent
    eventually(lambda: box.waiting() == 0)


def test_it_goes_on_with_a_sweep_when_somebody_else_acknowledged(box: Box, world: World) -> None:
    sent = box.fill(700)
    peer = box.peer(ack=True)
    ids = [item["id"] for _ in range(5) for item in peer.page()]
    assert peer.silent()
    world.registry.backends.mailbox.discard_received(box.user, ids, (), 0)
    assert peer.silent()
    world.services.notifications.sweep()
    assert peer.read(200) == sent[500:]


def test_a_slow_device_does_not_hold_up_another_of_the_same_user(box: Box) -> None:
    sent = box.fill(400, LARGE)
    slow = box.peer(ack=True, device="slow")
    quick = box.peer(ack=True, device="quick")
    assert quick.read(400) == sent
    assert slow.read(400, acknowledge=True) == sent


def test_notifications_held_back_by_a_pause_come_after_it_and_no_others_again(box: Box, world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    seen = world.grant(ANN, other)
    sent = box.fill(150)
    ann = world.person(ANN)
    ann("PATCH", f"/grant/{app.id}", {"paused": True})
    world.notify(other, {"puid": seen, "message": "free"})
    peer = box.peer(ack=True)
    assert peer.read(1) == ["free"] and peer.silent()
    ann("PATCH", f"/grant/{app.id}", {"paused": False})
    assert peer.read(150) == sent
    assert peer.silent()


def test_an_answer_still_fits_beside_a_page_in_the_smallest_outbox(make_world: Callable[..., World]) -> None:
    world = make_world(channels__send_buffer_bytes="65536")
    app = world.application()
    box = Box(world, app, world.grant(ANN, app))
    sent = box.fill(100, "\x01" * 500)
    peer = box.peer(ack=True)
    gevent.sleep(0.1)
    for _ in range(20):
        peer.acknowledge(["unknown"])
    gevent.sleep(0.1)
    assert peer.read(100, acknowledge=True) == sent
    peer.close()
