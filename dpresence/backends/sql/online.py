"""Replaces indexes of a PostgreSQL database that is in use. Runs before the migrations.

The migrations of one upgrade are one transaction, which holds every lock until its end: building an index there would stop all writes of
its table, and dropping one would stop all reads as well, also while it only waits for a long read such as a ``pg_dump``. CONCURRENTLY
stops neither, but must be outside a transaction. SQLite has no concurrent writers during an upgrade.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gevent
from sqlalchemy import Connection, Engine

from ...errors import BackendUnavailable
from .locks import try_lock_name, unlock_name

LOCK_PAUSE_SECONDS = 0.2
"""Pause in seconds between attempts at the lock."""
_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"

_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND NOT attisdropped"


@dataclass(frozen=True, slots=True)
class Replacement:
    """An index that a migration has replaced by another one.

    :param columns: the columns of the new one.
    :param replaced: the columns of the old one.
    :param where: condition for the rows that the new one contains; "" for all.
    """

    table: str
    columns: tuple[str, ...]
    replaced: tuple[str, ...]
    where: str = ""

    @property
    def name(self) -> str:
        """The name of the new index."""
        return f"ix_{self.table}_{'_'.join(self.columns)}{'_partial' if self.where else ''}"

    @property
    def old_name(self) -> str:
        """The name of the old index."""
        return f"ix_{self.table}_{'_'.join(self.replaced)}"

    @property
    def definition(self) -> str:
        """The rest of the statement that creates the new index."""
        columns = ", ".join(f'"{column}"' for column in self.columns)
        return f"ON {self.table} ({columns})" + (f" WHERE {self.where}" if self.where else "")


REPLACEMENTS = (
    Replacement("notifications", ("user", "puid", "expires_at"), ("user", "puid")),  # 0008
    Replacement("taken", ("user", "puid", "expires_at"), ("user", "puid")),  # 0008
    Replacement("grants", ("appid", "puid", "granted_at"), ("appid", "puid")),  # 0011
    Replacement("tickets", ("family", "state"), ("family",)),  # 0013
    Replacement("tickets", ("user",), ("user", "device")),  # 0013
    Replacement("tickets", ("session",), ("session",), "session IS NOT NULL"),  # 0013
    Replacement("tickets", ("expires_at",), ("expires_at",), "expires_at < session_ends_at"),  # 0013
)
"""Migrations that consist of such a replacement find it done."""


def replace_indexes(engine: Engine, seconds: float) -> None:
    """Replace every old index that exists, one process at a time. The old and the new version of the service may both run meanwhile.

    It may be repeated: an index that an interrupted run has left behind is not valid, and is built again.

    :param seconds: time limit of each statement, and of waiting for another process that does the same.
    :raises BackendUnavailable: another process still holds the lock.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not any(_due(connection, change) for change in REPLACEMENTS):
            return
        with _longer(connection, seconds), _locked(connection, seconds):
            for change in REPLACEMENTS:
                if _due(connection, change):
                    _replace(connection, change)


def _due(connection: Connection, change: Replacement) -> bool:
    """Return whether the old index exists and the new one is possible: a column may be added by a migration that has not run yet."""
    if _validity(connection, change.old_name) is None:
        return False
    return set(change.columns) <= set(connection.exec_driver_sql(_COLUMNS, (change.table,)).scalars())


def _replace(connection: Connection, change: Replacement) -> None:
    if not _validity(connection, change.name):
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {change.name}")
        connection.exec_driver_sql(f"CREATE INDEX CONCURRENTLY {change.name} {change.definition}")
    connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {change.old_name}")


def _validity(connection: Connection, name: str) -> bool | None:
    """Return whether an index can be used; None if there is none."""
    found: bool | None = connection.exec_driver_sql(_VALID, (name,)).scalar()
    return found


@contextmanager
def _longer(connection: Connection, seconds: float) -> Iterator[None]:
    """Raise the statement timeout of a connection."""
    connection.exec_driver_sql(f"SET statement_timeout = {round(seconds * 1000)}")
    try:
        yield
    finally:
        connection.exec_driver_sql("RESET statement_timeout")


@contextmanager
def _locked(connection: Connection, seconds: float) -> Iterator[None]:
    """Hold a lock of the session. A statement that waited for it would keep its snapshot, for whose end CONCURRENTLY waits."""
    ends_at = time.monotonic() + seconds
    while not try_lock_name(connection, "table", "alembic_version online"):
        if time.monotonic() >= ends_at:
            raise BackendUnavailable
        gevent.sleep(LOCK_PAUSE_SECONDS)
    try:
        yield
    finally:
        unlock_name(connection, "table", "alembic_version online")
