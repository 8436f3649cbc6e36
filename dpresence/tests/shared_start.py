"""Slow steps of a start whose results the tests share: Pyramid's configuration and the tables of SQLite.

Tests of the steps themselves, and every process that a test starts, run the real ones.
"""

from __future__ import annotations

import functools
import sqlite3
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from alembic.migration import MigrationContext
from pyramid.registry import Registry
from pyramid.router import Router
from sqlalchemy import Connection

from dpresence import app
from dpresence.backends.sql import migrate
from dpresence.backends.sql.engine import Database
from dpresence.registry import KEY

_configure, _upgrade = app.configure, migrate._upgrade
_configured: dict[bool, Router] = {}


@contextmanager
def shared_start() -> Iterator[None]:
    """Share the steps among the applications that are made in this context.

    The certificates of the system, which take as long to load, are left out: these applications connect to the loopback only.
    """
    no_certificates = patch.object(ssl.SSLContext, "load_default_certs", lambda *_: None)
    with shared_tables(), no_certificates, patch.object(app, "configure", _configure_once):
        yield


@contextmanager
def shared_tables() -> Iterator[None]:
    """Create the tables of an SQLite database in this context from a script instead of by every migration."""
    with patch.object(migrate, "_upgrade", _upgrade_by_script):
        yield


def _configure_once(ini: Mapping[str, str], parts: Any) -> Router:
    """Return an application with a registry of its own and with the routes and views of the first one.

    These depend only on whether the development issuer is on.
    """
    development = parts.development_issuer is not None
    if development not in _configured:
        _configured[development] = _configure(ini, parts)
    first = _configured[development].registry
    registry = Registry.__new__(Registry)
    vars(registry).update(vars(first))
    registry.update({**first, KEY: parts})
    return Router(registry)


@functools.cache
def _script() -> tuple[str, list[str]]:
    """Return the revision of this version and the statements that create its tables."""
    database = Database("sqlite://")
    with patch.object(migrate, "_upgrade", _upgrade):
        migrate.migrate(database)
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
    newest, statements = _script()
    if MigrationContext.configure(connection).get_current_revision() == newest:
        return False
    if connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
        return _upgrade(connection)
    for statement in statements:
        connection.exec_driver_sql(statement)
    return True
