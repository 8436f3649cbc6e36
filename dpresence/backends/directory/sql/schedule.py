"""Changes that are due at a time, in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, update

from ....model import Account
from ...sql.engine import Database
from ...sql.statements import Statement
from ...sql.tables import accounts
from ...sql.transactions import reading, transaction
from ..schedule import ScheduleStore
from . import outbox
from .rows import ACCOUNTS

_DUE = Statement(select(accounts.c.id).where(accounts.c.due_at <= bindparam("now")).order_by(accounts.c.due_at).limit(bindparam("most")))


class SqlSchedule(ScheduleStore):
    """See ``ScheduleStore``."""

    database: Database

    @reading(urgent=True)
    def due(self, connection: Connection, limit: int) -> Sequence[str]:
        return [user for (user,) in _DUE.rows(connection, now=self.database.now(connection), most=limit)]

    @transaction()
    def make_due_changes(self, connection: Connection, users: Sequence[str]) -> Sequence[str]:
        now = self.database.now(connection)
        found = ACCOUNTS.query.where(accounts.c.id.in_(users), accounts.c.due_at <= now).order_by(accounts.c.id)
        locked = [Account(*row) for row in connection.execute(found.with_for_update(skip_locked=True))]
        for account in locked:
            _make_due_changes(connection, account, now)
        return [account.id for account in locked]


def _make_due_changes(connection: Connection, account: Account, now: int) -> None:
    """Make the changes that are due for an account, whose row the caller has locked."""
    if account.override_until is not None and account.override_until <= now:
        change_override(connection, account.id, None, None)
    else:
        store_due_time(connection, account.id, account.override_until)


def change_override(connection: Connection, user: str, status: str | None, until: int | None) -> None:
    """Change the override of an account, whose row the caller has locked, and add this to the outbox."""
    connection.execute(update(accounts).where(accounts.c.id == user).values(override=status, override_until=until))
    outbox.add(connection, user, "override", user, revision=outbox.raise_revision(connection, user))
    store_due_time(connection, user, until)


def store_due_time(connection: Connection, user: str, override_until: int | None) -> None:
    """Store the earliest time at which something is due for an account, whose row the caller has locked."""
    connection.execute(update(accounts).where(accounts.c.id == user).values(due_at=override_until))
