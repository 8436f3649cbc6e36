"""A fair queue in front of the database: no key's calls delay those of another, and calls of a sign-in have priority."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event

from ...errors import BackendUnavailable

URGENT_IN_A_ROW = 8
"""Number of consecutive urgent calls after which one other call is admitted, so that many sign-ins do not starve it."""


class _Waiter:
    """A call that waits for a slot or holds one."""

    __slots__ = ("admitted", "decided", "key", "refused", "urgent")

    def __init__(self, key: str, urgent: bool) -> None:
        self.key = key
        self.urgent = urgent
        self.admitted = self.refused = False
        self.decided = Event()


class FairQueue:
    """Assigns slots: first to urgent calls, then to keys in round-robin order, and to the calls of one key in order.

    The empty key is the service's own. Its calls come first among the urgent calls, and among the others, and are never refused.

    :param slots: maximum number of concurrent calls.
    :param reserved: number of slots that only urgent calls may use.
    :param each: maximum number of slots that the calls of one key may hold, urgent ones not counted.
    :param urgent_each: maximum number of slots that the urgent calls of one key may hold, other than the service's.
    :param max_calls: maximum number of calls that wait or run; the same number of urgent calls is allowed beside them.
    :param max_waiting_each: maximum number of waiting calls of one key.
    """

    def __init__(
        self,
        slots: int,
        reserved: int = 0,
        each: int | None = None,
        urgent_each: int | None = None,
        max_calls: int = 1000,
        max_waiting_each: int = 100,
    ) -> None:
        self._slots = slots
        self._reserved = reserved
        self._each = {False: each or slots, True: urgent_each or slots}
        self._max_calls = max_calls
        self._max_waiting_each = max_waiting_each
        self._waiting: dict[bool, OrderedDict[str, deque[_Waiter]]] = {True: OrderedDict(), False: OrderedDict()}  # by urgency, key
        self._calls: Counter[bool] = Counter()  # waiting or running
        self._held: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}  # slots by urgency, key
        self._in_a_row = 0

    @contextmanager
    def slot(self, key: str, urgent: bool = False) -> Iterator[None]:
        """Wait for a slot and hold it.

        :raises BackendUnavailable: too many calls of this key wait, or the queue is full and this key has the most waiting calls.
        """
        waiter = self._join(key, urgent)
        try:
            self._admit()
            waiter.decided.wait()
            if waiter.refused:
                raise BackendUnavailable
            yield
        finally:
            self._leave(waiter)

    @property
    def calls(self) -> int:
        """Number of calls that wait or run."""
        return self._calls.total()

    @property
    def crowded(self) -> bool:
        """True if non-urgent calls are waiting because all slots are in use."""
        return bool(self._waiting[False])

    def refuses(self, key: str, urgent: bool = False) -> bool:
        """Return whether a call of this key would be refused now; the service's own never are."""
        own = len(self._waiting[urgent].get(key, ()))
        share_full = not urgent and own >= self._max_waiting_each
        return bool(key) and (share_full or (self._is_full(urgent) and len(self._longest(urgent)) <= own + 1))

    def _is_full(self, urgent: bool) -> bool:
        return self._calls[urgent] >= self._max_calls

    def _longest(self, urgent: bool) -> deque[_Waiter]:
        return max((waiters for key, waiters in self._waiting[urgent].items() if key), key=len, default=deque())

    def _join(self, key: str, urgent: bool) -> _Waiter:
        if self.refuses(key, urgent):
            raise BackendUnavailable
        if key and self._is_full(urgent):
            self._make_room(urgent)
        queue = self._waiting[urgent]
        waiter = _Waiter(key, urgent)
        queue.setdefault(key, deque()).append(waiter)
        if not key:
            queue.move_to_end(key, last=False)
        self._calls[urgent] += 1
        return waiter

    def _make_room(self, urgent: bool) -> None:
        """Refuse the newest call of the key with the most waiting calls."""
        newest = self._longest(urgent)[-1]
        newest.refused = True
        newest.decided.set()
        self._forget(newest)

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.admitted:
            self._calls[waiter.urgent] -= 1
            held = self._held[waiter.urgent]
            held[waiter.key] -= 1
            if not held[waiter.key]:
                del held[waiter.key]
            self._admit()
        elif not waiter.refused:
            self._forget(waiter)

    def _forget(self, waiter: _Waiter) -> None:
        queue = self._waiting[waiter.urgent]
        queue[waiter.key].remove(waiter)
        if not queue[waiter.key]:
            del queue[waiter.key]
        self._calls[waiter.urgent] -= 1

    def _admit(self) -> None:
        while (waiter := self._next()) is not None:
            waiter.admitted = True
            self._held[waiter.urgent][waiter.key] += 1
            self._in_a_row = self._in_a_row + 1 if waiter.urgent else 0
            waiter.decided.set()

    def _next(self) -> _Waiter | None:
        """Remove the next call from the queue and return it; None if no call is waiting or no slot is free for it."""
        others = self._held[False].total()
        if self._held[True].total() + others >= self._slots:
            return None
        key = self._next_key(False) if others < self._slots - self._reserved else None
        urgent_key = self._next_key(True)
        if urgent_key is not None and (key is None or self._in_a_row < URGENT_IN_A_ROW):
            return self._take(True, urgent_key)
        return None if key is None else self._take(False, key)

    def _next_key(self, urgent: bool) -> str | None:
        """Return the first key with a waiting call that may hold one more slot."""
        held, most = self._held[urgent], self._each[urgent]
        return next((key for key in self._waiting[urgent] if held[key] < most or (urgent and not key)), None)

    def _take(self, urgent: bool, key: str) -> _Waiter:
        queue = self._waiting[urgent]
        waiter = queue[key].popleft()
        if queue[key]:
            if key:
                queue.move_to_end(key)
        else:
            del queue[key]
        return waiter
