"""Whose turn it is: work for one key at a time, however many ask for it, and long work that lets others in between."""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent import Timeout
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore

from ..errors import BackendUnavailable

_PAUSE_SECONDS = 0.001


def give_way() -> None:
    """Let everybody else have a turn in the middle of long work.

    Sockets and timers, too: ``gevent.sleep(0)`` lets greenlets run that are ready, and gevent looks at no socket before fifty
    of them have, of which this one may be all.
    """
    gevent.sleep(_PAUSE_SECONDS)


class _Key:
    """The turns of one key: the one that runs, and the one that is next, if somebody waits for it."""

    __slots__ = ("lock", "next")

    def __init__(self) -> None:
        self.lock = BoundedSemaphore()
        self.next: AsyncResult | None = None


class Turns:
    """Runs ``work(key)``. Who asks while it runs shares the next turn with everybody else who does.

    So what was there before somebody asked is dealt with, and nobody waits for more than two turns.

    :param seconds: how long to wait for a turn.
    """

    def __init__(self, work: Callable[[str], None], seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._keys: dict[str, _Key] = {}

    def runs(self, key: str) -> bool:
        """Return whether a turn runs or is waited for."""
        return key in self._keys

    def awaited(self, key: str) -> bool:
        """Return whether somebody waits for a turn that has yet to begin."""
        return key in self._keys and self._keys[key].next is not None

    def take(self, key: str) -> None:
        """Return when a turn that began after this call is over.

        :raises BackendUnavailable: there was no turn in time, or whoever took it failed.
        """
        turns = self._keys.setdefault(key, _Key())
        if turns.next is None:
            self._lead(key, turns)
        else:
            self._share(turns.next)

    def _share(self, result: AsyncResult) -> None:
        try:
            result.get(timeout=2 * self._seconds)
        except Timeout:
            raise BackendUnavailable from None

    def _lead(self, key: str, turns: _Key) -> None:
        result = turns.next = AsyncResult()
        try:
            self._wait(turns)
            self._run(key, turns)
            result.set()
        finally:
            if not result.ready():
                result.set_exception(BackendUnavailable())
            if turns.next is None and not turns.lock.locked():
                del self._keys[key]

    def _wait(self, turns: _Key) -> None:
        try:
            if not turns.lock.acquire(timeout=self._seconds):
                raise BackendUnavailable
        finally:
            turns.next = None  # who asks from now on may be too late for this turn

    def _run(self, key: str, turns: _Key) -> None:
        try:
            self._work(key)
        finally:
            turns.lock.release()
