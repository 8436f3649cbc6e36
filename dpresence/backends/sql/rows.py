"""Rows and model values: a table whose columns carry the names of a dataclass's fields."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, insert, select

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


class Rows(Generic[T]):
    """Reads and writes the values of one model class in one table."""

    def __init__(self, table: Table, kind: type[T]) -> None:
        self.table = table
        self._kind = kind
        self._names = [field.name for field in fields(kind)]
        self._select = select(*(table.c[name] for name in self._names))

    def find(self, connection: Connection, *where: ColumnElement[bool]) -> T | None:
        """Return the one value that fits, or None."""
        row = connection.execute(self._select.where(*where)).one_or_none()
        return None if row is None else self._kind(*row)

    def all(self, connection: Connection, *where: ColumnElement[bool], order_by: Any, limit: int | None = None) -> list[T]:
        """Return the values that fit, in order: a column or a tuple of them."""
        order = order_by if isinstance(order_by, tuple) else (order_by,)
        query: Select[Any] = self._select.where(*where).order_by(*order).limit(limit)
        return [self._kind(*row) for row in connection.execute(query)]

    def values(self, item: T) -> dict[str, Any]:
        """Return a value as a row."""
        return {name: getattr(item, name) for name in self._names}

    def add(self, connection: Connection, item: T) -> None:
        """Insert a value."""
        connection.execute(insert(self.table).values(self.values(item)))

    def delete(self, connection: Connection, *where: ColumnElement[bool]) -> int:
        """Delete the rows that fit; return how many, those of other tables that went with them not counted."""
        return connection.execute(delete(self.table).where(*where)).rowcount
