"""Rows and model values: a table whose columns carry the names of a dataclass's fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Insert, Select, Table, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


class Prepared(Generic[T]):
    """A select that is made once, with ``bindparam`` where a value goes: making one takes longer than SQLite takes to answer it."""

    def __init__(self, query: Select[Any], kind: type[T]) -> None:
        self._query = query
        self._kind = kind

    def one(self, connection: Connection, **values: Any) -> T | None:
        """Return the one value that fits, or None."""
        row = connection.execute(self._query, values).one_or_none()
        return None if row is None else self._kind(*row)

    def all(self, connection: Connection, **values: Any) -> list[T]:
        """Return the values that fit, in the order that was prepared."""
        return [self._kind(*row) for row in connection.execute(self._query, values)]


class Rows(Generic[T]):
    """Reads and writes the values of one model class in one table.

    :ivar query: the select of all of them.

    ``hold`` and ``keep`` lock what they find until the transaction ends. SQLite ignores that: there, a transaction that
    has begun is alone.
    """

    def __init__(self, table: Table, kind: type[T]) -> None:
        self.table = table
        self._kind = kind
        self._names = [field.name for field in fields(kind)]
        self.query = select(*(table.c[name] for name in self._names))

    def prepare(self, *where: ColumnElement[bool], order_by: Iterable[ColumnElement[Any]] = (), hold: bool = False) -> Prepared[T]:
        """Make a select to be run often.

        :param hold: hold each value, as ``hold`` does.
        """
        query = self.query.where(*where).order_by(*order_by)
        return Prepared(query.with_for_update() if hold else query, self._kind)

    def find(self, connection: Connection, *where: ColumnElement[bool]) -> T | None:
        """Return the one value that fits, or None."""
        return self._one(connection, self.query.where(*where))

    def lock_for_update(self, connection: Connection, *where: ColumnElement[bool]) -> T | None:
        """Find a value and let nobody else hold, keep, change or delete it."""
        return self._one(connection, self.query.where(*where).with_for_update())

    def lock_key_share(self, connection: Connection, *where: ColumnElement[bool]) -> T | None:
        """Find a value and let nobody hold or delete it; others may keep it, too."""
        return self._one(connection, self.query.where(*where).with_for_update(read=True, key_share=True))

    def all(
        self, connection: Connection, *where: ColumnElement[bool], order_by: Any, limit: int | None = None, hold: bool = False
    ) -> list[T]:
        """Return the values that fit, in order: a column or a tuple of them.

        :param hold: hold each, as ``hold`` does.
        """
        order = order_by if isinstance(order_by, tuple) else (order_by,)
        query: Select[Any] = self.query.where(*where).order_by(*order).limit(limit)
        return [self._kind(*row) for row in connection.execute(query.with_for_update() if hold else query)]

    def values(self, item: T) -> dict[str, Any]:
        """Return a value as a row."""
        return {name: getattr(item, name) for name in self._names}

    def add(self, connection: Connection, item: T) -> None:
        """Insert a value."""
        connection.execute(insert(self.table).values(self.values(item)))

    def delete(self, connection: Connection, *where: ColumnElement[bool]) -> int:
        """Delete the rows that fit; return how many, those of other tables that went with them not counted."""
        return connection.execute(delete(self.table).where(*where)).rowcount

    def _one(self, connection: Connection, query: Select[Any]) -> T | None:
        row = connection.execute(query).one_or_none()
        return None if row is None else self._kind(*row)


def insert_new(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless one with its key is there, or just about to be; return whether it was inserted.

    A failed insert would do for SQLite, but PostgreSQL does not go on with a transaction in which anything failed.
    """
    kinds: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
    query: Insert = kinds[connection.dialect.name](table).values(values).on_conflict_do_nothing()
    return connection.execute(query, execution_options={"preserve_rowcount": True}).rowcount > 0
