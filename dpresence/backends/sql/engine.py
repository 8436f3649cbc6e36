"""One database for every SQL backend of an app: transactions with a deadline that never block gevent's hub."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import gevent
from gevent import Timeout, monkey
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool
from sqlalchemy import Connection

from ...clock import JUMP_SECONDS, Clock
from ...errors import BackendUnavailable
from ...measures import StoreMeasures
from . import online, postgresql, sqlite
from .calls import Call, EngineCall
from .failures import Failures
from .fair import FairQueue
from .file import DatabaseFile
from .owners import Owners
from .urls import parse_url
from .write_check import WriteCheck
from .write_group import Locked, WriteGroup

log = logging.getLogger(__name__)
T = TypeVar("T")
Key = str | Callable[[], str]
"""The key of a call, or a function that returns it."""

DEADLINE_SECONDS = 5.0
"""Deadline in seconds of one call to SQLite."""
_PAUSES = (0.001, 0.005, 0.02, 0.1)
"""Pauses in seconds between attempts at a quick call while the database is locked; then the slower SQL thread executes it."""


class Database:
    """The database behind an SQLAlchemy URL. Any greenlet of the native thread that created it may use it.

    SQLite: all work except ``read`` and ``write_nondurable`` runs in a dedicated native thread on a single connection. An fsync there does
    not block the hub, and native threads do not contend for the write lock. PostgreSQL: each call runs in its own greenlet, on a
    connection of a pool. Waiting is cooperative if gevent patched the standard library before other modules were imported.

    In a process without gevent's patches, such as the operator's command, PostgreSQL also gets one native thread: a call that waits for
    an unresponsive server cannot be interrupted, but its caller can.

    :param url: a SQLite URL (``sqlite://`` is in memory) or a PostgreSQL URL for psycopg.
    :param deadline_seconds: time limit of one call, including the time in the queue; None for the database's default.
    :param waiting: maximum number of calls that run or wait at the same time; the same number of urgent calls is allowed beside them.
    :param clock: the clock of this machine, which SQLite uses; None for the real one.
    :param alone: SQLite only: whether the service must be the only one that uses the file; None for a process that is not a service.
    :ivar alone: True if no other service can use the database.
    :ivar reads_wait: True if reads wait in the queue like writes. Those of an SQLite file do not wait.
    :raises SettingError: the dialect is unsupported, the driver is missing, or the file cannot be opened or is used by another
        service; names ``directory.url``.
    """

    def __init__(
        self, url: str, deadline_seconds: float | None = None, waiting: int = 1000, clock: Clock | None = None, alone: bool | None = None
    ) -> None:
        parsed = parse_url(url)
        at_server = postgresql.understands(parsed)
        self.alone = bool(alone) and sqlite.path_of(parsed) is not None
        self.deadline_seconds = deadline_seconds or (postgresql.DEADLINE_SECONDS if at_server else DEADLINE_SECONDS)
        self._clock = clock or Clock()
        self._steady = self._clock.steady  # must exist from the start
        self._writes = 0  # since the last checkpoint
        self._one_checkpoint = BoundedSemaphore(1)
        self._next_scrub: gevent.Greenlet | None = None
        self._scrub_after = 0.0  # monotonic time
        self._log_ready = Event()  # not set while a new write-ahead log begins
        self._log_ready.set()
        self._thread: ThreadPool | None = None
        self._file: DatabaseFile | None = None
        self._reader: sqlite.EventLoopConnection | None = None
        self._writer: WriteGroup | None = None
        if at_server:
            self._engine = postgresql.make_engine(parsed, self.deadline_seconds)
        else:
            path = sqlite.path_of(parsed)
            self._file = DatabaseFile(path, alone) if path else None
            # SQLite must give up waiting for another process's lock before the caller's deadline
            self._engine = sqlite.make_engine(parsed, busy_seconds=self.deadline_seconds * 0.8)
            if path:
                self._reader = sqlite.make_reader(parsed)
                self._writer = WriteGroup(sqlite.make_nondurable_writer(parsed), self._log_ready.is_set, self._check_usable)
        self.reads_wait = self._reader is None
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT") if at_server else self._engine
        if not (at_server and monkey.is_module_patched("select")):
            self._thread = ThreadPool(1)
        slots = postgresql.SLOTS if at_server else sqlite.SLOTS
        self._queue = FairQueue(**slots, max_calls=waiting)
        self.owners = Owners()
        self.measures = StoreMeasures("database", ("read", "write"), lambda: self._queue.calls)
        self._failures = Failures(self._engine, url, self.measures, self._clock)
        self._probe_write = postgresql.probe_write if at_server else sqlite.probe_write
        self._write_check = WriteCheck(lambda: self.run(self._probe_write, urgent=True), self._clock)
        self._closed = False

    @property
    def place(self) -> str:
        """The path of the file, or the name and the host of a server, without credentials; for the log."""
        url = self._engine.url
        return self._file.path if self._file else f"{url.database} at {url.host or url.query.get('host', 'localhost')}"

    def service_pid(self) -> int | None:
        """Return the process of a service that uses this SQLite database alone; None if there is none."""
        return self._file.service_pid() if self._file else None

    def run(self, work: Callable[[Connection], T], deadline_seconds: float | None = None, *, key: Key = "", urgent: bool = False) -> T:
        """Run ``work`` in one transaction and return its result; an exception rolls the transaction back.

        A call that misses its deadline changes nothing, unless its commit was already in progress.

        :param work: may run more than once, each time in a new transaction after the previous one was rolled back.
        :param deadline_seconds: overrides the database's deadline.
        :param key: the account or application that makes the call; its owner counts, if ``owners`` knows it. Keys are served
            round-robin, and the calls of one key in order.
        :param urgent: the call does not wait behind calls that are not urgent.
        :raises BackendUnavailable: the driver failed, the deadline passed, or too many calls of this key are waiting.
        """
        result = self._through_queue(Call(self._engine, work), deadline_seconds or self.deadline_seconds, key, urgent)
        self._count_write()
        return result

    def refuses(self, key: str) -> bool:
        """Return whether a call that is not urgent would be refused now, because too many calls of this key are waiting; see ``run``."""
        return self._queue.refuses(self.owners.of(key))

    def replace_indexes(self, seconds: float) -> None:
        """Have PostgreSQL replace the indexes of earlier versions while it is in use; see ``online``.

        :raises BackendUnavailable: see ``run``.
        """
        if self._engine.dialect.name == "postgresql":
            self._through_queue(EngineCall(self._engine, partial(online.replace_indexes, seconds=seconds)), seconds, "", urgent=False)

    def read(self, work: Callable[[Connection], T], *, key: Key = "", urgent: bool = False, single: bool = False) -> T:
        """Run read-only ``work`` in one transaction and return its result.

        SQLite: runs in the calling thread, on a connection of its own. A WAL reader waits for no lock, and while this thread is busy,
        a switch to the SQL thread takes a hundred times as long as a short read, because that thread must acquire the GIL repeatedly.

        :param single: ``work`` executes one ``Statement``, a transaction of its own: to begin and end one takes as long, or longer.
        :raises BackendUnavailable: see ``run``.
        """
        if self._reader is None:
            call = Call(self._autocommit if single else self._engine, work)
            return self._through_queue(call, self.deadline_seconds, key, urgent)
        self._check_usable()
        try:
            return self._reader.run(work, begins=not single)
        except Exception as error:
            if not sqlite.is_locked(error):  # another process recovers or restores the file
                raise self._failures.of(error) from error.__cause__
        return self.run(work, key=key, urgent=urgent)

    def write_nondurable(self, work: Callable[[Connection], T], *, key: Key = "", urgent: bool = False) -> T:
        """Run ``work``, a small write, in one transaction without an fsync, and return its result.

        SQLite: runs in the calling thread, together with the other writes of this iteration of the event loop, or in the SQL thread if
        the database stays locked. The write survives a crash of this process, but a loss of power may undo it. Suitable for writes
        that can be repeated, such as the use of a ticket. All attempts together have the deadline of one call.

        :raises BackendUnavailable: see ``run``.
        """
        if self._writer is None:
            return self.run(work, key=key, urgent=urgent)
        ends_at = time.monotonic() + self.deadline_seconds
        for pause in _PAUSES:
            if not self._log_ready.wait(max(0.0, ends_at - time.monotonic())):
                raise self._failures.no_answer(self.deadline_seconds)
            try:
                result = self._writer.run(work)
            except Locked:
                if self._queue.crowded:
                    break
                gevent.sleep(pause)
            except Exception as error:
                raise self._failures.of(error) from error.__cause__
            else:
                self._count_write()
                return result
        return self.run(work, max(0.001, ends_at - time.monotonic()), key=key, urgent=urgent)

    def now(self, connection: Connection) -> int:
        """Return the time of day (ms) by the store's clock, which all processes share; expiry uses it."""
        return postgresql.now(connection) if connection.dialect.name == "postgresql" else self._steady.now()

    def trusted_now(self, connection: Connection) -> int:
        """Return the time of day (ms) by the store's clock up to which a sweep may delete; 0 while the clock may be wrong."""
        if connection.dialect.name != "postgresql":
            return self._steady.trusted()
        now = postgresql.now(connection)
        ahead = (self._clock.now() - now) / 1000
        if abs(ahead) > JUMP_SECONDS:
            log.warning("database: the clocks of this machine and the database differ by %+d s: synchronize both by NTP", ahead)
        return now

    def check_writable(self) -> None:
        """Verify that the store accepts writes, by a write that is at most 5 s old.

        :raises BackendUnavailable: it does not: the disk is full or read-only, the file was deleted or replaced, the server is read-only.
        """
        self._check_usable()
        self._write_check.check()

    def scrub(self) -> None:
        """Remove deleted data from SQLite's write-ahead log as well. A failure is not an error: the next call tries again.

        Calls share the next copy of the log; copies take a part of the time at most, however many calls there are.
        """
        if self._file is None:
            return
        copy = self._next_scrub = self._next_scrub or gevent.spawn(self._begin_log, "TRUNCATE")
        copy.join(self.deadline_seconds)
        if not copy.value:
            log.info("database: the write-ahead log could not be truncated; the next deletion tries again")

    def _count_write(self) -> None:
        """Have SQLite's write-ahead log copied into the database after some writes."""
        self._writes += 1
        if self._file is not None and self._writes >= sqlite.WRITES_IN_LOG:
            self._writes = 0
            gevent.spawn(self._begin_log, "RESTART")

    def _begin_log(self, mode: sqlite.CheckpointMode) -> bool:
        """Copy the log into the database and begin a new one, in the SQL thread. Return False if it fails.

        Writes of the event loop's thread wait meanwhile: the first one into a new log, and no other, waits for the disk. So this call has
        no deadline: it returns when the SQL thread has ended the copy.
        """
        with self._one_checkpoint:
            if mode == "TRUNCATE":
                if (pause := self._scrub_after - time.monotonic()) > 0:
                    gevent.sleep(pause)
                self._next_scrub = None  # later calls need a copy that begins after them
            self._log_ready.clear()
            began = time.monotonic()
            try:
                return self._through_queue(EngineCall(self._engine, partial(sqlite.checkpoint, mode=mode)), None, "", urgent=False)
            except BackendUnavailable:
                return False
            finally:
                self._scrub_after = time.monotonic() + sqlite.SCRUB_PAUSE * (time.monotonic() - began)
                self._log_ready.set()

    def _check_usable(self) -> None:
        if self._closed:
            raise BackendUnavailable
        if self._file is not None:
            self._file.check()

    def _through_queue(self, call: Call[T], seconds: float | None, key: Key, urgent: bool) -> T:
        self._check_usable()
        try:
            return self._wait(call, seconds, key, urgent)
        finally:
            call.abandoned = True
            if self._closed and self._thread is None:
                self._engine.pool.dispose()  # the connection of this call came back after ``close``

    def _wait(self, call: Call[T], seconds: float | None, key: Key, urgent: bool) -> T:
        with Timeout(seconds, False), self._queue.slot(self.owners.of(key() if callable(key) else key), urgent):
            self._execute(call.execute)
            if call.error is not None:
                raise self._failures.of(call.error)
            return call.result
        raise self._failures.no_answer(seconds)

    def _execute(self, function: Callable[[], None]) -> None:
        if self._thread is None:
            function()
        else:
            self._thread.spawn(function).get()

    def close(self) -> None:
        """Close the connections and end the SQL thread, within the deadline. Idempotent."""
        if self._closed:
            return
        self._closed = True
        with Timeout(self.deadline_seconds, False):
            self._execute(self._engine.pool.dispose)
            if self._thread is not None:
                self._thread.kill()
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        if self._file is not None:
            self._file.close()
