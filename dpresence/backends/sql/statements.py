"""Statements that are compiled once and, with SQLite, executed by the driver itself.

They are those of a sign-in. SQLAlchemy takes several times as long to build and execute such a statement as SQLite takes to answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Select, Update

Converter = Callable[[Any], Any]


@dataclass(slots=True)
class _Compiled:
    """A statement in the form that SQLite's driver takes.

    :ivar order: names of the values in the order of the placeholders.
    :ivar constants: values that are part of the statement.
    :ivar incoming: converters of values, by name.
    :ivar outgoing: converters of the columns of a row, by index.
    """

    text: str
    order: Sequence[str]
    constants: dict[str, Any]
    incoming: list[tuple[str, Converter]]
    outgoing: list[tuple[int, Converter]]


class Statement:
    """A statement with ``bindparam`` placeholders.

    :param columns: the columns to which an insert assigns values; empty for other statements.
    """

    def __init__(self, query: Select[Any] | Insert | Update, columns: Sequence[str] = ()) -> None:
        self._query = query
        self._columns = columns
        self._compiled: _Compiled | None = None

    def run(self, connection: Connection, **values: Any) -> None:
        """Execute an insert or an update."""
        if connection.dialect.name == "sqlite":
            self._execute(connection, values)
        else:
            connection.execute(self._query, values)

    def rows(self, connection: Connection, **values: Any) -> Sequence[Sequence[Any]]:
        """Execute a select and return its rows."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._query, values).all()
        found: list[Sequence[Any]] = self._execute(connection, values).fetchall()
        outgoing = self._form(connection.dialect).outgoing
        return [_convert(row, outgoing) for row in found] if outgoing else found

    def _execute(self, connection: Connection, values: dict[str, Any]) -> Any:
        form = self._form(connection.dialect)
        values = {**form.constants, **values}
        for name, convert in form.incoming:
            values[name] = convert(values[name])
        driver: Any = connection.connection.dbapi_connection
        return driver.execute(form.text, [values[name] for name in form.order])

    def _form(self, dialect: Dialect) -> _Compiled:
        if self._compiled is None:
            self._compiled = self._compile(dialect)
        return self._compiled

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled: Any = self._query.compile(dialect=dialect, column_keys=list(self._columns) or None)
        incoming = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for bind, name in compiled.bind_names.items()}
        columns = getattr(self._query, "selected_columns", ())
        outgoing = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        return _Compiled(
            compiled.string,
            compiled.positiontup,
            {name: compiled.params[name] for bind, name in compiled.bind_names.items() if not bind.required},
            [(name, convert) for name, convert in incoming.items() if convert],
            [(index, convert) for index, convert in enumerate(outgoing) if convert],
        )


def _convert(row: Sequence[Any], outgoing: Sequence[tuple[int, Converter]]) -> Sequence[Any]:
    values = list(row)
    for index, convert in outgoing:
        values[index] = convert(values[index])
    return values
