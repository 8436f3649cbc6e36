"""Grants in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from sys import intern
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from ....errors import DomainNotValidated, NotActive, NotFound
from ....model import ERASED, Application, Grant, GrantSet, Shows
from ...sql.engine import Database
from ...sql.statements import Statement
from ...sql.tables import accounts, api_keys, applications, grants
from ...sql.transactions import reading, transaction
from .. import GrantWithApplication, Requester
from ..grants import GrantStore
from . import outbox, schedule
from .looks import looks_at
from .requester_checks import lock_account
from .rows import APPLICATIONS, GRANTS

_SETS = (  # a single statement, so that the revision matches the grants
    select(accounts.c.revision, accounts.c.override, *GRANTS.query.selected_columns)
    .join_from(accounts, grants, grants.c.user == accounts.c.id, isouter=True)
    .order_by(grants.c.granted_at, grants.c.puid)
)
_GRANTS_OF_USER = Statement(_SETS.where(accounts.c.id == bindparam("user")))
_GRANT_TIMES = Statement(
    select(grants.c.puid, grants.c.granted_at)
    .where(grants.c.appid == bindparam("application"), grants.c.puid > bindparam("after"))
    .order_by(grants.c.puid)
    .limit(bindparam("most"))
)
_USED_ON = select(func.max(api_keys.c.used_on)).where(api_keys.c.appid == applications.c.id).scalar_subquery()
_GRANT_FIELDS = len(GRANTS.query.selected_columns)
_GRANTED = GRANTS.query.add_columns(*APPLICATIONS.query.selected_columns, _USED_ON).join_from(
    grants, applications, applications.c.id == grants.c.appid
)


def _by_user(appid: str, user: str, *_: object, **__: object) -> str:
    """Return the queue key of what a user causes to be read or changed: it takes nothing of a developer's share."""
    return user


class SqlGrants(GrantStore):
    """See ``GrantStore``."""

    database: Database

    @transaction()
    def add_grant(self, connection: Connection, grant: Grant, domain: str | None = None, requester: Requester | None = None) -> Grant:
        account = lock_account(connection, grant.user, requester)
        application = APPLICATIONS.lock_key_share(connection, applications.c.id == grant.appid)
        if account is None or application is None:
            raise NotFound
        if domain is not None:
            _refuse_changed(application, domain)
        present = GRANTS.find(connection, *_of_pair(grant.appid, grant.user))
        if present is not None:
            return present
        now = self.database.now(connection)
        made = grant.at(now, account.hours)
        GRANTS.add(connection, made)
        outbox.add_change_of_grant(connection, "granted", made)
        if made.until is not None:
            schedule.store_due_time(connection, account, now)
        return made

    @reading(key=_by_user)
    def grant(self, connection: Connection, appid: str, user: str) -> Grant | None:
        return GRANTS.find(connection, *_of_pair(appid, user))

    @reading()
    def grants_by_puid(self, connection: Connection, appid: str, puids: Sequence[str]) -> dict[str, Grant]:
        named = (grants.c.appid == appid, grants.c.puid.in_(puids))
        return {grant.puid: grant for grant in GRANTS.all(connection, *named, order_by=grants.c.puid)}

    @reading(urgent=True, single=True)
    def grants_of_user(self, connection: Connection, user: str) -> GrantSet:
        return read_grants(connection, user)

    @reading(urgent=True)
    def grants_of_users(self, connection: Connection, users: Collection[str]) -> dict[str, GrantSet]:
        found: dict[str, list[Sequence[Any]]] = {user: [] for user in users}
        for *row, user in connection.execute(_SETS.add_columns(accounts.c.id).where(accounts.c.id.in_(users))):
            found[user].append(row)
        return {user: _grant_set(user, rows) for user, rows in found.items()}

    @reading()
    def grants_with_applications(self, connection: Connection, user: str, after: str, limit: int) -> Sequence[GrantWithApplication]:
        page = _GRANTED.where(grants.c.user == user, grants.c.appid > after).order_by(grants.c.appid).limit(limit)
        rows = [(Grant(*row[:_GRANT_FIELDS]), Application(*row[_GRANT_FIELDS:-1]), row[-1]) for row in connection.execute(page)]
        looks = looks_at(connection, [grant for grant, *_ in rows])
        return [GrantWithApplication(*row, looks[row[0].puid]) for row in rows]

    @reading()
    def existing_puids(self, connection: Connection, puids: Collection[str]) -> set[str]:
        return set(connection.scalars(select(grants.c.puid).where(grants.c.puid.in_(puids))))

    @reading()
    def grants_of_application(self, connection: Connection, appid: str, after: str, limit: int) -> Sequence[Grant]:
        page = (grants.c.appid == appid, grants.c.puid > after)
        return GRANTS.all(connection, *page, order_by=grants.c.puid, limit=limit)

    @reading()
    def grant_times(self, connection: Connection, appid: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        return cast("Sequence[tuple[str, int]]", _GRANT_TIMES.rows(connection, application=appid, after=after, most=limit))

    @reading()
    def count_grants(self, connection: Connection, appid: str) -> int:
        return connection.scalars(select(func.count()).where(grants.c.appid == appid)).one()

    @transaction(key=_by_user)
    def change_grant(
        self, connection: Connection, appid: str, user: str, changes: Mapping[str, Any], now: int, requester: Requester | None = None
    ) -> Grant | None:
        account = lock_account(connection, user, requester)
        grant = GRANTS.lock_for_update(connection, *_of_pair(appid, user))
        if account is None or grant is None:
            return None
        others = {name: value for name, value in changes.items() if name != "paused"}
        changed = replace(grant, **others).at(now, account.hours, changes.get("paused"))
        if changed != grant:
            connection.execute(update(grants).where(grants.c.puid == changed.puid).values(GRANTS.values(changed)))
            outbox.add_change_of_grant(connection, "changed", changed)
            schedule.store_due_time(connection, account, now)
        return changed

    @transaction(key=_by_user)
    def revoke(self, connection: Connection, appid: str, user: str, requester: Requester | None = None) -> Grant | None:
        lock_account(connection, user, requester)
        grant = GRANTS.lock_for_update(connection, *_of_pair(appid, user))
        if grant is not None:
            GRANTS.delete(connection, grants.c.puid == grant.puid)
            outbox.add_change_of_grant(connection, "revoked", grant)
        return grant


def read_grants(connection: Connection, user: str) -> GrantSet:
    """Return the grants of a user."""
    return _grant_set(user, _GRANTS_OF_USER.rows(connection, user=user))


def _grant_set(user: str, rows: Sequence[Sequence[Any]]) -> GrantSet:
    if not rows:
        return GrantSet(ERASED, ())
    return GrantSet(rows[0][0], tuple(_cached(user, *row[2:]) for row in rows if row[2] is not None), rows[0][1])


def _cached(user: str, appid: str, puid: str, _user: str, granted_at: int, since: int, paused: bool, shows: Shows, *rest: Any) -> Grant:
    """Return a grant whose equal values are one object: every user with a device has their grants in the cache."""
    began = granted_at if since == granted_at else since
    return Grant(intern(appid), puid, user, granted_at, began, paused, cast("Shows", intern(shows)), *rest)


def _refuse_changed(application: Application, domain: str) -> None:
    if not application.valid_domain or application.domain != domain:
        raise DomainNotValidated
    if not application.active:
        raise NotActive


def _of_pair(appid: str, user: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return grants.c.appid == appid, grants.c.user == user
