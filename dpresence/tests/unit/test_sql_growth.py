"""No call of the stores reads a whole table: its cost does not depend on how many people there are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection

from dpresence.backends.directory.sql import ACCOUNTS, APPLICATIONS, GRANTS, KEYS, SESSIONS, TICKETS, SqlDirectory
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import metadata
from dpresence.errors import Refused
from dpresence.model import Account
from dpresence.tests.contract import directory_values, mailbox
from dpresence.tests.contract.directory_values import APPLICATION, GRANT, IDENTITY, KEY, NOW, SESSION, TICKET
from dpresence.tests.contract.sql import opened

ONE_ROW = ("SCAN service", "SCAN sqlite_sequence", "SCAN partitions")
"""Tables that have one row, or a few, however many people there are."""
BOUNDED = (" LIMIT 1 ", "(SELECT 1) WHERE 1!=1", "0 = 1", "row_number()")
"""Parts of statements that read one row, no row, or rows that a subquery has found by an index."""


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with opened("sqlite://") as database:
        yield database


def fill(connection: Connection) -> None:
    """Make two users the only ones, with a row in each table that the calls read."""
    for table in reversed(metadata.sorted_tables):
        if table.name not in ("service", "alembic_version"):
            connection.execute(table.delete())
    ACCOUNTS.add(connection, Account("jane", IDENTITY.email, *IDENTITY.pin, NOW))
    ACCOUNTS.add(connection, Account("joe", "joe@example.org", "login.example.org", "joe", NOW))
    APPLICATIONS.add(connection, replace(APPLICATION, validated_scheme="https", active=True, check_at=NOW))
    for rows, value in ((KEYS, KEY), (GRANTS, GRANT), (SESSIONS, SESSION), (TICKETS, TICKET)):
        rows.add(connection, value)  # type: ignore[attr-defined]


def statements_of(database: Database, call: Callable[[], object]) -> list[str]:
    """Return the statements of a call that read or change rows."""
    statements: list[str] = []
    database.run(fill)
    database.run(lambda connection: driver_of(connection).set_trace_callback(statements.append))
    with contextlib.suppress(Refused):
        call()
    database.run(lambda connection: driver_of(connection).set_trace_callback(None))
    return [each for each in statements if each.startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH"))]


def driver_of(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def scans(connection: Connection, statement: str) -> list[str]:
    """Return the steps of SQLite's plan that read a whole table or index."""
    plan = driver_of(connection).execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    return [step for *_, step in plan if step.startswith("SCAN") and step not in (*ONE_ROW, "SCAN CONSTANT ROW")]


def unbounded(database: Database, statements: list[str]) -> list[str]:
    """Return the statements whose cost grows with the number of people."""
    checked = [each for each in statements if not any(part in each for part in BOUNDED)]
    return database.run(lambda connection: [each for each in checked if scans(connection, each)])


BY_THE_OPERATOR = (
    *("counts", "records"),
    *(
        "partition_move",
        "take_over_partition_move",
        "switch_partition",
        "split_partition",
        "end_partition_move",
    ),  # of a table with one row at most
    "replace_partition_server",  # of a table with a row for each partition
)
"""Calls that only the operator's command makes, rarely and in a process of its own."""


@pytest.mark.parametrize("name", [name for name in directory_values.CALLS if name not in BY_THE_OPERATOR])
def test_no_call_of_the_directory_reads_a_whole_table(database: Database, name: str) -> None:
    made = statements_of(database, lambda: directory_values.CALLS[name](SqlDirectory(database)))
    assert made, "the call reached the database"
    assert unbounded(database, made) == []


@pytest.mark.parametrize("name", [name for name in mailbox.CALLS if name not in BY_THE_OPERATOR])
def test_no_call_of_the_mailbox_reads_a_whole_table(database: Database, name: str) -> None:
    assert unbounded(database, statements_of(database, lambda: mailbox.CALLS[name](SqlMailbox(database)))) == []


def test_a_call_that_reads_a_whole_table_is_noticed(database: Database) -> None:
    assert unbounded(database, ["SELECT id FROM accounts WHERE revision = 1"]) != []


def steps_of_use(database: Database, earlier: int) -> int:
    """Return the steps of SQLite's virtual machine for the use of a ticket whose device has signed in so many times before."""
    directory, steps = SqlDirectory(database), 0

    def count() -> None:
        nonlocal steps
        steps += 1

    database.run(fill)
    for number in range(earlier):
        assert directory.use_ticket(b"%d" % number if number else TICKET.hash, NOW, "phone", b"%d" % (number + 1))
    database.run(lambda connection: driver_of(connection).set_progress_handler(count, 1))
    assert directory.use_ticket(b"%d" % earlier, NOW, "phone", b"%d" % (earlier + 1))
    database.run(lambda connection: driver_of(connection).set_progress_handler(None, 1))
    return steps


def test_the_use_of_a_ticket_costs_the_same_however_often_its_device_has_signed_in(database: Database) -> None:
    assert steps_of_use(database, 200) == steps_of_use(database, 20)
