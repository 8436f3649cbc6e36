"""Time, injected everywhere so that tests can move it."""

from __future__ import annotations

import time


class Clock:
    """The real clock; ``tests.support.FakeClock`` stands in for it."""

    def now(self) -> int:
        """Return the time of day in integer milliseconds since the epoch, UTC: for what is stored or shown."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go backwards: for waiting and for rates."""
        return time.monotonic()
