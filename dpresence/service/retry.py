"""Operations that a backend which was away could not carry out, and that are tried again until it is back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

from ..errors import BackendUnavailable

log = logging.getLogger(__name__)

_MOST = 100_000


class RetryQueue:
    """Idempotent operations by key. Each is tried at once and, while a backend is away, again with each ``flush``.

    It is in memory: for what ends with this process anyway. What must outlive the process is in the directory's outbox.

    :param most: how many operations wait at most; beyond that the oldest is given up.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._waiting: dict[Hashable, Callable[[], object]] = {}

    def run(self, key: Hashable, operation: Callable[[], object]) -> None:
        """Carry out an operation now or, when a backend is away, later; it replaces the one that waits under ``key``."""
        before = self._waiting.get(key)
        try:
            operation()
        except BackendUnavailable:
            self.later(key, operation)
        else:
            self._remove(key, before)

    def flush(self) -> None:
        """Carry out what waits, in order.

        :raises BackendUnavailable: a backend is away still; the next flush begins with another operation.
        """
        for key, operation in list(self._waiting.items()):
            if self._waiting.get(key) is operation:  # else it was done, or replaced, meanwhile
                self._retry(key, operation)

    def _retry(self, key: Hashable, operation: Callable[[], object]) -> None:
        try:
            operation()
        except BackendUnavailable:
            if key in self._waiting:
                self._waiting[key] = self._waiting.pop(key)
            raise
        except Exception:  # ours: it would fail for ever
            log.exception("an operation that was to be retried failed")
        self._remove(key, operation)

    def later(self, key: Hashable, operation: Callable[[], object]) -> None:
        """Carry out an operation with the next ``flush``."""
        self._waiting[key] = operation
        if len(self._waiting) > self._most:
            del self._waiting[next(iter(self._waiting))]

    def _remove(self, key: Hashable, operation: Callable[[], object] | None) -> None:
        """Take an operation out, unless a newer one waits under its key by now."""
        if operation is not None and self._waiting.get(key) is operation:
            del self._waiting[key]
