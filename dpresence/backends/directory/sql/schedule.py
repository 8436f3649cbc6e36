"""Changes that are due at a time, in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, func, or_, select, update

from ....model import Account, next_change
from ...sql.engine import Database
from ...sql.statements import Statement
from ...sql.tables import accounts, grants
from ...sql.transactions import reading, transaction
from .. import Requester
from ..schedule import ScheduleStore
from . import due_changes, outbox
from .requester_checks import lock_account
from .rows import ACCOUNTS

_DUE = Statement(select(accounts.c.id).where(accounts.c.due_at <= bindparam("now")).order_by(accounts.c.due_at).limit(bindparam("most")))


class SqlSchedule(ScheduleStore):
    """See ``ScheduleStore``."""

    database: Database

    @transaction()
    def set_hours(self, connection: Connection, user: str, hours: str | None, requester: Requester | None = None) -> Account | None:
        account = lock_account(connection, user, requester)
        if account is None or account.hours == hours:
            return account
        connection.execute(update(accounts).where(accounts.c.id == user).values(hours=hours))
        due_changes.make(connection, [replace(account, hours=hours)], self.database.now(connection))
        return ACCOUNTS.find(connection, accounts.c.id == user)

    @reading(urgent=True)
    def due(self, connection: Connection, limit: int) -> Sequence[str]:
        return [user for (user,) in _DUE.rows(connection, now=self.database.now(connection), most=limit)]

    @transaction()
    def make_due_changes(self, connection: Connection, users: Sequence[str]) -> Sequence[str]:
        now = self.database.now(connection)
        found = ACCOUNTS.query.where(accounts.c.id.in_(users), accounts.c.due_at <= now).order_by(accounts.c.id)
        locked = [Account(*row) for row in connection.execute(found.with_for_update(skip_locked=True))]
        if locked:
            due_changes.make(connection, locked, now)
        return [account.id for account in locked]


def change_override(connection: Connection, user: str, status: str | None, until: int | None) -> None:
    """Change the override of an account, whose row the caller has locked, and add this to the outbox."""
    connection.execute(update(accounts).where(accounts.c.id == user).values(override=status, override_until=until))
    outbox.add(connection, user, "override", user, revision=outbox.raise_revision(connection, user))


def store_due_time(connection: Connection, account: Account, now: int) -> None:
    """Store the earliest time at which something is due for an account, whose row the caller has locked.

    What is due already and was not made yet stays due: hours that have just begun or ended concern other grants, too.

    :param account: as it is after the change.
    """
    until = connection.scalar(select(func.min(grants.c.until)).where(grants.c.user == account.id))
    own = select(grants.c.hours).where(grants.c.user == account.id, grants.c.hours.is_not(None)).distinct()
    hours = [account.hours, *connection.scalars(own)]
    times = [account.override_until, until, *(next_change(one, now) for one in hours)]
    due_at = min((time for time in times if time is not None), default=None)
    not_due = or_(accounts.c.due_at.is_(None), accounts.c.due_at > now)
    connection.execute(update(accounts).where(accounts.c.id == account.id, not_due).values(due_at=due_at))
