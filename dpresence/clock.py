"""Time, injected everywhere so that tests can move it."""

from __future__ import annotations

import logging
import time
from functools import cached_property

log = logging.getLogger(__name__)

JUMP_SECONDS = 60
"""A time of day that moves by more than this against the monotonic clock has jumped."""
SETTLING_SECONDS = 600
"""How long a time of day that has jumped stands before it counts: long enough for NTP to set a clock after a boot."""


class Clock:
    """The real clock; ``tests.support.FakeClock`` stands in for it."""

    def now(self) -> int:
        """Return the time of day in integer milliseconds since the epoch, UTC: for what is shown, or compared with other clocks."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go backwards: for waiting and for rates."""
        return time.monotonic()

    @cached_property
    def steady(self) -> SteadyClock:
        """The time of day without its jumps: for the end of what is stored."""
        return SteadyClock(self)


class SteadyClock:
    """The time of day, which follows a jump only when it has stood for ``SETTLING_SECONDS``.

    A board without a battery boots at any time of day, and a clock that is set wrong and then right again would take with
    it all that is kept for a day.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._seen = self._read()  # what is followed, and the last one read
        self._since = clock.monotonic()

    def now(self) -> int:
        """Return the time of day (ms) without jumps: what ends by it ends early or late by no more than a jump that was mended."""
        offset, monotonic = self._read(), self._clock.monotonic()
        jump, self._seen = offset - self._seen, offset
        if abs(jump) > JUMP_SECONDS:
            self._since = monotonic
            log.warning("the time of day jumped by %+d s: nothing that is stored ends by it for %d s", jump, SETTLING_SECONDS)
        if abs(offset - self._offset) <= JUMP_SECONDS or self._stands(monotonic):
            self._offset = offset
        return self._clock.now() if self._offset == offset else round((self._offset + monotonic) * 1000)

    def settled(self) -> int:
        """Return the time of day (ms) once it has stood for ``SETTLING_SECONDS``, until then 0: nothing is deleted."""
        now = self.now()
        return now if self._stands(self._clock.monotonic()) else 0

    def _stands(self, monotonic: float) -> bool:
        return monotonic - self._since >= SETTLING_SECONDS

    def _read(self) -> float:
        """Return how far the time of day is ahead of the monotonic clock, in seconds."""
        return self._clock.now() / 1000 - self._clock.monotonic()
