"""Statements that SQLite's driver executes: they do as SQLAlchemy's execution would."""

from __future__ import annotations

import pytest
from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, Table, bindparam, case, insert, select, update

from dpresence.backends.sql.columns import Text
from dpresence.backends.sql.statements import Statement
from dpresence.tests.contract.sql import opened

items = Table("items", MetaData(), Column("id", Integer), Column("name", Text), Column("hash", LargeBinary), Column("on", Boolean))
ADD = insert(items).values({name: bindparam(f"new_{name}", type_=column.type) for name, column in items.c.items()})
ROW = {"id": 1, "name": "ann", "hash": b"\0\xff", "on": True}


def new(row):
    return {f"new_{name}": value for name, value in row.items()}


@pytest.fixture
def connected():
    """A function that runs work with a connection to a database that has the table."""
    with opened("sqlite://") as database:
        database.run(lambda connection: items.create(connection))
        yield database.run


def test_values_of_every_type_come_back_as_they_went(connected):
    add, found = Statement(ADD), Statement(select(items).where(items.c.id == bindparam("wanted")))
    nothing = dict.fromkeys(ROW) | {"id": 2}
    connected(lambda connection: [add.run(connection, **new(row)) for row in (ROW, nothing)])
    rows = connected(lambda connection: [found.rows(connection, wanted=number) for number in (1, 2, 3)])
    assert [[tuple(row) for row in each] for each in rows] == [[tuple(ROW.values())], [tuple(nothing.values())], []]
    assert rows[0][0][3] is True


def test_constants_in_a_statement_and_a_value_used_twice_are_kept(connected):
    add = Statement(ADD)
    change = Statement(
        update(items)
        .where(items.c.name != "bob")
        .values(name=case((items.c.hash == bindparam("shown"), bindparam("to")), else_="no"), on=False)
    )
    connected(lambda connection: [add.run(connection, **new({**ROW, "id": number, "hash": bytes([number])})) for number in (1, 2)])
    connected(lambda connection: change.run(connection, shown=b"\2", to="yes"))
    names = Statement(select(items.c.name, items.c.on).order_by(items.c.id))
    assert connected(lambda connection: [tuple(row) for row in names.rows(connection)]) == [("no", False), ("yes", False)]


def test_a_missing_value_is_an_error(connected):
    with pytest.raises(KeyError):
        connected(lambda connection: Statement(select(items).where(items.c.id == bindparam("wanted"))).rows(connection))


def test_a_limit_may_be_a_value(connected):
    add, found = Statement(ADD), Statement(select(items.c.id).order_by(items.c.id).limit(bindparam("most")))
    connected(lambda connection: [add.run(connection, **new({**ROW, "id": number})) for number in range(5)])
    assert connected(lambda connection: [tuple(row) for row in found.rows(connection, most=2)]) == [(0,), (1,)]


def test_a_single_statement_of_a_reader_is_all_that_the_driver_executes(tmp_path):
    found, executed = Statement(select(items.c.id)), []
    with opened(f"sqlite:///{tmp_path}/file.db") as database:
        database.run(lambda connection: items.create(connection))

        def read(connection):
            connection.connection.dbapi_connection.set_trace_callback(executed.append)
            return found.rows(connection)

        assert database.read(read, single=True) == []
        assert executed == ["SELECT items.id \nFROM items"]
        database.run(lambda connection: Statement(ADD).run(connection, **new(ROW)))
        assert database.read(found.rows, single=True) == [(1,)]  # no older snapshot is still open
        assert database.read(found.rows) == [(1,)]
