"""The tables of SQLite that the tests copy from one database, and the compiled statements that they share.

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
    """Copy the tables of an SQLite database in this context; databases made in it share compiled statements."""
    with patch.object(migrate, "_upgrade", _upgrade_by_copy), shared_statements():
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
def made() -> tuple[str, bytes]:
    """Return the revision of this version and a database with its tables, as SQLite serializes it."""
    database = Database("sqlite://")
    database.run(_upgrade, migrate.UPGRADE_SECONDS)  # not ``migrate.migrate``, which logs that a database was created
    revision = migrate.revision(database)
    serialized = database.run(lambda connection: _driver(connection).serialize())
    database.close()
    return str(revision), serialized


@functools.cache
def _source() -> sqlite3.Connection:
    """The database that is copied. Any thread may read it."""
    source = sqlite3.connect(":memory:", check_same_thread=False)
    source.deserialize(made()[1])
    return source


def _driver(connection: Connection) -> sqlite3.Connection:
    return connection.connection.dbapi_connection  # type: ignore[return-value]


def _upgrade_by_copy(connection: Connection) -> bool:
    """Do as ``migrate._upgrade`` does, quickly where a database is empty or up to date."""
    if connection.dialect.name != "sqlite":
        return _upgrade(connection)
    if MigrationContext.configure(connection).get_current_revision() == made()[0]:
        return False
    if connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
        return _upgrade(connection)
    driver = _driver(connection)
    driver.execute("COMMIT")  # a copy is a transaction of its own
    _source().backup(driver)
    driver.execute("BEGIN IMMEDIATE")
    return True
