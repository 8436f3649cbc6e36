"""Ordinary handshakes: those that a limit refuses are not, and checking them changes nothing. The clock is a fake."""

from __future__ import annotations

import _socket
import dataclasses
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent import socket

from dpresence.channels.channel import Channel, ChannelConnection
from dpresence.channels.first_request import FirstRequest, FirstRequests
from dpresence.channels.frame_limits import frame_limits
from dpresence.channels.gate import Gate
from dpresence.channels.http import MAX_UNREAD_BYTES
from dpresence.channels.ordinary_handshake import MAX_HEADS, ordinary_handshake
from dpresence.errors import BackendUnavailable, SlowDown
from dpresence.metrics import Metrics
from dpresence.settings import ChannelSettings, IdentitySettings, Settings
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

PEER = "198.51.100.1"
LIMITS = ChannelSettings(accept_rate=1.0, accept_burst=4, unsigned_per_address=2, request_rate=1.0, request_burst=3)
REQUEST = (
    b"GET %s HTTP/1.1\r\nHost: presence.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Opened(Channel):
    """A channel that does nothing.

    :ivar connection: as ``opened`` got it.
    """

    limits = frame_limits(1000, 10.0, 10, 10)
    connection: ChannelConnection

    def opened(self, connection: ChannelConnection) -> None:
        self.connection = connection

    def message(self, text: str) -> None:
        raise NotImplementedError

    def closed(self, code: int, clean: bool) -> None:
        pass

    def tick(self) -> float:
        return 0.0


def make(limits: ChannelSettings = LIMITS, path: str = "") -> Gate:
    clock = FakeClock()
    identity = IdentitySettings(audience="https://presence.example", path=path)
    gate = Gate(dataclasses.replace(Settings(), channels=limits, identity=identity), clock, Metrics(clock))
    gate.direct_channels["/presence"] = Opened
    return gate


def open_one(gate: Gate, path: bytes = b"/presence") -> bool:
    """Admit the connection of a handshake; return whether it is ordinary."""
    found = ordinary_handshake(gate, PEER, REQUEST % path)
    return found is not None and gate.try_admit(found.connection)


def test_an_ordinary_handshake_has_its_channel_and_its_answer() -> None:
    found = ordinary_handshake(make(), PEER, REQUEST % b"/presence" + b"behind it")
    assert found is not None
    assert isinstance(found.connection.channel, Opened)
    assert found.connection.address == PEER
    assert (found.line, found.size) == ("GET /presence HTTP/1.1", len(REQUEST % b"/presence"))
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" in found.answer


def test_a_later_handshake_of_the_same_client_has_the_answer_to_its_own_key() -> None:
    gate = make()
    answers = []
    for key in (b"dGhlIHNhbXBsZSBub25jZQ==", b"AAAAAAAAAAAAAAAAAAAAAA=="):
        found = ordinary_handshake(gate, PEER, (REQUEST % b"/presence").replace(b"dGhlIHNhbXBsZSBub25jZQ==", key))
        assert found is not None
        answers.append(found.answer)
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answers[0]
    assert b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n" in answers[1]


@pytest.mark.parametrize("key", [b"", b"dGhl", b"dGhlIHNhbXBsZSBub25jZQ== x", b"dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: x", b"\xe9"])
def test_a_malformed_key_is_left_to_the_handler_also_after_an_ordinary_handshake(key: bytes) -> None:
    gate = make()
    assert open_one(gate)
    assert ordinary_handshake(gate, PEER, (REQUEST % b"/presence").replace(b"dGhlIHNhbXBsZSBub25jZQ==", key)) is None


def test_the_heads_that_are_stored_are_bounded() -> None:
    gate = make()
    for number in range(3 * MAX_HEADS):
        host = b"presence%d.example" % number
        assert ordinary_handshake(gate, PEER, (REQUEST % b"/presence").replace(b"presence.example", host)) is not None
    assert len(gate.ordinary_heads) <= MAX_HEADS


@pytest.mark.parametrize(("path", "ordinary"), [(b"/presence", True), (b"/p/presence", True), (b"/q/presence", False), (b"/p", False)])
def test_a_path_may_have_the_prefix_of_the_service(path: bytes, ordinary: bool) -> None:
    assert open_one(make(path="/p"), path) is ordinary


def draining(gate: Gate) -> None:
    gate.draining = True


def full(gate: Gate) -> None:
    gate.most = -1


def crowded(gate: Gate) -> None:
    assert open_one(gate)
    assert open_one(gate)


def hurried(gate: Gate) -> None:
    """Use up the rate of new channels."""
    while not gate._rate.wait(now=gate.clock.monotonic()):
        gate._rate.take(now=gate.clock.monotonic())


@pytest.mark.parametrize("limit", [draining, full, crowded, hurried])
def test_a_channel_that_would_be_refused_is_left_to_the_handler(limit: Callable[[Gate], None]) -> None:
    looked_at, other = make(), make()
    for gate in (looked_at, other):
        limit(gate)
    for _ in range(5):
        assert not open_one(looked_at)
    assert refusal(looked_at) == refusal(other)  # with the same ``retry_after``: a look reserves no place


def refusal(gate: Gate) -> tuple[str, float | None]:
    with pytest.raises((BackendUnavailable, SlowDown)) as refused:
        gate.check(PEER)
    return refused.value.error, refused.value.retry_after


def test_a_request_over_the_rate_of_its_address_is_left_to_the_handler() -> None:
    gate = make()
    for _ in range(3):
        assert not gate.requests.take(PEER, now=gate.clock.monotonic())
    assert not open_one(gate)
    gate.clock.advance(1)  # type: ignore[attr-defined]
    assert open_one(gate)


def test_a_request_of_an_address_that_does_not_read_is_left_to_the_handler() -> None:
    gate = make()
    gate.unread[PEER] = MAX_UNREAD_BYTES + 1
    assert not open_one(gate)


def test_a_channel_that_cannot_be_made_is_left_to_the_handler() -> None:
    gate = make()

    def fail() -> Channel:
        raise RuntimeError("a bug in a channel")

    gate.direct_channels["/presence"] = fail
    assert not open_one(gate)


def plain_connection(gate: Gate) -> tuple[list[FirstRequest], _socket.socket, socket.socket]:
    """Return a list, and both ends of a connection that the gate has registered."""
    ours, peer = socket.socketpair()
    sock = _socket.socket(fileno=ours.detach())
    sock.setblocking(False)
    gate.plain.enter(sock, PEER)
    return [], sock, peer


def test_an_internal_error_at_the_switch_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = make()
    ended, sock, peer = plain_connection(gate)
    monkeypatch.setattr(gate.connections, "add", lambda connection: 1 / 0)
    FirstRequests(gate, ended.append).add(sock, (PEER, 1))
    with peer, gevent.Timeout(PATIENCE_SECONDS):
        peer.sendall(REQUEST % b"/presence")
        with pytest.raises(ConnectionResetError):  # the request was not read
            peer.recv(100)
    assert not ended and len(gate.plain) == 0 and not gate.connections


def test_a_handshake_opens_the_channel_at_once_and_is_registered_in_the_kernel_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = make()
    handed_over, sock, peer = plain_connection(gate)
    watched: list[int] = []
    watch = gate.readiness.watch

    def counted(file: int, connection: Any) -> None:
        watched.append(file)
        watch(file, connection)

    monkeypatch.setattr(gate.readiness, "watch", counted)
    FirstRequests(gate, handed_over.append).add(sock, (PEER, 1))
    with peer, gevent.Timeout(PATIENCE_SECONDS):
        peer.sendall(REQUEST % b"/presence")
        assert peer.recv(1000).startswith(b"HTTP/1.1 101")
        (connection,) = gate.connections
        assert connection.channel.connection is connection  # type: ignore[attr-defined]
        assert watched == [sock.fileno()] and not handed_over
        connection.abort()
        eventually(lambda: not gate.connections)
    assert watched == watched[:1]


def test_connections_that_send_nothing_are_handed_over_in_their_order() -> None:
    gate = make(dataclasses.replace(LIMITS, handshake_seconds=0.05))  # type: ignore[arg-type]
    handed_over, *first = plain_connection(gate)
    _, *second = plain_connection(gate)
    requests = FirstRequests(gate, handed_over.append)
    requests.add(first[0], (PEER, 1))
    gate.clock.advance(0.04)  # type: ignore[attr-defined]
    requests.add(second[0], (PEER, 2))
    gate.clock.advance(0.02)  # type: ignore[attr-defined]
    eventually(lambda: len(handed_over) == 1)
    gate.clock.advance(0.04)  # type: ignore[attr-defined]
    eventually(lambda: len(handed_over) == 2)
    assert [request.address[1] for request in handed_over] == [1, 2]
    for sock in (*first, *second):
        sock.close()
