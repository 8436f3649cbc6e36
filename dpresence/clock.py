"""Clocks. They are injected everywhere, so that tests can control time."""

from __future__ import annotations

import logging
import time
from functools import cached_property

log = logging.getLogger(__name__)

JUMP_SECONDS = 60
"""Minimum change of the time of day against the monotonic clock, in seconds, that counts as a jump."""
SETTLING_SECONDS = 600
"""Seconds without another jump before a ``SteadyClock`` follows a jump. NTP sets a clock within this time after a boot."""


class Clock:
    """The system's clocks. Tests replace it by ``tests.support.FakeClock``."""

    def now(self) -> int:
        """Return the time of day in integer milliseconds since the epoch, UTC.

        It is for timestamps that are displayed or compared with those of other machines.
        """
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)
    """Return seconds that never decrease, for timeouts and rates. An update reads them several times: this saves the method."""

    @cached_property
    def steady(self) -> SteadyClock:
        """The time of day without jumps, for the expiry of stored data."""
        return SteadyClock(self)


class SteadyClock:
    """The time of day, which follows a jump only when no other jump occurs for ``SETTLING_SECONDS``.

    A board without a battery boots with an arbitrary time of day. Without this delay, a clock that is set wrong and then corrected
    would expire all data that is stored for a limited time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._last_offset = clock.now() / 1000 - clock.monotonic()  # the offset in use, and the last one read, in seconds
        self._stable_since = clock.monotonic()
        self._second, self._second_ends_at = 0, 0.0  # see ``second``

    def second(self, monotonic: float) -> int:
        """Return ``now`` rounded down to a second, in milliseconds. An update needs no more, and saves the calls of ``now``.

        :param monotonic: ``Clock.monotonic()``.
        """
        if monotonic >= self._second_ends_at:
            now = self.now()
            self._second = now // 1000 * 1000
            self._second_ends_at = monotonic + 1 - (now - self._second) / 1000
        return self._second

    def now(self) -> int:
        """Return the time of day (ms) without jumps."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        offset = now / 1000 - monotonic
        if abs(offset - self._last_offset) <= JUMP_SECONDS >= abs(offset - self._offset):  # each entry of a feed takes this way
            self._last_offset = self._offset = offset
            return now
        jump, self._last_offset = offset - self._last_offset, offset
        if abs(jump) > JUMP_SECONDS:
            self._stable_since = monotonic
            log.warning("the time of day jumped by %+d s: it does not expire stored data for %d s", jump, SETTLING_SECONDS)
        if abs(offset - self._offset) <= JUMP_SECONDS or self._is_stable(monotonic):
            self._offset = offset
        return now if self._offset == offset else round((self._offset + monotonic) * 1000)

    def trusted(self) -> int:
        """Return the time of day (ms), or 0 while the last jump is less than ``SETTLING_SECONDS`` ago, so that nothing expires."""
        now = self.now()
        return now if self._is_stable(self._clock.monotonic()) else 0

    def _is_stable(self, monotonic: float) -> bool:
        return monotonic - self._stable_since >= SETTLING_SECONDS
