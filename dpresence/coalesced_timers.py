"""Timers of periodic work that end together, four times a second, so that an idle process wakes up rarely.

A wake-up of an idle process takes about 0.2 ms, most of it because its code and data are no longer in the processor's caches.
"""

from __future__ import annotations

import random
import time
from functools import cache
from typing import Any

import gevent
from gevent.hub import Waiter

INTERVAL_SECONDS = 0.25
"""Seconds between two times at which timers end. Shorter ones end when they are due."""


class CoalescedTimers:
    """Wakes the greenlets whose timers end at about the same time together. See ``timers_of``."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._phase = random.uniform(0, INTERVAL_SECONDS)  # noqa: S311 - processes of one machine work at different times
        self._waiting: dict[int, list[Waiter[float]]] = {}
        self._timer: Any = None  # of the first time for which a greenlet waits
        self._next = 0

    def sleep(self, seconds: float) -> float:
        """Sleep until the common time that is nearest to so many seconds from now; for less than half an interval, exactly so long.

        :return: seconds by which the event loop was late.
        """
        if seconds < INTERVAL_SECONDS / 2:
            due = time.monotonic() + seconds
            gevent.sleep(seconds)
            return max(0.0, time.monotonic() - due)
        number = max(round((self._now() + seconds) / INTERVAL_SECONDS), self._present() + 1)
        waiter: Waiter[float] = Waiter(self._hub)
        self._waiting.setdefault(number, []).append(waiter)
        if self._timer is None or number < self._next:
            self._start_timer(number)
        late: float = waiter.get()  # a greenlet that is killed meanwhile leaves a waiter that does nothing
        return late

    def _now(self) -> float:
        return time.monotonic() - self._phase

    def _present(self) -> int:
        return int(self._now() / INTERVAL_SECONDS)

    def _start_timer(self, number: int) -> None:
        self._stop_timer()
        self._next = number
        self._timer = self._hub.loop.timer(max(0.0, number * INTERVAL_SECONDS - self._now()))
        self._timer.start(self._wake, update=True)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def _wake(self) -> None:
        self._stop_timer()
        late = max(0.0, self._now() - self._next * INTERVAL_SECONDS)
        present = max(self._present(), self._next)  # a timer may be early by the precision of the clock
        due = sorted(number for number in self._waiting if number <= present)
        waiters = [waiter for number in due for waiter in self._waiting.pop(number)]
        if self._waiting:
            self._start_timer(min(self._waiting))
        for waiter in waiters:
            waiter.switch(late)


@cache
def timers_of(hub: Any) -> CoalescedTimers:
    """Return the ``CoalescedTimers`` of a gevent hub; each thread has one hub."""
    return CoalescedTimers(hub)


def sleep_coalesced(seconds: float) -> float:
    """See ``CoalescedTimers.sleep``."""
    return timers_of(gevent.get_hub()).sleep(seconds)
