"""A fair queue in front of the database: nobody's calls stand in the way of another's, and sign-in waits behind nobody."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event

from ...errors import BackendUnavailable

URGENT_IN_A_ROW = 8
"""After so many urgent calls in a row one other has its turn, so that a storm of sign-ins stops nothing."""


class _Waiter:
    """A call that waits for a slot, or has one."""

    __slots__ = ("admitted", "key", "refused", "urgent", "woken")

    def __init__(self, key: str, urgent: bool) -> None:
        self.key = key
        self.urgent = urgent
        self.admitted = self.refused = False
        self.woken = Event()


class FairQueue:
    """Hands out slots: to urgent calls first, else to each key in turn, and to the calls of one key in their order.

    :param slots: how many calls may be under way at the same time.
    :param reserved: how many of the slots only urgent calls get.
    :param each: how many slots the calls of one key may hold.
    :param most: how many calls may wait or be under way; as many urgent ones may beside them.
    :param most_each: how many calls of one key may wait.
    """

    def __init__(self, slots: int, reserved: int = 0, each: int | None = None, most: int = 1000, most_each: int = 100) -> None:
        self._slots = slots
        self._reserved = reserved
        self._each = each or slots
        self._most = most
        self._most_each = most_each
        self._waiting: dict[bool, OrderedDict[str, deque[_Waiter]]] = {True: OrderedDict(), False: OrderedDict()}  # by urgency, key
        self._calls: Counter[bool] = Counter()  # waiting or under way
        self._held: Counter[str] = Counter()  # slots by key, urgent calls not counted
        self._held_urgently = 0
        self._in_a_row = 0

    @contextmanager
    def slot(self, key: str, urgent: bool = False) -> Iterator[None]:
        """Wait for a slot and hold it.

        :raises BackendUnavailable: too many calls of this key wait, or too many of all and this key has the most.
        """
        waiter = self._join(key, urgent)
        try:
            self._admit()
            waiter.woken.wait()
            if waiter.refused:
                raise BackendUnavailable
            yield
        finally:
            self._leave(waiter)

    @property
    def crowded(self) -> bool:
        """Whether calls wait that are not urgent: the slots are taken, and go on being taken."""
        return bool(self._waiting[False])

    def _join(self, key: str, urgent: bool) -> _Waiter:
        lane = self._waiting[urgent]
        own = len(lane.get(key, ()))
        if (not urgent and own >= self._most_each) or (self._calls[urgent] >= self._most and not self._make_room(lane, own)):
            raise BackendUnavailable
        waiter = _Waiter(key, urgent)
        lane.setdefault(key, deque()).append(waiter)
        self._calls[urgent] += 1
        return waiter

    def _make_room(self, lane: OrderedDict[str, deque[_Waiter]], own: int) -> bool:
        """Refuse the newest call of whom the most wait, unless the newcomer's own are as many."""
        longest = max(lane.values(), key=len, default=deque())
        if len(longest) <= own + 1:
            return False
        longest[-1].refused = True
        longest[-1].woken.set()
        self._forget(longest[-1])
        return True

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.admitted:
            self._calls[waiter.urgent] -= 1
            if waiter.urgent:
                self._held_urgently -= 1
            else:
                self._held[waiter.key] -= 1
                if not self._held[waiter.key]:
                    del self._held[waiter.key]
            self._admit()
        elif not waiter.refused:
            self._forget(waiter)

    def _forget(self, waiter: _Waiter) -> None:
        lane = self._waiting[waiter.urgent]
        lane[waiter.key].remove(waiter)
        if not lane[waiter.key]:
            del lane[waiter.key]
        self._calls[waiter.urgent] -= 1

    def _admit(self) -> None:
        while (waiter := self._next()) is not None:
            waiter.admitted = True
            if waiter.urgent:
                self._held_urgently += 1
                self._in_a_row += 1
            else:
                self._held[waiter.key] += 1
                self._in_a_row = 0
            waiter.woken.set()

    def _next(self) -> _Waiter | None:
        """Take the call whose turn it is out of those that wait; None while there is none, or no slot for it."""
        others = self._held.total()
        if self._held_urgently + others >= self._slots:
            return None
        may = others < self._slots - self._reserved
        key = next((key for key in self._waiting[False] if self._held[key] < self._each), None) if may else None
        if self._waiting[True] and (key is None or self._in_a_row < URGENT_IN_A_ROW):
            return self._take(True, next(iter(self._waiting[True])))
        return None if key is None else self._take(False, key)

    def _take(self, urgent: bool, key: str) -> _Waiter:
        lane = self._waiting[urgent]
        waiter = lane[key].popleft()
        if lane[key]:
            lane.move_to_end(key)
        else:
            del lane[key]
        return waiter
