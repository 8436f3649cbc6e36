"""Short writes of the event loop's thread. Those of one iteration of the event loop share a transaction, which costs more than they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gevent
from gevent.hub import Waiter
from sqlalchemy import Connection

from . import sqlite

T = TypeVar("T")

MAX_WRITES = 64
"""Maximum number of writes in one transaction, which holds the event loop for a few milliseconds."""


class Locked(Exception):
    """Another connection writes to the database, so nothing was written."""


class _Write:
    """A write whose greenlet waits for ``done``."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work = work
        self.done = Waiter()
        self.error: Exception | None = None
        self.result: Any = None


class WriteGroup:
    """Collects writes and executes them together at the end of the iteration.

    :param ready: returns whether the connection may write now.
    :param check: raises an error if it may not be used any more, which is then the result of all writes.
    """

    def __init__(self, connection: sqlite.EventLoopConnection, ready: Callable[[], bool], check: Callable[[], None] = lambda: None) -> None:
        self._connection = connection
        self._ready, self._check = ready, check
        self._writes: list[_Write] = []

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction and return its result. An exception of it undoes this work alone, and is raised.

        :param work: may run twice, the second time after the first was rolled back because of another write. It must not block.
        :raises Locked: another connection writes at this moment.
        """
        write = _Write(work)
        if not self._writes:
            gevent.get_hub().loop.run_callback(self._execute)
        self._writes.append(write)
        try:
            write.done.get()
        finally:
            if write in self._writes:  # its greenlet has stopped waiting
                self._writes.remove(write)
        if write.error is not None:
            raise write.error
        result: T = write.result
        return result

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._connection.close()

    def _execute(self) -> None:
        writes, self._writes = self._writes[:MAX_WRITES], self._writes[MAX_WRITES:]
        if self._writes:
            gevent.get_hub().loop.run_callback(self._execute)
        if not self._in_one_transaction(writes):
            for write in writes:
                self._in_one_transaction([write])
        for write in writes:
            write.done.switch(None)

    def _in_one_transaction(self, writes: Sequence[_Write]) -> bool:
        """Execute writes. Return False if one of several failed, so that each needs a transaction of its own."""
        try:
            if not self._ready():
                raise Locked
            self._check()
            results = self._connection.run(lambda connection: [write.work(connection) for write in writes])
        except Exception as error:  # raised in the greenlet of each write
            reason = Locked() if sqlite.is_locked(error) else error
            for write in writes:
                write.error = reason
            return len(writes) == 1 or isinstance(reason, Locked)
        for write, result in zip(writes, results, strict=True):
            write.result, write.error = result, None
        return True
