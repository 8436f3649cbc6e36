"""The directory in an SQL database. Each method is one transaction; deletions follow the tables' foreign keys."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, func, select, update

from ....model import DirectoryVersion
from ...sql import tables  # as a whole: modules of this package have the same names
from ...sql.engine import Database
from ...sql.rows import insert_new
from ...sql.transactions import nondurable, reading, transaction
from .. import Directory, OutboxEntry
from . import outbox
from .accounts import SqlAccounts
from .applications import SqlApplications
from .grants import SqlGrants
from .known_devices import SqlKnownDevices
from .looks import SqlLooks, sweep_looks
from .outcomes import SqlOutcomes, sweep_outcomes
from .pairings import SqlPairings
from .partitions import SqlPartitions
from .provider_logouts import SqlProviderLogouts
from .pushes import SqlPushes
from .rows import ACCOUNTS, APPLICATIONS, CREDENTIALS, GRANTS, KEYS, PAIRINGS, SESSIONS, TICKETS
from .schedule import SqlSchedule
from .sessions import PARALLEL_MS, SqlSessions
from .tickets import UNUSED, SqlTickets
from .webhooks import ATTEMPTS, ATTEMPTS_MS, SqlWebhooks

__all__ = ["ACCOUNTS", "APPLICATIONS", "GRANTS", "KEYS", "PARALLEL_MS", "SESSIONS", "TICKETS", "SqlDirectory"]


class SqlDirectory(
    SqlAccounts,
    SqlSessions,
    SqlTickets,
    SqlProviderLogouts,
    SqlPairings,
    SqlKnownDevices,
    SqlApplications,
    SqlGrants,
    SqlPushes,
    SqlLooks,
    SqlOutcomes,
    SqlSchedule,
    SqlPartitions,
    SqlWebhooks,
    Directory,
):
    """Durable facts in a ``Database`` that is shared with the mailbox. Closing either backend closes the database.

    In addition to the base class, methods raise ``NotFound`` if the owner or application of a new row has been deleted concurrently.

    A method that reads and then writes rows of an account or an application first locks the row of that account or application, which
    serializes such methods. Locks are taken in the order accounts, applications, grants.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.measures = database.measures

    # -- the directory as a whole

    def ping(self) -> None:
        self.database.check_writable()
        self._look()

    @reading(urgent=True)
    def _look(self, connection: Connection) -> None:
        connection.execute(select(tables.service.c.mode))

    @transaction()
    def claim_mode(self, connection: Connection, mode: str) -> str:
        insert_new(connection, tables.service, id=1, mode=mode)
        connection.execute(update(tables.service).where(tables.service.c.generation.is_(None)).values(generation=secrets.token_hex(8)))
        stored: str = connection.scalars(select(tables.service.c.mode)).one()
        return stored

    @reading()
    def mode(self, connection: Connection) -> str | None:
        """Return the stored mode, None if no service has started on this directory."""
        return connection.scalar(select(tables.service.c.mode))

    @reading()
    def version(self, connection: Connection) -> DirectoryVersion:
        return DirectoryVersion(connection.scalar(select(tables.service.c.generation)) or "", outbox.last(connection))

    @transaction(erasing="always")
    def sweep(self, connection: Connection) -> int:
        now = self.database.trusted_now(connection)
        ticket = tables.tickets.c
        unused = (
            ticket.expires_at < ticket.session_ends_at,
            ticket.expires_at <= now,
            ticket.state == UNUSED,
        )  # others end with the sign-in
        deleted = TICKETS.delete(connection, *unused) + TICKETS.delete(connection, ticket.session_ends_at <= now)
        deleted += PAIRINGS.delete(connection, tables.pairings.c.expires_at <= now)
        deleted += CREDENTIALS.delete(connection, tables.device_credentials.c.expires_at <= now)
        deleted += SESSIONS.delete(connection, tables.sessions.c.expires_at <= now)
        deleted += KEYS.delete(connection, tables.api_keys.c.retires_at <= now)
        deleted += ATTEMPTS.delete(connection, tables.webhook_attempts.c.at <= now - ATTEMPTS_MS)
        for table in (tables.used_assertions, tables.provider_logouts, tables.push_subscriptions, tables.pushes):
            deleted += connection.execute(delete(table).where(table.c.expires_at <= now)).rowcount
        return deleted + sweep_looks(connection, now) + sweep_outcomes(connection, now)

    def close(self) -> None:
        self.database.close()

    @reading(urgent=True)
    def outbox(self, connection: Connection, owners: Collection[str] | None, after: int, limit: int) -> Sequence[OutboxEntry]:
        return outbox.read(connection, owners, after, limit)

    @reading()
    def count_outbox(self, connection: Connection, limit: int) -> int:
        return outbox.count(connection, limit)

    @transaction()
    def note(self, connection: Connection, text: str, owner: str) -> int:
        outbox.add(connection, owner, "note", detail=text)
        return outbox.last(connection)

    @reading()
    def counts(self, connection: Connection) -> dict[str, int]:
        counted = {"accounts": tables.accounts, "applications": tables.applications, "grants": tables.grants}
        return {name: connection.scalar(select(func.count()).select_from(table)) or 0 for name, table in counted.items()}

    @nondurable(urgent=True)
    def clear_outbox(self, connection: Connection, entries: Sequence[OutboxEntry]) -> None:
        outbox.remove(connection, [entry.id for entry in entries])
