"""Proof that a store keeps what is written: for the heartbeat, which must not say so of a full disk."""

from __future__ import annotations

from collections.abc import Callable

from gevent.lock import BoundedSemaphore

from ...clock import Clock
from ...errors import BackendUnavailable

KEPT_SECONDS = 5.0
"""Seconds for which a write that succeeded proves that the next one would."""
REFUSED_SECONDS = 1.0
"""Seconds after a write that failed until another one is tried."""


class WriteProof:
    """Writes now and then; who asks in between gets the outcome of the last time.

    :param write: writes, or raises ``BackendUnavailable``.
    """

    def __init__(self, write: Callable[[], object], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._one = BoundedSemaphore(1)
        self._kept = False
        self._until = 0.0

    def check(self) -> None:
        """Return when a write was kept.

        :raises BackendUnavailable: it was not.
        """
        with self._one:
            if self._clock.monotonic() >= self._until:
                self._kept = self._attempt()
                self._until = self._clock.monotonic() + (KEPT_SECONDS if self._kept else REFUSED_SECONDS)
        if not self._kept:
            raise BackendUnavailable

    def _attempt(self) -> bool:
        try:
            self._write()
        except BackendUnavailable:  # the log says why
            return False
        return True
