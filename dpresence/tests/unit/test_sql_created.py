"""A start that creates a database logs it once, so that the loss of a file is noticed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dpresence.backends.sql.engine import Database
from dpresence.tests.shared_tables import make_tables


def test_a_new_database_is_logged_with_its_path_and_an_existing_one_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dpresence")
    for _ in range(2):
        database = Database(f"sqlite:///{tmp_path}/x.db")
        make_tables(database)
        database.close()
    assert [message for message in caplog.messages if "created" in message] == [f"created a new database: {tmp_path}/x.db"]


def test_the_place_of_a_postgresql_database_has_no_credentials() -> None:
    database = Database("postgresql+psycopg://u:Canary7x@db.example:1/presence")
    assert database.place == "presence at db.example"
    database.close()
