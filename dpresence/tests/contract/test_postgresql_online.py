"""Indexes of a PostgreSQL in use are replaced while other transactions read and write its tables."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import configuration, migrate
from dpresence.backends.sql.online import REPLACEMENTS, replace_indexes
from dpresence.errors import BackendUnavailable
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

INDEXES = """
    SELECT indexrelid::regclass::text FROM pg_index
    WHERE indisvalid AND indrelid IN ('grants'::regclass, 'notifications'::regclass, 'tickets'::regclass)
"""
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'
"""
PUIDS = "SELECT puid FROM grants"
GRANT = """INSERT INTO grants (puid, appid, "user", granted_at, since, paused) VALUES (:puid, 'chess', :puid, 1, 1, false)"""


@pytest.fixture
def earlier(postgresql: Any, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of revision 0007 with an application."""
    database = Database(postgresql.make_database(request.node.name[:50]))
    database.run(lambda connection: command.upgrade(configuration(connection), "0007"), 60)
    database.run(_add_application)
    yield database
    database.close()


def _add_application(connection: Connection) -> None:
    account = "INSERT INTO accounts (id, email, issuer, subject, created_at, blocked) VALUES ('jane', 'jane@example.org', '', '', 1, false)"
    connection.exec_driver_sql(account)
    connection.exec_driver_sql(account.replace("jane", "held"))
    connection.exec_driver_sql(account.replace("jane", "meanwhile"))
    columns = "id, owner, name, domain, description, domain_key, created_at, active, failed_checks"
    connection.exec_driver_sql(
        f"INSERT INTO applications ({columns}) VALUES ('chess', 'jane', 'Chess', 'chess.example.org', '', '', 1, true, 0)"
    )


def valid_indexes(database: Database) -> set[str]:
    return set(database.run(lambda connection: connection.exec_driver_sql(INDEXES).scalars().all()))


def expect_replaced(database: Database) -> None:
    found = valid_indexes(database)
    for change in REPLACEMENTS:
        assert change.old_name not in found
    assert {change.name for change in REPLACEMENTS if change.table != "taken"} <= found


def url_of(database: Database) -> str:
    return database._engine.url.render_as_string(hide_password=False)


@contextmanager
def transaction_of_another(database: Database, statement: str) -> Iterator[Connection]:
    """Leave a transaction of another process open."""
    engine = create_engine(url_of(database))
    with engine.connect() as connection:
        connection.execute(text(statement), {"puid": "held"})
        yield connection
    engine.dispose()


class Process(threading.Thread):
    """Another process, with a connection of its own to the database."""

    def __init__(self, url: str, work: Callable[[Database], object]) -> None:
        super().__init__()
        self.failures: list[BaseException] = []
        self._url = url
        self._work = work
        self.start()

    def run(self) -> None:
        database = Database(self._url)  # a database belongs to the thread that creates it
        try:
            self._work(database)
        except BaseException as error:
            self.failures.append(error)
        database.close()

    def expect_success(self) -> None:
        self.join(PATIENCE_SECONDS)
        assert (self.is_alive(), self.failures) == (False, [])


def waits(database: Database) -> bool:
    """Return whether an index waits for a transaction."""
    return bool(database.run(lambda connection: connection.scalar(text(WAITING))))


def test_an_upgrade_replaces_the_indexes(earlier: Database) -> None:
    migrate(earlier)
    expect_replaced(earlier)


def test_others_write_and_read_while_an_index_is_built(earlier: Database) -> None:
    with transaction_of_another(earlier, GRANT) as held:  # the index waits for this transaction, as for a pg_dump
        upgrade = Process(url_of(earlier), migrate)
        eventually(lambda: waits(earlier) or upgrade.failures)
        earlier.run(lambda connection: connection.execute(text(GRANT), {"puid": "meanwhile"}))
        assert earlier.run(lambda connection: connection.scalars(text(PUIDS)).all()) == ["meanwhile"]
        assert upgrade.is_alive()
        held.commit()
    upgrade.expect_success()
    expect_replaced(earlier)
    assert sorted(earlier.run(lambda connection: connection.scalars(text(PUIDS)).all())) == ["held", "meanwhile"]


@pytest.mark.slow
def test_several_processes_that_upgrade_at_once_replace_the_indexes_once(earlier: Database) -> None:
    for process in [Process(url_of(earlier), migrate) for _ in range(4)]:
        process.expect_success()
    expect_replaced(earlier)


@pytest.mark.slow
def test_an_index_that_an_interrupted_upgrade_left_behind_is_built_again(earlier: Database) -> None:
    with transaction_of_another(earlier, GRANT), pytest.raises(OperationalError, match="statement timeout"):
        replace_indexes(earlier._engine, 1)
    valid = valid_indexes(earlier)
    assert "ix_grants_appid_puid" in valid
    assert "ix_grants_appid_puid_granted_at" not in valid
    assert earlier.run(lambda connection: inspect(connection).has_index("grants", "ix_grants_appid_puid_granted_at"))
    migrate(earlier)
    expect_replaced(earlier)


@pytest.mark.slow
def test_a_process_waits_for_another_that_replaces_the_indexes(earlier: Database) -> None:
    with transaction_of_another(earlier, GRANT) as held:
        first = Process(url_of(earlier), lambda database: database.replace_indexes(PATIENCE_SECONDS))
        eventually(lambda: waits(earlier) or first.failures)
        with pytest.raises(BackendUnavailable):
            replace_indexes(earlier._engine, 0.5)
        held.commit()
    first.expect_success()
    assert not {change.old_name for change in REPLACEMENTS if change.columns != ("family", "state")} & valid_indexes(earlier)
    migrate(earlier)  # adds tickets.state
    expect_replaced(earlier)
