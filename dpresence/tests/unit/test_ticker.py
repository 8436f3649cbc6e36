"""The ticker ticks every connection, whatever becomes of one of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from dpresence.channels.connection_scheduler import ConnectionScheduler
from dpresence.channels.gate import Gate
from dpresence.channels.ticker import Ticker
from dpresence.clock import Clock
from dpresence.metrics import Metrics
from dpresence.settings import Settings
from dpresence.tests.waiting import eventually


class Socket:
    """The part of a connection that the ticker uses; a bad one fails at each tick and when it is closed."""

    def __init__(self, number: int, bad: bool = False) -> None:
        self.id = f"socket-{number}"
        self.address = f"198.51.100.{number}"
        self.bad = bad
        self.bucket: Any = None
        self.previous: Any = None
        self.following: Any = None
        self.ticks = 0

    def tick(self, now: float) -> float:
        self.ticks += 1
        if self.bad:
            raise RuntimeError("a bug")
        return now

    def fail(self) -> None:
        raise OSError("a bug as well")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(Gate, "TICK_SECONDS", 0.001)
    clock = Clock()
    gate = Gate(Settings(), clock, Metrics(clock))
    ticker = Ticker(gate)
    ticker.start()
    yield gate
    ticker.stop()


def test_one_that_fails_is_dropped_and_said_once_and_the_others_keep_their_deadlines(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    sockets = [Socket(number, bad=number == 1) for number in range(3)]
    for socket in sockets:
        gate.admit(socket)  # type: ignore[arg-type]
    eventually(lambda: sockets[0].ticks >= 5 and sockets[2].ticks >= 5)
    assert sockets[1].ticks == 1
    assert set(gate.connections) == {sockets[0], sockets[2]}
    assert [record.getMessage() for record in caplog.records if record.name == "dpresence.channels.ticker"] == [
        "connection socket-1 could not be ended"
    ]


class BusySocket(Socket, ConnectionScheduler):
    """A connection whose run waits behind other callbacks of the event loop."""

    _workers: Any = None

    def __init__(self, gate: Gate) -> None:
        ConnectionScheduler.__init__(self, "")
        Socket.__init__(self, 1)
        self.gate = gate
        self._workers = gate.workers
        self.started = False
        self.failures: list[BaseException] = []

    def finish_run(self) -> None:
        self.started = True
        self.end_run()

    def log_failure(self) -> None:
        raise NotImplementedError

    def call_guarded(self, function: Any, *arguments: Any) -> Any:
        raise NotImplementedError

    def tick_soon(self) -> None:
        self.gate.connections.hasten(self)  # type: ignore[arg-type]

    def tick(self, now: float) -> float:
        try:
            self.check_run()
        except RuntimeError as error:
            self.failures.append(error)
        self.ticks += 1
        return now


def test_a_run_that_waits_while_the_event_loop_is_behind_is_not_lost(gate: Gate) -> None:
    socket = BusySocket(gate)
    gate.admit(socket)  # type: ignore[arg-type]
    eventually(lambda: socket.ticks > 0)
    for _ in range(200):  # after each 50 callbacks, gevent handles timers, and so the ticks, if they took 5 ms
        gevent.get_hub().loop.run_callback(work_for, 0.001)
    socket.schedule_finish()
    eventually(lambda: socket.started or bool(socket.failures))
    assert not socket.failures


def test_a_run_that_is_lost_is_an_error(gate: Gate) -> None:
    socket = BusySocket(gate)
    socket._workers = LosingWorkers()
    gate.admit(socket)  # type: ignore[arg-type]
    socket.schedule_finish()
    eventually(lambda: bool(socket.failures))
    assert not socket.started


class LosingWorkers:
    """A pool that loses its work, as by an internal error."""

    def spawn(self, work: Any, argument: Any) -> None:
        """Do nothing."""


def work_for(seconds: float) -> None:
    """Use the CPU."""
    ends_at = time.process_time() + seconds
    while time.process_time() < ends_at:
        """Nothing else can run."""
