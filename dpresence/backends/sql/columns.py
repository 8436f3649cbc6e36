"""Shared by the tables: their metadata, the type of their texts, foreign keys and indexes."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, MetaData, String, text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Text(TypeDecorator[str]):
    """Text that behaves the same in both databases: it is ordered by its bytes, as pages of ids require, and accepts any value in a query.

    PostgreSQL cannot represent NUL. No stored text contains one (``messages`` refuses it), but an id in a URL path may; it
    matches nothing, like any other unknown id.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Return the column's type. Without a collation, PostgreSQL's order would depend on the C library of its machine."""
        return dialect.type_descriptor(String(collation="C") if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return a value in the form that is sent to the database."""
        return value.replace("\0", "\1") if value and dialect.name == "postgresql" else value


def part_of(table: str, column: str = "id") -> ForeignKey:
    """Return a foreign key that deletes the row together with the referenced row."""
    return ForeignKey(f"{table}.{column}", ondelete="CASCADE")


def partial_index(table: str, column: str, where: str) -> Index:
    """Return an index of the rows of a table for which a condition holds."""
    return Index(f"ix_{table}_{column}_partial", column, sqlite_where=text(where), postgresql_where=text(where))
