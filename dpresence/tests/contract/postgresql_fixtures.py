"""The fixtures of the tests on PostgreSQL; ``conftest`` hands them on."""

from __future__ import annotations

import pytest

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.tests.shared_tables import shared_statements

from .postgresql import Server, empty


@pytest.fixture(scope="session")
def postgresql():
    """A server of our own."""
    server = Server()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def migrated(postgresql):
    """The URL of a database with our tables."""
    url = postgresql.make_database("presence")
    database = Database(url)
    migrate(database)
    database.close()
    return url


@pytest.fixture
def database(migrated):
    """An empty database in PostgreSQL."""
    with shared_statements():
        database = Database(migrated)
    empty(database)
    yield database
    database.close()
