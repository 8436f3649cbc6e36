"""The tables of SQLite that the tests create from one script, and the compiled statements that they share.

Running every migration takes longer than a test, and an engine of SQLAlchemy compiles each statement anew, which takes longer than to
execute it. Tests of the migrations themselves, and every process that a test starts, run the real ones.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from alembic.migration import MigrationContext
from sqlalchemy import URL, Connection, Engine, create_engine

from dpresence.backends.sql import migrate, postgresql, sqlite
from dpresence.backends.sql.engine import Database

_upgrade = migrate._upgrade
_engines: dict[tuple[str, str | None], Engine] = {}
"""The first engine of each driver and isolation level."""


@contextmanager
def shared_tables() -> Iterator[None]:
    """Create the tables of an SQLite database in this context from a script; databases made in it share compiled statements."""
    with patch.object(migrate, "_upgrade", _upgrade_by_script), shared_statements():
        yield


def make_tables(database: Database) -> None:
    """Create the tables of an SQLite database that is empty."""
    with shared_tables():
        migrate.migrate(database)


@contextmanager
def shared_statements() -> Iterator[None]:
    """Let databases that are made in this context share compiled statements."""
    with patch.object(sqlite, "create_engine", _create_engine), patch.object(postgresql, "create_engine", _create_engine):
        yield


def _create_engine(url: URL, **options: Any) -> Engine:
    """Return an engine with the dialect of the first one of its kind: the key of a compiled statement contains it."""
    engine = create_engine(url, **options)
    first = _engines.setdefault((url.drivername, options.get("isolation_level")), engine)
    engine.dialect = engine.pool._dialect = first.dialect
    engine._compiled_cache = first._compiled_cache
    return engine


@functools.cache
def script() -> tuple[str, list[str]]:
    """Return the revision of this version and the statements that create its tables."""
    database = Database("sqlite://")
    database.run(_upgrade, migrate.UPGRADE_SECONDS)  # not ``migrate.migrate``, which logs that a database was created
    revision = migrate.revision(database)
    statements = database.run(lambda connection: list(_driver(connection).iterdump()))
    database.close()
    return str(revision), [each for each in statements if each not in ("BEGIN TRANSACTION;", "COMMIT;")]


def _driver(connection: Connection) -> sqlite3.Connection:
    return connection.connection.dbapi_connection  # type: ignore[return-value]


def _upgrade_by_script(connection: Connection) -> bool:
    """Do as ``migrate._upgrade`` does, quickly where a database is empty or up to date."""
    if connection.dialect.name != "sqlite":
        return _upgrade(connection)
    newest, statements = script()
    if MigrationContext.configure(connection).get_current_revision() == newest:
        return False
    if connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
        return _upgrade(connection)
    cursor = _driver(connection).cursor()
    for statement in statements:
        cursor.execute(statement)
    return True
