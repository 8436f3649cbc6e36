"""A queue of operations that are retried while a backend is unavailable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

from ..errors import BackendUnavailable
from .scheduling import map_concurrently

log = logging.getLogger(__name__)

_MAX_PENDING = 100_000


class RetryQueue:
    """Idempotent operations by key. Each is tried at once and, while a backend is unavailable, again by each ``flush``.

    The queue is in memory and is lost with the process. Effects that must survive the process use the directory's outbox.

    :param max_pending: maximum number of pending operations. When it is exceeded, the oldest operation is discarded.
    """

    def __init__(self, max_pending: int = _MAX_PENDING) -> None:
        self._max_pending = max_pending
        self._pending: dict[Hashable, Callable[[], object]] = {}

    def __len__(self) -> int:
        """Return the number of pending operations."""
        return len(self._pending)

    def run(self, key: Hashable, operation: Callable[[], object]) -> None:
        """Run an operation now or, if a backend is unavailable, later. It replaces the pending operation of the same key."""
        before = self._pending.get(key)
        try:
            operation()
        except BackendUnavailable:
            self.later(key, operation)
        else:
            self._remove(key, before)

    def flush(self) -> None:
        """Run each pending operation once, some at a time: one that waits for a backend holds up few others.

        :raises BackendUnavailable: a backend is still unavailable for one of them. Those that failed stay in the queue.
        """
        failures = [error for error in map_concurrently(self._retry, list(self._pending.items())) if error]
        if failures:
            raise failures[0]

    def _retry(self, pending: tuple[Hashable, Callable[[], object]]) -> BackendUnavailable | None:
        """Run a pending operation; return the error if a backend is unavailable."""
        key, operation = pending
        if self._pending.get(key) is not operation:  # another greenlet has completed or replaced it
            return None
        try:
            operation()
        except BackendUnavailable as error:
            return error
        except Exception:  # a bug in this service: a retry would fail in the same way
            log.exception("a retried operation failed")
        self._remove(key, operation)
        return None

    def later(self, key: Hashable, operation: Callable[[], object]) -> None:
        """Run an operation by the next ``flush``."""
        self._pending[key] = operation
        if len(self._pending) > self._max_pending:
            del self._pending[next(iter(self._pending))]

    def _remove(self, key: Hashable, operation: Callable[[], object] | None) -> None:
        """Remove an operation, unless a newer one of the same key has replaced it."""
        if operation is not None and self._pending.get(key) is operation:
            del self._pending[key]
