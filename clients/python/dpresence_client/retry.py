"""Time of the reconnection after a connection has ended (docs/protocol.md, section 7). Times are seconds of any monotonic clock."""

from __future__ import annotations

import enum
import re
from typing import Callable

MAX_SECONDS = 60.0
STEADY_SECONDS = 30.0
"""A connection that lasted this long resets the backoff."""
LATER_FAILURES = 3
"""Least number of failures in a row that ``Retry.LATER`` counts as."""
_STOP = frozenset((1002, 1003, 1007, 1009))
_LATER = frozenset((1008, 1011, 1013))
_RETRY_AFTER = re.compile(r"retry_after=(\d{1,9})$")
_MAX_EXPONENT = 6


class Retry(enum.Enum):
    """The step after the end of a connection."""

    STOP = "stop"
    LATER = "later"
    """Come back, with a backoff that begins at some seconds."""
    SOON = "soon"
    SLOT = "slot"
    """Come back at the time that the service has assigned, without a longer backoff: whoever comes much later looks offline meanwhile."""
    RENEW = "renew"
    """Come back soon, with a new assertion."""


def after_close(code: int) -> Retry:
    """Return what to do after a close code. An unknown code is treated by its range: 40xx, 41xx, 42xx."""
    if code == 4202:
        return Retry.RENEW
    if code in _STOP or 4000 <= code < 4100:
        return Retry.STOP
    if code in _LATER or 4100 <= code < 4200:
        return Retry.LATER
    return Retry.SOON


def retry_after(reason: str) -> int:
    """Return the seconds that the reason of a close frame demands; 0 if it demands none."""
    found = _RETRY_AFTER.search(reason)
    return int(found[1]) if found else 0


def backoff(failures: int, least: float, random: Callable[[], float]) -> float:
    """Return the wait in seconds, with full jitter, so that clients that lost their connection together do not come back together.

    :param failures: failures in a row before this one.
    :param least: seconds that the service demanded; the random part comes on top of them.
    :param random: returns a number from 0 to 1.
    """
    return least + random() * min(MAX_SECONDS, 2.0 ** min(failures, _MAX_EXPONENT))


class RetrySchedule:
    """Computes the time of the next attempt; the wait grows with each failure in a row."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0
        self._connected_at: float | None = None

    def connected(self, now: float) -> None:
        """Note that a connection has signed in."""
        self._connected_at = now

    def failed(self, retry: Retry, least: float, now: float) -> float:
        """Note a failure; return the time of the next attempt. A slot is no failure, as the service limits the rate itself."""
        if retry is Retry.SLOT:
            return now + backoff(0, least, self._random)
        if self._connected_at is not None and now - self._connected_at >= STEADY_SECONDS:
            self._failures = 0
        if retry is Retry.LATER:
            self._failures = max(self._failures, LATER_FAILURES)
        wait = backoff(self._failures, least, self._random)
        self._connected_at = None
        self._failures += 1
        return now + wait
