"""The ticker ticks every connection, whatever becomes of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dpresence.channels.gate import Gate, Ticker
from dpresence.metrics import Metrics
from dpresence.settings import Settings
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually


class Socket:
    """As much of a connection as the ticker sees; a bad one fails at each tick and cannot even be ended."""

    def __init__(self, number: int, bad: bool = False) -> None:
        self.id = f"socket-{number}"
        self.address = f"198.51.100.{number}"
        self.bad = bad
        self.ticks = 0

    def tick(self, now: float) -> None:
        self.ticks += 1
        if self.bad:
            raise RuntimeError("a bug")

    def fail(self) -> None:
        raise OSError("a bug as well")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(Ticker, "INTERVAL", 0.001)
    clock = FakeClock()
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
    assert gate.connections == {sockets[0], sockets[2]}
    assert [record.getMessage() for record in caplog.records if record.name == "dpresence.channels.gate"] == [
        "connection socket-1 could not be ended"
    ]
