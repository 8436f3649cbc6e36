"""Slots for operations that may hang, shared by owners. If all are in use, the holder of the oldest is asked to release it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import gevent
from gevent.event import Event

from .errors import SlowDown
from .logs import spawn

T = TypeVar("T")


def run_until_slot_is_needed(work: Callable[[], T], wanted: Event, least_seconds: float) -> T | None:
    """Run work that holds a slot and return its result; cut it short, and return None, when another caller waits for the slot.

    :param wanted: the event that ``Slots.slot`` yields.
    :param least_seconds: seconds that the work has in any case.
    """
    run = spawn(_outcome, work)
    try:
        run.join(least_seconds)
        gevent.wait((run, wanted), count=1)
        if not run.ready():
            return None
        result, error = run.get()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]
    finally:
        run.kill()


def _outcome(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """Return the result or the error of work: gevent prints what a greenlet raises."""
    try:
        return work(), None
    except (Exception, gevent.Timeout) as error:  # raised again by the caller's greenlet
        return None, error


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
