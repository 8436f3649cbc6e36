"""Saves the table of an application together with its cursor, after the program has processed the changes."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Deque, Iterator, Union

from .core import log
from .errors import StoreError
from .stores import Store
from .table import Table
from .values import Batch, Change, Lost, Outcome, OutcomeBatch

_MOST_SHARE = 0.05
"""Saving takes at most this share of the time: the next one waits 20 times as long as the last one took."""
_MOST_SECONDS = 60.0
"""Longest wait after failures in a row: 1, 2, 4 .. s."""


class TableSaver:
    """The table of one application, and its store. It is thread-safe, but has one batch at a time.

    :param seconds: least time between two saves, as each writes the whole table. Changes that were not saved come again after a crash.
    :param clock: a monotonic clock, seconds.
    :ivar changes: the rest of the batch that is being processed. It stays when the program leaves its loop, for the next one.
    :ivar outcomes: the same for outcomes of notifications: each is removed once the program has processed it.
    :ivar notices: True: the table has become current; False: the connection was lost. The program has yet to be told of them.
    :ivar completed: number of the newest connection on which the table was current; 0 if there is none.
    """

    def __init__(self, store: Store, appid: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.table = store.load(appid) or Table()
        self._store, self._appid, self._seconds, self._clock = store, appid, seconds, clock
        self.changes: Iterator[Change] = iter(())
        self.outcomes: Deque[Outcome] = deque()
        self.notices: Deque[bool] = deque()
        self._noticed = self._changed = self._busy = False
        self.completed = 0
        self._not_before, self._failures = clock(), 0
        self._lock = threading.Lock()

    def apply(self, batch: Union[Batch, OutcomeBatch, Lost]) -> None:
        """Bring the table to the state after a batch; ``changes`` and ``outcomes`` are then those that the program has yet to process."""
        if isinstance(batch, Lost):
            self._notice(False)
            return
        with self._lock:
            self._busy = True
            if isinstance(batch, OutcomeBatch):
                self.table.outcomes = batch.cursor
                self.outcomes.extend(batch.outcomes)
                return
            self.changes = iter(self.table.apply(batch))
            self.completed = batch.completes or self.completed
        if batch.completes:
            self._notice(True)

    def _notice(self, current: bool) -> None:
        if current is not self._noticed:
            self._noticed = current
            self.notices.append(current)

    def processed(self) -> None:
        """Record that the program has processed all changes of the batch."""
        self._busy, self._changed = False, self._changed or self._busy

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the next save; None if there is nothing to save, as before the first snapshot."""
        saves = self._changed and self.table.cursor is not None
        return max(0.0, self._not_before - self._clock()) if saves else None

    def save_if_due(self) -> None:
        """Save if there is something to save and enough time has passed. A failure is logged and tried again."""
        if self.seconds_left != 0:
            return
        try:
            self._save()
        except StoreError as error:
            log.error("the table is not stored: %s", error)

    def close(self) -> None:
        """Save, unless the program has processed only a part of the last batch: it is then delivered again.

        :raises StoreError: the table cannot be stored.
        """
        if self._changed:
            self._save()

    def _save(self) -> None:
        start, failures = self._clock(), self._failures
        self._failures += 1
        try:
            with self._lock:
                if not self._busy and self.table.cursor is not None:
                    self._store.save(self._appid, self.table)
                    self._changed = False
            self._failures = 0
        finally:
            took = self._clock() - start
            pause = min(_MOST_SECONDS, 2.0 ** min(failures, 6)) if self._failures else 0.0
            self._not_before = start + took + max(self._seconds, took / _MOST_SHARE, pause)
