"""Slots for work that may hang, shared by owners: where all are taken, the work that has taken longest gives way to a newcomer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event

from .errors import SlowDown


class Slots:
    """Hands out slots. An owner has few; a newcomer who finds none free has the holder of the oldest one asked to give way.

    :param most: slots in all.
    :param each: slots that one owner holds or waits for.
    """

    def __init__(self, most: int, each: int) -> None:
        self._free = most
        self._each = each
        self._of_owner: Counter[str] = Counter()
        self._holders: dict[Event, None] = {}  # those not asked to give way yet, the oldest first
        self._waiters: dict[Event, None] = {}  # who came first is first; none while a slot is free

    @contextmanager
    def slot(self, owner: str, what: str, patience_seconds: int) -> Iterator[Event]:
        """Hold a slot; yields an event that is set when somebody else wants it.

        :param what: names the work in a refusal.
        :param patience_seconds: how long a slot is waited for.
        :raises SlowDown: this owner holds enough, or none became free in time.
        """
        if self._of_owner[owner] >= self._each:
            raise SlowDown(f"too many of your {what}", retry_after=patience_seconds)
        self._of_owner[owner] += 1
        try:
            if not self._take(patience_seconds):
                raise SlowDown(f"too many {what}", retry_after=patience_seconds)
            try:
                yield from self._held()
            finally:
                self._release()
        finally:
            self._of_owner[owner] -= 1
            self._of_owner += Counter()  # forgets the owners who have none

    def _take(self, seconds: float) -> bool:
        """Take a slot, in the order of arrival; return whether there was one in time."""
        if self._free:
            self._free -= 1
            return True
        if self._holders:
            oldest = next(iter(self._holders))
            del self._holders[oldest]
            oldest.set()
        turn = Event()
        self._waiters[turn] = None
        try:
            turn.wait(seconds)
        except BaseException:
            if turn.is_set():
                self._release()
            raise
        finally:
            self._waiters.pop(turn, None)
        return bool(turn.is_set())

    def _release(self) -> None:
        if self._waiters:
            first = next(iter(self._waiters))
            del self._waiters[first]
            first.set()
        else:
            self._free += 1

    def _held(self) -> Iterator[Event]:
        wanted = Event()
        if self._waiters:
            wanted.set()
        else:
            self._holders[wanted] = None
        try:
            yield wanted
        finally:
            self._holders.pop(wanted, None)
