"""Cooperative scheduling: one run per key at a time, shared by concurrent callers, and yielding to the event loop in long work."""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent import Timeout
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore

from ..errors import BackendUnavailable

_PAUSE_SECONDS = 0.001


def yield_to_loop() -> None:
    """Yield to the event loop in the middle of long work, so that it handles sockets and timers.

    ``gevent.sleep(0)`` is not sufficient: it only runs other greenlets that are ready, and gevent polls sockets only after up to 50
    such switches.
    """
    gevent.sleep(_PAUSE_SECONDS)


class _Runs:
    """The runs of one key: the lock of the current run, and the result of the next run if a caller waits for it."""

    __slots__ = ("lock", "next")

    def __init__(self) -> None:
        self.lock = BoundedSemaphore()
        self.next: AsyncResult | None = None


class SingleFlight:
    """Runs ``work(key)`` once at a time per key. All callers that arrive during a run share the next run.

    Every caller gets a run that started after its call, and waits for two runs at most.

    :param seconds: maximum seconds to wait for the start of a run.
    """

    def __init__(self, work: Callable[[str], None], seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._keys: dict[str, _Runs] = {}

    def running(self, key: str) -> bool:
        """Return whether a run of a key is in progress or scheduled."""
        return key in self._keys

    def pending(self, key: str) -> bool:
        """Return whether a caller waits for a run that has not started."""
        return key in self._keys and self._keys[key].next is not None

    def run(self, key: str) -> None:
        """Wait for the end of a run that started after this call; start it if no other caller does.

        :raises BackendUnavailable: no run started in time, or the run of another caller failed.
        """
        runs = self._keys.setdefault(key, _Runs())
        if runs.next is None:
            self._lead(key, runs)
        else:
            self._share(runs.next)

    def _share(self, result: AsyncResult) -> None:
        try:
            result.get(timeout=2 * self._seconds)
        except Timeout:
            raise BackendUnavailable from None

    def _lead(self, key: str, runs: _Runs) -> None:
        """Run the work for all callers that wait for it."""
        result = runs.next = AsyncResult()
        try:
            self._wait(runs)
            self._run(key, runs)
            result.set()
        finally:
            if not result.ready():
                result.set_exception(BackendUnavailable())
            if runs.next is None and not runs.lock.locked():
                del self._keys[key]

    def _wait(self, runs: _Runs) -> None:
        try:
            if not runs.lock.acquire(timeout=self._seconds):
                raise BackendUnavailable
        finally:
            runs.next = None  # later callers need another run, because this one starts now

    def _run(self, key: str, runs: _Runs) -> None:
        try:
            self._work(key)
        finally:
            runs.lock.release()
