"""SQLite: the embedded database. One connection, durable at every commit."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, StaticPool, create_engine, event

# WAL: readers of other processes never stop us. FULL: a commit is on the disk when it returns.
# secure_delete: an erased person is gone from the file's free pages too.
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON")
# The write lock first, for reading too: a transaction that reads and then writes could otherwise fail in between, without
# waiting, because another process wrote. Ours run one after another anyway, and one that wrote nothing costs no fsync.
_BEGIN = "BEGIN IMMEDIATE"

SLOTS = {"slots": 2}
"""Calls that are with the SQL thread: one under way, and the next one, so that the thread does not wait for the hub in between."""

_LOG_BUSY_MS = 100
"""How long the SQL thread waits for readers before it leaves the write-ahead log for another time."""


def understands(url: URL) -> bool:
    """Return whether a URL is a plain path (or memory) of SQLite; URI file names and options are not."""
    plain = not (url.query or url.host or url.username) and not (url.database or "").startswith("file:")
    return url.drivername in ("sqlite", "sqlite+pysqlite") and plain


def make_reader(url: URL) -> Engine | None:
    """Return an engine with one connection that only reads, None for a database in memory, which has but one connection."""
    return _make_quick(url, ("query_only = ON",), "BEGIN")


def make_noter(url: URL) -> Engine | None:
    """Return an engine with one connection whose commits are not forced to the disk, None for a database in memory."""
    return _make_quick(url, ("synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"), _BEGIN)


def _make_quick(url: URL, pragmas: Sequence[str], begin: str) -> Engine | None:
    """Return an engine for use in the hub's own thread: it waits for no lock."""
    if path_of(url) is None:
        return None
    options = {"isolation_level": None, "timeout": 0, "check_same_thread": False}
    engine = create_engine(url, poolclass=StaticPool, connect_args=options, hide_parameters=True)
    event.listen(engine, "connect", lambda connection, _: [connection.execute(f"PRAGMA {pragma}") for pragma in pragmas])
    _begin_with(engine, begin)
    return engine


def is_locked(error: Exception | None) -> bool:
    """Return whether an error says that somebody else is writing."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def prove_write(connection: Connection) -> None:
    """Write one page: a number in the file's header that nothing else uses, and that differs each time."""
    connection.exec_driver_sql(f"PRAGMA user_version = {secrets.randbits(31)}")


def truncate_log(engine: Engine) -> bool:
    """Move what is in the write-ahead log into the database and empty the log, which else keeps what was deleted.

    :returns: False while somebody reads an older state.
    """
    connection = engine.raw_connection()
    cursor = connection.cursor()
    try:
        (waits,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {_LOG_BUSY_MS}")
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {waits}")
    finally:
        cursor.close()
        connection.close()
    return not busy


def path_of(url: URL) -> str | None:
    """Return the path of the file; None for a database in memory."""
    return None if url.database in (None, "", ":memory:") else url.database


def make_engine(url: URL, busy_seconds: float) -> Engine:
    """Return an engine with one connection, opened at its first use by the thread that uses it.

    :param busy_seconds: how long a lock of another process is waited for.
    """
    # isolation_level: transactions begin where we say so, not where the driver guesses
    options = {"isolation_level": None, "timeout": busy_seconds, "check_same_thread": False}
    engine = create_engine(url, poolclass=StaticPool, connect_args=options, hide_parameters=True)
    event.listen(engine, "connect", _configure)
    _begin_with(engine, _BEGIN)
    return engine


def _configure(connection: Any, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_with(engine: Engine, statement: str) -> None:
    """Say how a transaction begins: in the dialect, as a listener to the event would slow down every statement."""

    def begin(dbapi_connection: PoolProxiedConnection) -> None:
        dbapi_connection.cursor().execute(statement)

    engine.dialect.do_begin = begin  # type: ignore[method-assign]
