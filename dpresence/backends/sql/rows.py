"""Mapping between rows and model values: the columns of a table are named like the fields of a dataclass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Insert, Select, Table, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from .statements import Statement

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


class Prepared(Generic[T]):
    """A ``Statement`` that selects the values of a class."""

    def __init__(self, query: Select[Any], kind: type[T]) -> None:
        self._statement = Statement(query)
        self._kind = kind

    def one(self, connection: Connection, **values: Any) -> T | None:
        """Return the one matching value, or None."""
        rows = self._statement.rows(connection, **values)
        return self._kind(*rows[0]) if rows else None

    def all(self, connection: Connection, **values: Any) -> list[T]:
        """Return the matching values in the prepared order."""
        return [self._kind(*row) for row in self._statement.rows(connection, **values)]


class Rows(Generic[T]):
    """Reads and writes the values of one model class in one table.

    :ivar names: the names of the columns.
    :ivar query: the select of all values.

    ``lock_for_update`` and ``lock_key_share`` lock the row until the transaction ends. SQLite ignores the locks: its transactions
    are exclusive.
    """

    def __init__(self, table: Table, kind: type[T]) -> None:
        self.table = table
        self._kind = kind
        self.names = [field.name for field in fields(kind)]
        self.query = select(*(table.c[name] for name in self.names))

    def prepare(
        self,
        *where: ColumnElement[bool],
        order_by: Iterable[ColumnElement[Any]] = (),
        limit: ColumnElement[int] | None = None,
        for_update: bool = False,
    ) -> Prepared[T]:
        """Build a select that runs often.

        :param for_update: lock each row, as ``lock_for_update`` does.
        """
        query = self.query.where(*where).order_by(*order_by).limit(limit)
        return Prepared(query.with_for_update() if for_update else query, self._kind)

    def find(self, connection: Connection, *where: ColumnElement[bool]) -> T | None:
        """Return the one matching value, or None."""
        return self._one(connection, self.query.where(*where))

    def lock_for_update(self, connection: Connection, *where: ColumnElement[bool]) -> T | None:
        """Return a value and lock its row with FOR UPDATE: no other transaction can lock, change or delete it."""
        return self._one(connection, self.query.where(*where).with_for_update())

    def lock_key_share(self, connection: Connection, *where: ColumnElement[bool]) -> T | None:
        """Return a value and lock its row with FOR KEY SHARE: no other transaction can delete it or lock it for update."""
        return self._one(connection, self.query.where(*where).with_for_update(read=True, key_share=True))

    def all(
        self, connection: Connection, *where: ColumnElement[bool], order_by: Any, limit: int | None = None, for_update: bool = False
    ) -> list[T]:
        """Return the matching values in order of a column or a tuple of columns.

        :param for_update: lock each row, as ``lock_for_update`` does.
        """
        order = order_by if isinstance(order_by, tuple) else (order_by,)
        query: Select[Any] = self.query.where(*where).order_by(*order).limit(limit)
        return [self._kind(*row) for row in connection.execute(query.with_for_update() if for_update else query)]

    def values(self, item: T) -> dict[str, Any]:
        """Return a value as a row."""
        return {name: getattr(item, name) for name in self.names}

    def add(self, connection: Connection, item: T) -> None:
        """Insert a value."""
        connection.execute(insert(self.table).values(self.values(item)))

    def delete(self, connection: Connection, *where: ColumnElement[bool]) -> int:
        """Delete matching rows; return how many, without the rows of other tables that are deleted with them."""
        return connection.execute(delete(self.table).where(*where)).rowcount

    def _one(self, connection: Connection, query: Select[Any]) -> T | None:
        row = connection.execute(query).one_or_none()
        return None if row is None else self._kind(*row)


_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def add_counts(connection: Connection, table: Table, key: dict[str, Any], counts: dict[str, int]) -> None:
    """Add to the counts of a row, which is inserted if there is none with this key.

    :param counts: a number for each column of the table that is not part of the key.
    """
    new = _INSERTS[connection.dialect.name](table).values(key | counts)
    sums = {name: table.c[name] + new.excluded[name] for name in counts}
    connection.execute(new.on_conflict_do_update(index_elements=list(key), set_=sums))


def insert_new(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless one with its key exists or is being inserted; return whether it was inserted.

    Catching the error of an insert would suffice for SQLite, but PostgreSQL aborts a transaction after any error.
    """
    query: Insert = _INSERTS[connection.dialect.name](table).values(values).on_conflict_do_nothing()
    return connection.execute(query, execution_options={"preserve_rowcount": True}).rowcount > 0
