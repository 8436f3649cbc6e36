"""A connection whose answer is written later: keep-alives, a client that disconnects or is slow, and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gevent
import pytest
from gevent import socket

from dpresence.channels.connection import Channel, FrameLimits
from dpresence.channels.gate import Gate
from dpresence.channels.stream_connection import StreamConnection, answer_head, new_stream
from dpresence.channels.ticker import Ticker
from dpresence.errors import BackendUnavailable, SlowDown
from dpresence.metrics import Metrics
from dpresence.settings import ChannelSettings, Settings
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

ADDRESS = "198.51.100.1"
LIMITS = ChannelSettings(plain_per_address=1, send_buffer_frames=10)


class Stream(Channel):
    """Writes what the tests say."""

    limits = FrameLimits(1000, 1000, 1000, 10)
    keep_alive = b":\n\n"
    status = 200

    def __init__(self) -> None:
        self.code: int | None = None

    def opened(self, connection: Any) -> None:
        self.connection = connection
        connection.send_frame(answer_head(connection, "200 OK", "text/plain"))

    def message(self, text: str) -> None:
        raise AssertionError("there are no messages")

    def last_bytes(self, code: int, reason: str) -> bytes:
        return f"end {code}".encode()

    def closed(self, code: int, clean: bool) -> None:
        self.code = code


class Site:
    """A gate, its ticker and one stream, with time that the tests move."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gate = Gate(replace(Settings(), channels=LIMITS), self.clock, Metrics(self.clock))
        self.ticker = Ticker(self.gate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.peer = socket.create_connection(self.listener.getsockname())
        ours, _ = self.listener.accept()
        self.connection, self.channel = new_stream(self.gate, ADDRESS), Stream()
        self.connection.open(self.channel)
        self.connection.attach_answer(ours, [(b"X-Test", b"1"), (b"Content-Length", b"0")], "GET /feed HTTP/1.1")
        head = self.received(1)
        assert head == b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Test: 1\r\nConnection: close\r\n\r\n"

    def received(self, seconds: float = 0.02) -> bytes:
        """Return the next bytes that the peer receives; b"" at the end or if there are none."""
        try:
            with gevent.Timeout(seconds, TimeoutError):
                return bytes(self.peer.recv(100_000))
        except TimeoutError:
            return b""

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.ticker._tick_due()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.connection.abort()
    site.peer.close()
    site.listener.close()
    eventually(lambda: not len(site.gate.connections))
    assert site.gate.plain.may_hold(ADDRESS), "it is counted for ever"


def test_a_silent_stream_has_a_keep_alive_after_each_ping_seconds(site: Site) -> None:
    for _ in range(3):
        site.pass_seconds(19)
        assert site.received() == b""
        site.pass_seconds(7)
        assert site.received() == b":\n\n"
    assert site.channel.code is None


def test_a_stream_that_is_closed_ends_with_its_last_bytes(site: Site) -> None:
    site.connection.close(4003, "deactivated")
    assert site.received(1) == b"end 4003"
    eventually(lambda: site.channel.code == 4003)
    assert site.received() == b""


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n"], ids=["the end", "another request"])
def test_a_stream_ends_when_anything_comes_from_the_client(site: Site, data: bytes) -> None:
    if data:
        site.peer.send(data)
    else:
        site.peer.close()
    eventually(lambda: site.channel.code == 1006)


def test_a_slow_reader_is_disconnected_at_the_limits_of_a_channel(site: Site) -> None:
    for _ in range(200):
        site.connection.send_frame(b"x" * 100_000)
    assert site.connection.closed
    assert site.connection.backlog[0] < 20 * 100_000
    site.pass_seconds(10)
    eventually(lambda: site.channel.code == 4102)


def test_an_address_has_a_limited_number_of_streams(site: Site) -> None:
    with pytest.raises(SlowDown, match="too many requests of this address wait"):
        new_stream(site.gate, ADDRESS)
    assert isinstance(new_stream(site.gate, "198.51.100.2"), StreamConnection)


def test_a_process_that_stops_opens_no_stream(site: Site) -> None:
    site.gate.draining = True
    with pytest.raises(BackendUnavailable, match="the server is stopping"):
        new_stream(site.gate, "198.51.100.2")
