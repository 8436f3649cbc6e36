"""What the tests share: a clock that is moved by hand and a few values."""

from __future__ import annotations

from dpresence.clock import Clock

EPOCH = 1_795_364_497_250


class FakeClock(Clock):
    """Time that moves only when a test says so."""

    def __init__(self, now: int = EPOCH) -> None:
        self.seconds = 0.0
        self.start = now

    def now(self) -> int:
        return self.start + int(self.seconds * 1000)

    def monotonic(self) -> float:
        return 1000.0 + self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
