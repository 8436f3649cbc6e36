"""A channel suspends its connection while a backend answers: no greenlet waits, and messages keep their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from dpresence.channels.connection import Channel, Connection, FrameLimits
from dpresence.channels.gate import Gate
from dpresence.metrics import Metrics
from dpresence.settings import Settings
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually, turn_loop


def masked(text: str) -> bytes:
    """Return a text frame of a client, masked with zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


class Slow(Channel):
    """Suspends at each message that starts with "slow"."""

    limits = FrameLimits(1000, 1000, 1000, 10)

    def __init__(self) -> None:
        self.events: list[str] = []

    def opened(self, connection: Any) -> None:
        self.connection = connection

    def message(self, text: str) -> None:
        self.events.append(text)
        if text.startswith("slow"):
            self.connection.suspend()

    def answer(self, text: str) -> None:
        """Answer as a backend does, in the hub."""
        gevent.get_hub().loop.run_callback(self.connection.resume, self.events.append, text)
        turn_loop()

    def closed(self, code: int, clean: bool) -> None:
        self.events.append(f"closed {code}")


class SlowAtOnce(Slow):
    """Handles messages that start with "slow" in the hub."""

    def try_message(self, payload: bytes, now: float) -> bytes | None:
        if payload.startswith(b"slow"):
            self.message(payload.decode())
            return b""
        return None


class Pair:
    """A connection with its channel, and the socket of its peer."""

    def __init__(self, kind: type[Slow]) -> None:
        clock = FakeClock()
        ours, self.peer = socket.socketpair()
        self.connection, self.channel = Connection(Gate(Settings(), clock, Metrics(clock)), "198.51.100.1"), kind()
        self.connection.open(self.channel)
        self.connection.start(ours, b"")
        ours.close()
        turn_loop()

    @property
    def events(self) -> list[str]:
        return self.channel.events

    def receive(self, *texts: str) -> None:
        self.peer.sendall(b"".join(map(masked, texts)))
        turn_loop()


@pytest.fixture(params=[Slow, SlowAtOnce])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    pair = Pair(request.param)
    yield pair
    pair.connection.abort()
    pair.peer.close()
    gevent.sleep(0)


def test_messages_of_one_read_wait_for_the_answer(pair: Pair) -> None:
    pair.receive("slow", "next")
    assert pair.events == ["slow"]
    pair.channel.answer("answer")
    assert pair.events == ["slow", "answer", "next"]


def test_messages_that_arrive_meanwhile_wait_for_the_answer(pair: Pair) -> None:
    pair.receive("slow")
    pair.receive("next")
    assert pair.events == ["slow"]
    pair.channel.answer("answer")
    assert pair.events == ["slow", "answer", "next"]


def test_each_slow_message_waits_for_its_own_answer(pair: Pair) -> None:
    pair.receive("slow 1", "slow 2")
    pair.channel.answer("answer 1")
    assert pair.events == ["slow 1", "answer 1", "slow 2"]
    pair.channel.answer("answer 2")
    pair.receive("next")
    assert pair.events == ["slow 1", "answer 1", "slow 2", "answer 2", "next"]


def test_deferred_functions_wait_for_the_answer(pair: Pair) -> None:
    pair.receive("slow")
    pair.connection.defer(lambda: pair.events.append("deferred"))
    turn_loop()
    pair.channel.answer("answer")
    assert pair.events == ["slow", "answer", "deferred"]


def test_an_answer_may_defer_a_function_that_blocks(pair: Pair) -> None:
    pair.receive("slow", "next")
    blocking = lambda: gevent.sleep(0.001) or pair.events.append("blocked")  # noqa: E731
    gevent.get_hub().loop.run_callback(pair.connection.resume, pair.connection.defer, blocking)
    turn_loop()
    assert pair.events == ["slow", "blocked", "next"]


def test_a_connection_that_is_lost_meanwhile_ends_after_the_answer(pair: Pair) -> None:
    pair.receive("slow")
    pair.connection.abort()
    turn_loop()
    assert pair.events == ["slow"]
    pair.channel.answer("answer")
    assert pair.events == ["slow", "answer", "closed 1006"]


def test_an_answer_that_fails_closes_the_connection(pair: Pair) -> None:
    pair.receive("slow", "next")
    gevent.get_hub().loop.run_callback(pair.connection.resume, lambda: 1 / 0)
    turn_loop()
    assert pair.events == ["slow"]
    assert b"internal error" in pair.peer.recv(100)


def test_ticks_wait_for_the_answer(pair: Pair) -> None:
    ticks: list[int] = []

    def tick() -> float:
        ticks.append(1)
        return 0.0

    pair.channel.tick = tick  # type: ignore[method-assign]
    pair.receive("slow")
    pair.connection.tick(0)
    assert ticks == []
    pair.channel.answer("answer")
    pair.connection.tick(0)
    assert ticks == [1]


def test_an_error_after_the_suspension_closes_the_connection_after_the_answer(pair: Pair) -> None:
    real = pair.channel.message
    pair.channel.message = lambda text: real(text) or 1 / 0  # type: ignore[method-assign, func-returns-value]
    pair.receive("slow")
    assert b"internal error" in pair.peer.recv(100)
    pair.peer.close()
    pair.channel.answer("answer")
    assert pair.events == ["slow", "answer", "closed 1011"]


@pytest.mark.slow
def test_more_bytes_than_one_read_takes_are_all_handled(pair: Pair) -> None:
    texts = [f"slow {number:03}" for number in range(100)]
    filler = ["x" * 120] * 700
    gevent.spawn(pair.peer.sendall, b"".join(map(masked, [*texts[:1], *filler, *texts[1:]])))
    turn_loop()
    for number in range(100):
        eventually(lambda text=texts[number]: pair.events and pair.events[-1] == text)
        gevent.get_hub().loop.run_callback(pair.connection.resume, lambda: None)
    turn_loop()
    assert [text for text in pair.events if text.startswith("slow")] == texts
