"""The SQL directory keeps the contract behind PgBouncer in session mode (docs/scaling.md, PostgreSQL)."""

from __future__ import annotations

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.tests.shared_tables import shared_statements

from . import pgbouncer
from .directory import DirectoryContract
from .directory_addresses import AddressContract
from .postgresql import empty
from .sql import nowhere

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(pgbouncer.executable() is None, reason="PgBouncer is not installed"),
]


@pytest.fixture(scope="module")
def pooled(postgresql, migrated):
    """The URL of the database with our tables, through PgBouncer."""
    with pgbouncer.running(postgresql) as query:
        yield migrated.partition("?")[0] + query


class TestThroughPgBouncer(DirectoryContract, AddressContract):
    @pytest.fixture
    def backend(self, pooled):
        with shared_statements():
            database = Database(pooled)
        empty(database)
        yield SqlDirectory(database)
        database.close()

    @pytest.fixture
    def lost(self, tmp_path):
        with nowhere(tmp_path) as database:
            yield SqlDirectory(database)
