"""A check that a store accepts writes, for the heartbeat: reads alone would not detect a full disk."""

from __future__ import annotations

from collections.abc import Callable

from gevent.lock import BoundedSemaphore

from ...clock import Clock
from ...errors import BackendUnavailable

ACCEPTED_SECONDS = 5.0
"""Seconds for which the result of a successful write is reused."""
REFUSED_SECONDS = 1.0
"""Seconds for which the result of a failed write is reused."""


class WriteCheck:
    """Writes at intervals; calls in between reuse the latest result.

    :param write: performs the write or raises ``BackendUnavailable``.
    """

    def __init__(self, write: Callable[[], object], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._lock = BoundedSemaphore(1)
        self._accepted = False
        self._until = 0.0

    def check(self) -> None:
        """Return if the latest write succeeded.

        :raises BackendUnavailable: it failed.
        """
        with self._lock:
            if self._clock.monotonic() >= self._until:
                self._accepted = self._attempt()
                self._until = self._clock.monotonic() + (ACCEPTED_SECONDS if self._accepted else REFUSED_SECONDS)
        if not self._accepted:
            raise BackendUnavailable

    def _attempt(self) -> bool:
        try:
            self._write()
        except BackendUnavailable:  # the write has logged the reason
            return False
        return True
