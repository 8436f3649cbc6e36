"""A connection tells when the system has taken what it was offered: over a real pair of sockets, time is a fake clock's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from dpresence.channels.connection import Channel, Connection, FrameLimits
from dpresence.channels.gate import Gate
from dpresence.metrics import Metrics
from dpresence.settings import ChannelSettings, Settings
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import PATIENCE_SECONDS, turn_loop

LARGE = b"x" * 300_000
"""More than the system takes of a peer that does not read."""


class Silent(Channel):
    """Says nothing."""

    limits = FrameLimits(1000, 100, 100, 10)

    def opened(self, connection: Connection) -> None:
        """Does nothing."""

    def message(self, text: str) -> None:
        """Does nothing."""

    def closed(self, code: int, clean: bool) -> None:
        """Does nothing."""


class ConnectionPair:
    """A connection over a pair of sockets and its peer, which reads on request."""

    def __init__(self) -> None:
        clock = FakeClock()
        settings = dataclasses.replace(Settings(), channels=ChannelSettings(send_buffer_bytes=1_000_000, send_buffer_frames=100))
        ours, self.peer = socket.socketpair()
        for sock, option in ((ours, socket.SO_SNDBUF), (self.peer, socket.SO_RCVBUF)):
            sock.setsockopt(socket.SOL_SOCKET, option, 16_384)
        self.connection = Connection(Gate(settings, clock, Metrics(clock)), "198.51.100.1")
        self.connection.open(Silent())
        self.connection.start(ours, b"")
        ours.close()
        gevent.sleep(0)
        self.called: list[str] = []

    def offer(self, payload: bytes, name: str) -> None:
        self.connection.send(payload)
        self.connection.when_sent(lambda: self.called.append(name))

    def read(self, size: int) -> None:
        """Let the peer read so many bytes, and what follows of it happen."""
        with gevent.Timeout(PATIENCE_SECONDS):
            while size > 0:
                size -= len(self.peer.recv(size))
        turn_loop()


@pytest.fixture
def line() -> Iterator[Any]:
    line = ConnectionPair()
    yield line
    line.connection.abort()
    line.peer.close()
    gevent.sleep(0)


def test_bytes_the_system_takes_at_once_are_reported_at_once(line: ConnectionPair) -> None:
    line.offer(b"hello", "hello")
    assert line.called == ["hello"]


def test_bytes_it_does_not_take_are_reported_when_the_peer_has_read_and_in_order(line: ConnectionPair) -> None:
    line.offer(LARGE, "first")
    line.offer(LARGE, "second")
    line.offer(b"x", "third")
    assert line.called == []
    line.read(len(LARGE) + 100)
    assert line.called == ["first"]
    line.read(len(LARGE) - 77)
    assert line.called == ["first", "second", "third"]


def test_bytes_that_wait_when_the_peer_is_lost_are_never_reported(line: ConnectionPair) -> None:
    line.offer(LARGE, "first")
    line.offer(LARGE, "second")
    line.read(len(LARGE) + 100)
    line.peer.close()
    turn_loop()
    assert line.connection.closed
    assert line.called == ["first"]


def test_frames_dropped_because_the_reader_is_slow_are_never_reported_but_a_begun_one_is(line: ConnectionPair) -> None:
    line.offer(LARGE, "begun")
    for number in range(4):
        line.offer(LARGE, str(number))
    assert line.connection.closed
    line.read(len(LARGE) + 10)
    assert line.called == ["begun"]
    line.read(12)  # the close frame
    assert line.called == ["begun"]


def test_nothing_is_reported_of_a_connection_that_is_gone(line: ConnectionPair) -> None:
    line.connection.abort()
    line.offer(b"hello", "hello")
    assert line.called == []


def test_frames_that_wait_before_a_close_are_reported(line: ConnectionPair) -> None:
    line.offer(LARGE, "last")
    line.connection.close(4001, "bye")
    line.read(len(LARGE) + 10 + 7)
    assert line.called == ["last"]
