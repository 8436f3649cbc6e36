"""The SQL directory keeps the contract on PostgreSQL, also when that was away."""

from __future__ import annotations

import pytest

from dpresence.backends.directory.sql import SqlDirectory

from .directory import DirectoryContract
from .directory_addresses import AddressContract
from .sql import nowhere


class TestOnPostgreSQL(DirectoryContract, AddressContract):
    @pytest.fixture
    def backend(self, database):
        return SqlDirectory(database)

    @pytest.fixture
    def lost(self, tmp_path):
        with nowhere(tmp_path) as database:
            yield SqlDirectory(database)
