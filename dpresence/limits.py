"""Rate limits: token buckets, by key, and for log messages."""

from __future__ import annotations

import logging
from collections import OrderedDict
from functools import cache
from itertools import islice
from math import ceil

from .clock import Clock
from .errors import SlowDown

LONGEST_WAIT = 60
"""Maximum ``retry_after`` of a ``QueueBucket``, in seconds."""
_MIN_STATES = 1000
"""Number of keys up to which ``RateStates`` stores full buckets."""
_LOOKED_AT = 2
"""Number of buckets that are looked at for each new one, to delete those that are full again."""


class TokenBucket:
    """A token bucket. It is full at first.

    :param rate: tokens added per second.
    :param burst: maximum number of tokens.
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
        :return: 0.0 when they were taken, else the seconds until they would be available.
        """
        wait = self.wait(n, now=now)
        if not wait:
            self._tokens -= n
        return wait

    def wait(self, n: float = 1, *, now: float) -> float:
        """Return the seconds until ``n`` tokens are available, without taking them."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        return 0.0 if self._tokens >= n else (n - self._tokens) / self.rate

    def give(self, n: float = 1) -> None:
        """Put ``n`` tokens back."""
        self._tokens = min(self.burst, self._tokens + n)

    def unused(self, *, now: float) -> bool:
        """Return whether the bucket is as a new one would be, so that it need not be stored."""
        return not self.wait(self.burst, now=now)


class RateRule:
    """A token bucket without a state of its own (the generic cell rate algorithm), for limits that thousands of objects have.

    Its state is one number, which the object that is limited stores: the time at which the bucket is full again, 0.0 at first.

    :param rate: tokens added per second.
    :param burst: maximum number of tokens, at least one.
    :ivar interval: seconds in which one is added. While the bucket is full, nearly always, the state after a token was taken is
        ``now + interval``: an update computes that itself and saves three calls of ``take``.
    """

    __slots__ = ("_seconds", "interval")

    def __init__(self, rate: float, burst: float) -> None:
        self.interval = 1 / rate
        self._seconds = burst / rate + 1e-6  # the sum of many intervals is not exact

    def take(self, full_at: float, now: float) -> float:
        """Return the state after one token was taken, 0.0 if there is none.

        :param full_at: the state.
        :param now: ``Clock.monotonic()``.
        """
        full_at = (full_at if full_at > now else now) + self.interval
        return full_at if full_at - now <= self._seconds else 0.0

    def wait(self, full_at: float, now: float) -> float:
        """Return the seconds until a token is available."""
        return max(0.0, max(full_at, now) + self.interval - self._seconds - now)


rate_rule = cache(RateRule)
"""Return the ``RateRule`` of a rate and a burst, which all objects with these limits share."""


class RateStates:
    """A ``RateRule`` for many keys. It stores a number for each key whose bucket is not full; a token bucket costs three times the CPU.

    :param max_keys: maximum number of keys. Beyond it, the oldest tenth starts again with full buckets.
    """

    __slots__ = ("_full_at", "_max_keys", "_purge_at", "rule")

    def __init__(self, rate: float, burst: float, max_keys: int) -> None:
        self.rule = rate_rule(rate, burst)
        self._max_keys = max_keys
        self._full_at: dict[str, float] = {}
        self._purge_at = _MIN_STATES  # number of keys at which those with full buckets are deleted

    def take(self, key: str, now: float) -> float:
        """Take a token of a key.

        :param now: ``Clock.monotonic()``.
        :return: 0.0 when it was taken, else the seconds until there is one.
        """
        before = self._full_at.get(key, 0.0)
        full_at = self.rule.take(before, now)
        if not full_at:
            return self.rule.wait(before, now)
        self.put(key, full_at, now)
        return 0.0

    def wait(self, key: str, now: float) -> float:
        """Return the seconds until a key has a token, without taking it."""
        return self.rule.wait(self._full_at.get(key, 0.0), now)

    def pop(self, key: str) -> float:
        """Remove the state of a key and return it."""
        return self._full_at.pop(key, 0.0)

    def put(self, key: str, full_at: float, now: float) -> None:
        """Store the state of a key."""
        self._full_at[key] = full_at
        if len(self._full_at) >= self._purge_at:
            self._purge(now)

    def _purge(self, now: float) -> None:
        """Delete what need not be stored. The next time is when there are twice as many keys, so that a key costs one step on average."""
        left = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        if len(left) >= self._max_keys:
            left = dict(islice(left.items(), self._max_keys // 10, None))
        self._full_at = left
        self._purge_at = min(max(_MIN_STATES, 2 * len(left)), self._max_keys)


class QueueBucket(TokenBucket):
    """A token bucket that gives each refused caller a later time slot, so that they do not all retry at once."""

    __slots__ = ("_last_slot",)

    def __init__(self, rate: float, burst: float) -> None:
        super().__init__(rate, burst)
        self._last_slot = 0.0

    def take(self, n: float = 1, *, now: float) -> float:
        """Take ``n`` tokens, all or none.

        :param now: ``Clock.monotonic()``.
        :return: 0.0 when they were taken, else the seconds until this caller's time slot.
        """
        return self.reserve_slot(now=now) if super().take(n, now=now) else 0.0

    def reserve_slot(self, *, now: float) -> float:
        """Reserve the next free time slot and return the seconds until it, at most ``LONGEST_WAIT``."""
        self._last_slot = min(max(self._last_slot, now) + 1 / self.rate, now + LONGEST_WAIT)
        return self._last_slot - now

    def unused(self, *, now: float) -> bool:
        """Return whether the bucket is full, and all reserved slots are over."""
        return self._last_slot <= now and super().unused(now=now)


class Buckets:
    """Token buckets by key, with least-recently-used eviction. An evicted key starts again with a full bucket.

    A new bucket deletes up to two that are full again: each takes 250 bytes, and most keys are silent most of the time.

    :param max_keys: maximum number of keys.
    :param kind: the class of the buckets.
    """

    def __init__(self, rate: float, burst: float, max_keys: int = 10_000, kind: type[TokenBucket] = TokenBucket) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._kind = kind
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str, n: float = 1, *, now: float) -> float:
        """Take ``n`` tokens of a key, all or none; see ``TokenBucket.take``."""
        bucket = self._buckets.get(key) or self._new(key, now)
        self._buckets.move_to_end(key)
        return bucket.take(n, now=now)

    def _new(self, key: str, now: float) -> TokenBucket:
        for _ in range(min(_LOOKED_AT, len(self._buckets))):
            if not next(iter(self._buckets.values())).unused(now=now):
                break
            self._buckets.popitem(last=False)
        if len(self._buckets) >= self._max_keys:
            self._buckets.popitem(last=False)
        bucket = self._buckets[key] = self._kind(self._rate, self._burst)
        return bucket

    def give(self, key: str, n: float = 1) -> None:
        """Put ``n`` tokens of a key back."""
        if key in self._buckets:
            self._buckets[key].give(n)

    def wait(self, key: str, *, now: float) -> float:
        """Return the seconds until a key has a token, without taking it."""
        bucket = self._buckets.get(key)
        return bucket.wait(1, now=now) if bucket else 0.0


class RateLimit:
    """Limit on an operation per key, which is a client address, account or application.

    :param what: error text of a refusal.
    :param limit: maximum number of operations within ``seconds``.
    """

    def __init__(self, what: str, limit: int, seconds: float, clock: Clock) -> None:
        self._what = what
        self._buckets = Buckets(limit / seconds, limit)
        self._clock = clock

    def check(self, key: str) -> None:
        """Check that a key is within its limit, without counting an operation.

        :raises SlowDown: the key is over its limit.
        """
        self._refuse(self._buckets.wait(key, now=self._clock.monotonic()))

    def record(self, key: str) -> None:
        """Count an operation unless the key is at its limit; never raises."""
        self._buckets.take(key, now=self._clock.monotonic())

    def charge(self, key: str) -> None:
        """Count an operation.

        :raises SlowDown: the key is over its limit; the operation is not counted.
        """
        self._refuse(self._buckets.take(key, now=self._clock.monotonic()))

    def give(self, key: str) -> None:
        """Undo ``charge`` for an operation that did not happen."""
        self._buckets.give(key)

    def _refuse(self, wait: float) -> None:
        if wait:
            raise SlowDown(self._what, retry_after=ceil(wait))


class LogLimit:
    """Logs warnings to the operator: the same one once an hour, 20 an hour in all, so that no client can flood the log."""

    def __init__(self, clock: Clock) -> None:
        self._kinds = Buckets(1 / 3600, 1, max_keys=100)
        self._all = TokenBucket(20 / 3600, 20)
        self._clock = clock

    def warn(self, log: logging.Logger, text: str, kind: str = "") -> None:
        """Log a warning, unless the same one was logged within the hour or too many warnings were.

        :param kind: what makes it the same one, where its text holds what a client sent; else the text does.
        """
        now, kind = self._clock.monotonic(), kind or text
        if not self._kinds.wait(kind, now=now) and not self._all.take(now=now):
            self._kinds.take(kind, now=now)
            log.warning("%s", text)
