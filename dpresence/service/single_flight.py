"""Work that runs once at a time per key, shared by concurrent callers that wait for it."""

from __future__ import annotations

from collections.abc import Callable

from gevent import Timeout
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore

from ..errors import BackendUnavailable


class _KeyState:
    """The state of one key: the lock of the current run, and the result of the next run if a caller waits for it."""

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
        self._keys: dict[str, _KeyState] = {}

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
        state = self._keys.setdefault(key, _KeyState())
        if state.next is None:
            self._lead(key, state)
        else:
            self._share(state.next)

    def _share(self, result: AsyncResult) -> None:
        try:
            result.get(timeout=2 * self._seconds)
        except Timeout:
            raise BackendUnavailable from None

    def _lead(self, key: str, state: _KeyState) -> None:
        """Run the work for all callers that wait for it."""
        result = state.next = AsyncResult()
        try:
            self._wait(state)
            self._run(key, state)
            result.set()
        finally:
            if not result.ready():
                result.set_exception(BackendUnavailable())
            if state.next is None and not state.lock.locked():
                del self._keys[key]

    def _wait(self, state: _KeyState) -> None:
        try:
            if not state.lock.acquire(timeout=self._seconds):
                raise BackendUnavailable
        finally:
            state.next = None  # later callers need another run, because this one starts now

    def _run(self, key: str, state: _KeyState) -> None:
        try:
            self._work(key)
        finally:
            state.lock.release()
