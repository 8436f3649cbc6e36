"""Slots for operations that may hang, shared by owners. If all are in use, the holder of the oldest is asked to release it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event

from .errors import SlowDown


class Slots:
    """A semaphore with a limit per owner. When no slot is free, a new caller waits and the holder of the oldest slot is notified.

    :param total: number of slots.
    :param max_each: maximum number of slots that one owner may hold or wait for.
    """

    def __init__(self, total: int, max_each: int) -> None:
        self._free = total
        self._max_each = max_each
        self._of_owner: Counter[str] = Counter()
        self._holders: dict[Event, None] = {}  # holders that were not notified yet, oldest first
        self._waiters: dict[Event, None] = {}  # oldest first; empty while a slot is free

    @contextmanager
    def slot(self, owner: str, what: str, patience_seconds: int) -> Iterator[Event]:
        """Hold a slot; yield an event that is set when another caller waits for it.

        :param what: name of the operations in an error text, plural.
        :param patience_seconds: maximum seconds to wait for a slot.
        :raises SlowDown: the owner is at its limit, or no slot became free in time.
        """
        if self._of_owner[owner] >= self._max_each:
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
            self._of_owner += Counter()  # removes the owners with a count of 0

    def _take(self, seconds: float) -> bool:
        """Take a slot, first come, first served; return whether one became free in time."""
        if self._free:
            self._free -= 1
            return True
        if self._holders:
            oldest = next(iter(self._holders))
            del self._holders[oldest]
            oldest.set()
        granted = Event()
        self._waiters[granted] = None
        try:
            granted.wait(seconds)
        except BaseException:
            if granted.is_set():
                self._release()
            raise
        finally:
            self._waiters.pop(granted, None)
        return bool(granted.is_set())

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
