"""The changes that are due for some accounts: a fixed number of statements, however many accounts and grants they change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, or_, select, update

from ....model import Account, Grant, next_change
from ...sql.tables import accounts, grants, outbox
from .. import OutboxKind
from .rows import GRANTS

T = TypeVar("T")

_ROWS = 5000
"""Maximum number of values in a list of a statement; the databases take some 32,000 and 65,000."""
_STORE_DUE_TIME = update(accounts).where(accounts.c.id == bindparam("user")).values(due_at=bindparam("earliest"))


def make(connection: Connection, due: Sequence[Account], now: int) -> None:
    """Make the changes that are due for accounts, whose rows the caller has locked, with their entries of the outbox.

    The revision of an account that changes is incremented once, for all its changes.
    """
    changes: dict[str, list[tuple[OutboxKind, str, str]]] = defaultdict(list)
    ended = [account.id for account in due if account.override_until is not None and account.override_until <= now]
    for user in ended:
        changes[user].append(("override", "", ""))
    if ended:
        connection.execute(update(accounts).where(accounts.c.id.in_(ended)).values(override=None, override_until=None))
    present = [replace(account, override_until=None) if account.id in set(ended) else account for account in due]
    for grant in _end_grants(connection, present, now):
        changes[grant.user].append(("revoked", grant.appid, grant.puid))
    affected = _affected_by_hours(connection, present)
    for grant in _follow_hours(connection, present, affected, now):
        changes[grant.user].append(("changed", grant.appid, grant.puid))
    _add_to_outbox(connection, changes)
    _store_due_times(connection, present, affected, now)


def _end_grants(connection: Connection, due: Sequence[Account], now: int) -> Sequence[Grant]:
    """Delete the grants that have ended, and return them."""
    over = (_of(due), grants.c.until <= now)
    found = GRANTS.all(connection, *over, order_by=grants.c.puid, for_update=True)
    if found:
        connection.execute(delete(grants).where(*over))
    return found


def _affected_by_hours(connection: Connection, due: Sequence[Account]) -> Sequence[Grant]:
    """Return the grants that quiet hours pause or may pause: those of an account with hours, and those with hours of their own."""
    with_hours = [account.id for account in due if account.hours is not None]
    which = or_(grants.c.user.in_(with_hours), grants.c.hours.is_not(None), grants.c.quiet)
    return GRANTS.all(connection, _of(due), which, order_by=grants.c.puid, for_update=True)


def _follow_hours(connection: Connection, due: Sequence[Account], affected: Sequence[Grant], now: int) -> Sequence[Grant]:
    """Pause or resume grants as the quiet hours have it now; return those that have changed."""
    hours = {account.id: account.hours for account in due}
    changed = [after for before in affected if (after := before.at(now, hours[before.user])) != before]
    alike: dict[tuple[bool, bool, bool], list[str]] = defaultdict(list)
    for grant in changed:
        alike[grant.paused, grant.quiet, grant.since == now].append(grant.puid)
    for (paused, quiet, resumed), puids in alike.items():
        values: dict[str, Any] = {"paused": paused, "quiet": quiet, **({"since": now} if resumed else {})}
        for some in _parts(puids):
            connection.execute(update(grants).where(grants.c.puid.in_(some)).values(values))
    return changed


def _add_to_outbox(connection: Connection, changes: dict[str, list[tuple[OutboxKind, str, str]]]) -> None:
    if not changes:
        return
    users = list(changes)
    raised = update(accounts).where(accounts.c.id.in_(users)).values(revision=accounts.c.revision + 1)
    revisions: dict[str, int] = dict(connection.execute(raised.returning(accounts.c.id, accounts.c.revision)).all())
    rows = [
        {"owner": user, "kind": kind, "user": user, "appid": appid, "detail": puid, "revision": revisions[user]}
        for user, entries in changes.items()
        for kind, appid, puid in entries
    ]
    connection.execute(insert(outbox).returning(outbox.c.id), rows)  # RETURNING: SQLAlchemy then inserts many rows by one statement


def _store_due_times(connection: Connection, due: Sequence[Account], affected: Sequence[Grant], now: int) -> None:
    """Store the earliest time at which something is due for each account."""
    first = select(grants.c.user, func.min(grants.c.until)).where(_of(due), grants.c.until.is_not(None)).group_by(grants.c.user)
    times: dict[str, list[int | None]] = defaultdict(list)
    for user, until in connection.execute(first):
        times[user].append(until)
    for user, hours in {(grant.user, grant.hours) for grant in affected if grant.hours}:
        times[user].append(next_change(hours, now))
    for account in due:
        times[account.id] += [account.override_until, next_change(account.hours, now)]
    earliest = {user: min((time for time in mine if time is not None), default=None) for user, mine in times.items()}
    over = [user for user, at in earliest.items() if at is None]
    if over:
        connection.execute(update(accounts).where(accounts.c.id.in_(over)).values(due_at=None))
    if len(over) < len(earliest):
        connection.execute(_STORE_DUE_TIME, [{"user": user, "earliest": at} for user, at in earliest.items() if at is not None])


def _of(due: Sequence[Account]) -> ColumnElement[bool]:
    return grants.c.user.in_([account.id for account in due])


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _ROWS):
        yield values[start : start + _ROWS]
