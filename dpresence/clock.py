"""Time, injected everywhere so that tests can move it."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

JUMP_SECONDS = 60
"""A time of day that moves by more than this against the monotonic clock has jumped."""
SETTLING_SECONDS = 600
"""How long the time of day stands before anything is deleted by it: long enough for NTP to set a clock after a boot."""


class Clock:
    """The real clock; ``tests.support.FakeClock`` stands in for it."""

    def now(self) -> int:
        """Return the time of day in integer milliseconds since the epoch, UTC: for what is stored or shown."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go backwards: for waiting and for rates."""
        return time.monotonic()


class SettledClock:
    """The time up to which a store on this machine may delete what has expired: a clock that jumps ahead deletes nothing.

    A board without a battery boots at any time of day, and a clock that is set wrong and then right again would take with
    it all that is kept for a day.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._read()
        self._since = clock.monotonic()

    def now(self) -> int:
        """Return the time of day (ms) once it has stood for ``SETTLING_SECONDS``, until then 0: nothing has expired."""
        offset = self._read()
        jump, self._offset = offset - self._offset, offset
        monotonic = self._clock.monotonic()
        if abs(jump) > JUMP_SECONDS:
            self._since = monotonic
            log.warning("the time of day jumped by %+d s: nothing is deleted by time for %d s", jump, SETTLING_SECONDS)
        return self._clock.now() if monotonic - self._since >= SETTLING_SECONDS else 0

    def _read(self) -> float:
        """Return how far the time of day is ahead of the monotonic clock, in seconds."""
        return self._clock.now() / 1000 - self._clock.monotonic()
