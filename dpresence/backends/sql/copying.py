"""Copies all tables from one database into another, and the file of SQLite (docs/operations.md)."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Table, func, insert, make_url, select, text

from ...clock import Clock
from ...errors import SettingError
from ...secret_files import create
from . import migrate, postgresql, sqlite
from .engine import Database
from .tables import metadata

BATCH = 1000
"""Rows of one batch."""
_SECONDS = 3600.0
"""Time limit of one statement in PostgreSQL."""
_NUMBERED = {"outbox": "id", "notifications": "position", "webhook_attempts": "id"}
"""Tables whose rows get ever higher numbers, and the column of the number."""


class Differs(Exception):
    """The copy of a table is not the same as the table."""


def copy(source: str, target: str, clock: Clock, done: Callable[[str, int], None]) -> None:
    """Copy every row into an empty database, in one transaction that ends with a comparison.

    :param source: URL; the tables are read as they are at one moment.
    :param target: URL; its tables are created if they do not exist.
    :param done: called with the name of each table and the number of its rows.
    :raises SettingError: the source is not of this version or in use, or the target has rows.
    :raises Differs: the rows of the target are not those of the source; nothing was written.
    :raises BackendUnavailable: a database does not answer.
    """
    database = migrate.open_existing(source, clock)
    present, newest = migrate.check(database)
    pid = database.service_pid()
    database.close()
    if pid:
        raise SettingError(f"process {pid} uses the source: stop the service first, or what it stores meanwhile is lost")
    if present != newest:
        raise SettingError(f"the source has revision {present}; this version needs {newest}: dpresence migrate upgrades it")
    made = Database(target, clock=clock)
    migrate.migrate(made)
    made.close()
    with _connected(source, "BEGIN") as theirs, _connected(target) as ours:
        refuse_filled(ours)
        for table in metadata.sorted_tables:
            count, digest = _copy_table(theirs, ours, table)
            if summary(ours, table) != (count, digest):
                raise Differs(f"the rows of {table.name} are not the same")
            done(table.name, count)
        for name, column in _NUMBERED.items():
            continue_after(ours, name, column, last_number(theirs, name, column))


def refuse_filled(connection: Connection) -> None:
    """Refuse a database that has rows.

    :raises SettingError: it has.
    """
    for table in metadata.sorted_tables:
        if connection.execute(select(*table.primary_key).limit(1)).first():
            raise SettingError(f"the target has rows in the table {table.name}: it must be empty")


def summary(connection: Connection, table: Table) -> tuple[int, str]:
    """Return the number of rows of a table, and a checksum that is the same in every kind of database."""
    count, digest = 0, hashlib.sha256()
    for rows in _batches(connection, table):
        count += len(rows)
        digest.update("".join(f"{tuple(row)!r}\n" for row in rows).encode())
    return count, digest.hexdigest()


def summaries(url: str) -> dict[str, list[Any]]:
    """Return number of rows and checksum of each table of a database, all of the same moment."""
    with _connected(url, "BEGIN") as connection:
        return {table.name: list(summary(connection, table)) for table in metadata.sorted_tables}


def _copy_table(theirs: Connection, ours: Connection, table: Table) -> tuple[int, str]:
    count, digest, names = 0, hashlib.sha256(), [column.key for column in table.columns]
    for rows in _batches(theirs, table):
        ours.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
        count += len(rows)
        digest.update("".join(f"{tuple(row)!r}\n" for row in rows).encode())
    return count, digest.hexdigest()


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[Any]]:
    """Yield the rows of a table in order of its primary key."""
    query = select(*table.columns).order_by(*table.primary_key).execution_options(yield_per=BATCH)
    with connection.execute(query) as result:
        yield from result.partitions(BATCH)


def last_number(connection: Connection, table: str, column: str) -> int:
    """Return the highest number that a row of a table ever had."""
    if connection.dialect.name == "sqlite":
        return connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table}) or 0
    return connection.scalar(text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {table}_{column}_seq")) or 0  # noqa: S608


def continue_after(connection: Connection, table: str, column: str, last: int) -> None:
    """Give new rows higher numbers than ``last``."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
        connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), {"name": table, "last": last})
    elif last:
        connection.execute(select(func.setval(f"{table}_{column}_seq", last)))


@contextmanager
def _connected(url: str, begin: str = "") -> Iterator[Connection]:
    """Open a transaction on a database; an error rolls it back.

    :param begin: the statement that begins a transaction that only reads; "" for one that writes.
    """
    engine = _engine(url, begin)
    reads = engine.dialect.name == "postgresql" and begin
    try:
        with (engine.execution_options(isolation_level="REPEATABLE READ") if reads else engine).begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _engine(url: str, begin: str) -> Engine:
    parsed = make_url(url)
    if not postgresql.understands(parsed):
        return sqlite.make_engine(parsed, busy_seconds=30, **({"begin": begin} if begin else {}))
    timeout = {} if "connect_timeout" in parsed.query else {"connect_timeout": "10"}
    return postgresql.make_engine(parsed.update_query_dict(timeout), _SECONDS)


def back_up(path: str, file: str) -> None:
    """Write a copy of an SQLite database, readable by its owner only, while services use the database."""
    os.close(create(file))
    source = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)
    target = sqlite3.connect(file)
    try:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
    finally:
        source.close()
        target.close()
