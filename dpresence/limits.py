"""Rates: how often something may happen, and be logged."""

from __future__ import annotations

import logging
from collections import OrderedDict
from math import ceil

from .clock import Clock
from .errors import SlowDown

LONGEST_WAIT = 60
"""Seconds; nobody who is refused is told to stay away for longer."""


class TokenBucket:
    """``burst`` at once, ``rate`` a second after that.

    :param rate: tokens that come back, per second.
    :param burst: tokens it holds when full, as it is at first.
    """

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, n: float = 1, *, now: float) -> float:
        """Take ``n`` tokens, all or none.

        :param now: ``Clock.monotonic()``.
        :return: 0.0 when they were taken, else the seconds until they would be there.
        """
        wait = self.wait(n, now=now)
        if not wait:
            self._tokens -= n
        return wait

    def wait(self, n: float = 1, *, now: float) -> float:
        """Return the seconds until ``n`` tokens are there, 0.0 when they are; nothing is taken."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        return 0.0 if self._tokens >= n else (n - self._tokens) / self.rate

    def give(self, n: float = 1) -> None:
        """Put ``n`` tokens back."""
        self._tokens = min(self.burst, self._tokens + n)


class QueueBucket(TokenBucket):
    """A bucket that gives each refusal a later turn, so that not all who were refused come back at once."""

    __slots__ = ("_last_turn",)

    def __init__(self, rate: float, burst: float) -> None:
        super().__init__(rate, burst)
        self._last_turn = 0.0

    def take(self, n: float = 1, *, now: float) -> float:
        """Take ``n`` tokens, all or none.

        :param now: ``Clock.monotonic()``.
        :return: 0.0 when they were taken, else the seconds until this caller's turn.
        """
        return self.turn(now=now) if super().take(n, now=now) else 0.0

    def turn(self, *, now: float) -> float:
        """Return the seconds until the next turn that nobody has, at most ``LONGEST_WAIT``."""
        self._last_turn = min(max(self._last_turn, now) + 1 / self.rate, now + LONGEST_WAIT)
        return self._last_turn - now


class Buckets:
    """Token buckets by key, for the keys used last; one that is pushed out starts full again.

    :param most: how many keys are remembered.
    :param kind: the class of the buckets.
    """

    def __init__(self, rate: float, burst: float, most: int = 10_000, kind: type[TokenBucket] = TokenBucket) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._kind = kind
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str, n: float = 1, *, now: float) -> float:
        """Take ``n`` tokens of a key, all or none; see ``TokenBucket.take``."""
        bucket = self._buckets.get(key) or self._buckets.setdefault(key, self._kind(self._rate, self._burst))
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket.take(n, now=now)

    def give(self, key: str, n: float = 1) -> None:
        """Put ``n`` tokens of a key back."""
        if key in self._buckets:
            self._buckets[key].give(n)

    def wait(self, key: str, *, now: float) -> float:
        """Return the seconds until a key has a token, 0.0 when it has one; nothing is taken."""
        bucket = self._buckets.get(key)
        return bucket.wait(1, now=now) if bucket else 0.0


class RateLimit:
    """What one client address, account or application may do too often; ``key`` names it.

    :param what: the text of the refusal.
    :param most: how often within ``seconds``.
    """

    def __init__(self, what: str, most: int, seconds: float, clock: Clock) -> None:
        self._what = what
        self._buckets = Buckets(most / seconds, most)
        self._clock = clock

    def check(self, key: str) -> None:
        """Refuse a key that has nothing left.

        :raises SlowDown: with the time until it has.
        """
        self._refuse(self._buckets.wait(key, now=self._clock.monotonic()))

    def note(self, key: str) -> None:
        """Count one more, past the limit as well."""
        self._buckets.take(key, now=self._clock.monotonic())

    def charge(self, key: str) -> None:
        """Count one more, or refuse it.

        :raises SlowDown: with the time until there is one left.
        """
        self._refuse(self._buckets.take(key, now=self._clock.monotonic()))

    def give(self, key: str) -> None:
        """Take back what was charged for something that did not happen."""
        self._buckets.give(key)

    def _refuse(self, wait: float) -> None:
        if wait:
            raise SlowDown(self._what, retry_after=ceil(wait))


class LogLimit:
    """Warns of what an operator should change: each text once an hour, and 20 texts at once, so that no client can fill the log."""

    def __init__(self, clock: Clock) -> None:
        self._texts = Buckets(1 / 3600, 1, most=100)
        self._all = TokenBucket(20 / 3600, 20)
        self._clock = clock

    def warn(self, log: logging.Logger, text: str) -> None:
        """Log a warning unless its text was logged within the hour, or too many were."""
        now = self._clock.monotonic()
        if not self._texts.wait(text, now=now) and not self._all.take(now=now):
            self._texts.take(text, now=now)
            log.warning("%s", text)
