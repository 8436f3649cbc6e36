"""SQLite, the embedded database: one connection, durable at every commit."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, StaticPool, create_engine, event

T = TypeVar("T")

# WAL: readers of other processes do not block writers. FULL: a commit is on disk when it returns.
# secure_delete: deleted data is also overwritten in the file's free pages.
# wal_autocheckpoint: only a limit, as the database calls checkpoint more often.
_DURABLE = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON", "wal_autocheckpoint = 10000")
_NONDURABLE = ("synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON", "wal_autocheckpoint = 0")
# A transaction takes the write lock at its start, even to read: one that reads and then writes could otherwise fail with SQLITE_BUSY,
# without waiting, after a write of another process. Transactions of this process are serialized anyway, and one without writes needs no
# fsync.
_BEGIN = "BEGIN IMMEDIATE"

SLOTS = {"slots": 2}
"""Calls submitted to the SQL thread: one that runs and the next one, so that the thread does not wait for the hub in between."""

WRITES_IN_LOG = 200
"""Number of transactions after which the write-ahead log is copied into the database. Most change 5 pages or fewer."""
SCRUB_PAUSE = 4
"""Pause between two copies that deletions wait for, as a multiple of the time that the last copy took."""
CheckpointMode = Literal["RESTART", "TRUNCATE"]
_LOG_BUSY_MS = 100
"""Milliseconds that the SQL thread waits for readers before it postpones a checkpoint of the write-ahead log."""


def understands(url: URL) -> bool:
    """Return whether a URL is a plain path or in-memory SQLite database; URI file names and options are not supported."""
    plain = not (url.query or url.host or url.username) and not (url.database or "").startswith("file:")
    return url.drivername in ("sqlite", "sqlite+pysqlite") and plain


class EventLoopConnection:
    """One connection for short transactions in the event loop's own thread, which never waits for a lock.

    It stays open, and the driver begins and ends the transactions: SQLAlchemy takes longer for both than SQLite for what is between.

    :param begin: the statement that begins a transaction.
    """

    def __init__(self, url: URL, pragmas: Sequence[str], begin: str) -> None:
        options = {"timeout": 0, "check_same_thread": False}
        self._engine = create_engine(url, poolclass=StaticPool, connect_args=options, hide_parameters=True, isolation_level="AUTOCOMMIT")
        event.listen(self._engine, "connect", lambda connection, _: [connection.execute(f"PRAGMA {pragma}") for pragma in pragmas])
        self._begin = begin
        self._connection: Connection | None = None
        self._driver: Any = None  # its connection of the driver

    def run(self, work: Callable[[Connection], T], begins: bool = True) -> T:
        """Run ``work`` in one transaction and return its result; an exception rolls the transaction back.

        :param begins: begin a transaction; False for a single statement of the driver.
        """
        if self._connection is None:
            self._connection = self._engine.connect()
            self._driver = self._connection.connection.dbapi_connection
        if not begins:
            return work(self._connection)
        driver = self._driver
        driver.execute(self._begin)
        try:
            result = work(self._connection)
            driver.execute("COMMIT")
        except BaseException:
            driver.rollback()
            raise
        return result

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = self._driver = None
        self._engine.dispose()


def make_reader(url: URL) -> EventLoopConnection:
    """Return a read-only connection to a file. In WAL mode it waits for no lock."""
    return EventLoopConnection(url, ("query_only = ON",), "BEGIN")


def make_nondurable_writer(url: URL) -> EventLoopConnection:
    """Return a connection to a file that commits without an fsync.

    It never copies the write-ahead log into the database, which requires several fsyncs: see ``checkpoint``.
    """
    return EventLoopConnection(url, _NONDURABLE, _BEGIN)


def is_locked(error: Exception | None) -> bool:
    """Return whether an error means that another connection holds the write lock."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def probe_write(connection: Connection) -> None:
    """Write one page: a random number in a header field that is otherwise unused."""
    connection.exec_driver_sql(f"PRAGMA user_version = {secrets.randbits(31)}")


def checkpoint(engine: Engine, mode: CheckpointMode) -> bool:
    """Copy the write-ahead log into the database and begin a new log. Both wait for the disk.

    :param mode: ``TRUNCATE`` also shortens the file of the log, which would otherwise retain deleted data.
    :returns: False if a reader still uses an older snapshot; the log then grows on.
    """
    connection = engine.raw_connection()
    cursor = connection.cursor()
    try:
        (waits,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {_LOG_BUSY_MS}")
        busy, *_ = cursor.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {waits}")
    finally:
        cursor.close()
        connection.close()
    with engine.begin() as opened:
        probe_write(opened)
    return not busy


def path_of(url: URL) -> str | None:
    """Return the path of the file; None for a database in memory, or of another kind."""
    return None if not understands(url) or url.database in (None, "", ":memory:") else url.database


def make_engine(url: URL, busy_seconds: float, begin: str = _BEGIN) -> Engine:
    """Return an engine with one connection, which the thread that first uses it opens.

    :param busy_seconds: time limit of waiting for another process's lock.
    :param begin: the statement that begins a transaction.
    """
    # isolation_level None: the driver does not begin transactions implicitly
    options = {"isolation_level": None, "timeout": busy_seconds, "check_same_thread": False}
    engine = create_engine(url, poolclass=StaticPool, connect_args=options, hide_parameters=True)
    event.listen(engine, "connect", _configure)
    _begin_with(engine, begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    for pragma in _DURABLE:
        connection.execute(f"PRAGMA {pragma}")


def _begin_with(engine: Engine, statement: str) -> None:
    """Set the statement that begins a transaction. An event listener instead of the dialect's method would slow down every statement."""

    def begin(dbapi_connection: PoolProxiedConnection) -> None:
        dbapi_connection.cursor().execute(statement)

    engine.dialect.do_begin = begin  # type: ignore[method-assign]
