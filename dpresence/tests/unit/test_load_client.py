"""The load client counts a connection's end by the close frame that was sent to it, whatever becomes of its own answer."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from bench.load import compare
from bench.loop import Loop
from bench.sockets import LOST, Socket, masked_frame, text

HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
CLOSE = b"\x88\x05\x10\x68bye"
"""4200, "bye"."""


class Recorder(Socket):
    """Records the calls it receives."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.messages: list[bytes] = []
        self.ends: list[tuple[int, str]] = []

    def message(self, payload: bytes) -> None:
        self.messages.append(payload)

    def ended(self, code: int, reason: str) -> None:
        self.ends.append((code, reason))


class Peer:
    """A client of the load and the server it is connected to, which this test plays."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.client = Recorder(self.loop)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client.connect(listener.getsockname()[1], "/presence")
            self.server, _ = listener.accept()
        self.server.sendall(HEAD)
        assert self.loop.run(lambda: self.client.open, 5)

    def reset(self) -> None:
        """End the server's side so that the client can send no more."""
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.client.drop()
    peer.server.close()


def test_a_close_whose_answer_cannot_be_sent_counts_with_its_code(peer: Peer) -> None:
    peer.server.sendall(CLOSE)
    peer.reset()
    assert peer.loop.run(lambda: bool(peer.client.ends), 5)
    assert peer.client.ends == [(4200, "bye")]


def test_a_close_that_is_found_when_something_cannot_be_sent_counts_with_its_code(peer: Peer) -> None:
    peer.server.sendall(b"\x81\x01x" + CLOSE)
    peer.reset()
    for _ in range(3):
        peer.client.send(text("hello"))
    assert peer.loop.run(lambda: bool(peer.client.ends), 5)
    assert peer.client.ends == [(4200, "bye")]
    assert peer.client.messages == [b"x"]


def test_a_ping_whose_answer_cannot_be_sent_does_not_hide_the_close_behind_it(peer: Peer) -> None:
    peer.server.sendall(b"\x89\x00" + CLOSE)
    peer.reset()
    assert peer.loop.run(lambda: bool(peer.client.ends), 5)
    assert peer.client.ends == [(4200, "bye")]


def test_leaving_sends_one_close_frame_and_waits_for_the_answer(peer: Peer) -> None:
    peer.server.recv(1000)  # the request
    peer.client.leave()
    assert peer.server.recv(100) == masked_frame(8, b"\x03\xe8") and not peer.client.gone
    peer.server.sendall(b"\x88\x02\x03\xe8")
    assert peer.loop.run(lambda: peer.client.gone, 5)
    assert peer.client.ends == [(1000, "")] and peer.server.recv(100) == b""


def test_an_end_without_a_close_frame_is_a_loss(peer: Peer) -> None:
    peer.reset()
    assert peer.loop.run(lambda: bool(peer.client.ends), 5)
    assert [code for code, _ in peer.client.ends] == [LOST]


def test_a_frame_that_is_not_in_the_contract_is_found_where_frames_are_checked(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Socket, "check", compare)
    peer.server.sendall(b'\x81\x0f{"result":"OK"}')
    assert peer.loop.run(lambda: bool(peer.client.messages), 5)
    peer.server.sendall(b'\x81\x10{"result":"Yes"}')
    with pytest.raises(AssertionError, match=r"sent .*Yes"):
        peer.loop.run(lambda: False, 5)
