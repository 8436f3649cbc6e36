"""Statements that are compiled once and, with SQLite, executed by the driver itself.

They are those of a sign-in. SQLAlchemy takes several times as long to build and execute such a statement as SQLite takes to answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, LargeBinary, Select, Update
from sqlalchemy.types import TypeEngine

from .columns import Text

Converter = Callable[[Any], Any]
_UNCONVERTED = (Text, LargeBinary)


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
    """A statement with ``bindparam`` placeholders."""

    def __init__(self, query: Select[Any] | Insert | Update) -> None:
        self._query = query
        self._compiled: _Compiled | None = None

    def run(self, connection: Connection, **values: Any) -> None:
        """Execute an insert or an update."""
        if connection.dialect.name == "sqlite":
            self._execute(connection, values, self._compiled or self._compile(connection.dialect))
        else:
            connection.execute(self._query, values)

    def rows(self, connection: Connection, **values: Any) -> Sequence[Sequence[Any]]:
        """Execute a select and return its rows."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._query, values).all()
        form = self._compiled or self._compile(connection.dialect)
        found: list[Sequence[Any]] = self._execute(connection, values, form).fetchall()
        if not form.outgoing:
            return found
        rows = list(map(list, found))
        for row in rows:
            for index, convert in form.outgoing:
                row[index] = convert(row[index])
        return rows

    @staticmethod
    def _execute(connection: Connection, values: dict[str, Any], form: _Compiled) -> Any:
        if form.constants:
            values = form.constants | values
        for name, convert in form.incoming:
            values[name] = convert(values[name])
        driver: Any = connection.connection.dbapi_connection
        return driver.execute(form.text, list(map(values.__getitem__, form.order)))

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled: Any = self._query.compile(dialect=dialect)
        incoming = [(name, _converter(bind.type, dialect, "bind_processor")) for bind, name in compiled.bind_names.items()]
        columns = getattr(self._query, "selected_columns", ())
        outgoing = [_converter(column.type, dialect, "result_processor", None) for column in columns]
        self._compiled = _Compiled(
            compiled.string,
            compiled.positiontup,
            {name: compiled.params[name] for bind, name in compiled.bind_names.items() if not bind.required},
            [(name, convert) for name, convert in incoming if convert],
            [(index, convert) for index, convert in enumerate(outgoing) if convert],
        )
        return self._compiled


def _converter(kind: TypeEngine[Any], dialect: Dialect, processor: str, *arguments: Any) -> Converter | None:
    """Return SQLAlchemy's converter for a type; None for text and bytes, which SQLite takes and returns as they are."""
    made = None if isinstance(kind, _UNCONVERTED) else getattr(kind.dialect_impl(dialect), processor)(dialect, *arguments)
    converter: Converter | None = made
    return converter
