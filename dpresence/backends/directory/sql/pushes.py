"""Subscriptions to Web Push, and pushes, in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ....errors import NotFound
from ....model import DuePush, PendingPush, PushSubscription
from ...sql.engine import Database
from ...sql.locks import lock_names
from ...sql.rows import Rows
from ...sql.statements import Statement
from ...sql.tables import applications, grants, push_subscriptions, pushes
from ...sql.transactions import nondurable, reading, transaction
from .. import Requester
from ..pushes import HOUR_MS, PushStore
from .fair_claims import claim_fairly
from .requester_checks import lock_account

SUBSCRIPTIONS = Rows(push_subscriptions, PushSubscription)
PUSHES = Rows(pushes, PendingPush)
_INACTIVE_MS = 60_000
_DUE = Statement(select(pushes.c.id).where(pushes.c.due_at <= bindparam("now")).limit(1))
_WAITS = pushes.c.pushed_at.is_(None)


class SqlPushes(PushStore):
    """See ``PushStore``."""

    database: Database

    @reading()
    def push_subscriptions(self, connection: Connection, user: str) -> Sequence[PushSubscription]:
        table, now = push_subscriptions.c, self.database.now(connection)
        return SUBSCRIPTIONS.all(connection, table.user == user, table.expires_at > now, order_by=(table.created_at, table.id))

    @transaction()
    def put_push_subscription(
        self, connection: Connection, new: PushSubscription, most: int, requester: Requester | None = None
    ) -> PushSubscription:
        if lock_account(connection, new.user, requester) is None:
            raise NotFound
        lock_names(connection, "push subscription", [new.id])
        table = push_subscriptions
        present = SUBSCRIPTIONS.find(connection, table.c.id == new.id)
        made = replace(new, created_at=present.created_at) if present and present.user == new.user else new
        SUBSCRIPTIONS.delete(connection, table.c.id == new.id)
        newest = select(table.c.id).where(table.c.user == new.user).order_by(table.c.expires_at.desc(), table.c.id).limit(most - 1)
        kept = list(connection.scalars(newest))
        SUBSCRIPTIONS.delete(connection, table.c.user == new.user, table.c.id.not_in(kept))
        SUBSCRIPTIONS.add(connection, made)
        return made

    @transaction()
    def remove_push_subscription(self, connection: Connection, user: str, id_: str, requester: Requester | None = None) -> bool:
        lock_account(connection, user, requester)
        table = push_subscriptions.c
        return SUBSCRIPTIONS.delete(connection, table.user == user, table.id == id_) > 0

    @nondurable()
    def add_pushes(self, connection: Connection, appid: str, new: Sequence[PendingPush], delay_ms: int, most: int) -> None:
        puids = sorted({push.puid for push in new})
        present = select(grants.c.puid).where(grants.c.puid.in_(puids)).order_by(grants.c.puid)
        existing = set(connection.scalars(present.with_for_update(read=True, key_share=True)))
        due_at = self.database.now(connection) + delay_ms
        if rows := [{**asdict(push), "due_at": due_at, "appid": appid} for push in new if push.puid in existing]:
            kind: Any = {"postgresql": postgresql, "sqlite": sqlite}[connection.dialect.name]
            connection.execute(kind.insert(pushes).on_conflict_do_nothing(), rows)
        for puid in sorted(existing):
            waiting = and_(pushes.c.puid == puid, _WAITS, pushes.c.attempts == 0)  # what is being attempted counts for the hour
            newest = select(pushes.c.id).where(waiting).order_by(pushes.c.position.desc()).limit(most)
            connection.execute(delete(pushes).where(waiting, pushes.c.id.not_in(newest)))

    @reading(single=True)
    def pushes_due(self, connection: Connection) -> bool:
        return bool(_DUE.rows(connection, now=self.database.now(connection)))

    @nondurable()
    def claim_pushes(
        self, connection: Connection, limit: int, lease_ms: int, per_hour: int, after: str | None
    ) -> tuple[Sequence[DuePush], str | None]:
        lock_names(connection, "pushes", ["claim"])  # one process at a time counts and claims
        now = self.database.now(connection)
        rows, following = claim_fairly(connection, PUSHES.query, pushes, now, limit, after)
        due = [PendingPush(*row) for row in rows]
        granted, attempted = _grants(connection, due), _attempted(connection, due, now)
        claimed = []
        for push in due:
            user, appid, paused, allowed, active = granted[push.puid]
            if push.expires_at <= now or not allowed:
                _end(connection, push)
            elif paused or not active:
                _store(connection, push.id, due_at=None if paused else now + _INACTIVE_MS)
            elif attempted[push.puid] >= per_hour and not push.attempts:
                _end(connection, push)
            else:
                attempted[push.puid] += not push.attempts
                _store(connection, push.id, due_at=now + lease_ms, attempts=push.attempts + 1)
                claimed.append(DuePush(replace(push, attempts=push.attempts + 1), user, appid))
        return claimed, following

    @nondurable(key=lambda push, delay_ms, pushed: push.puid)
    def record_push_attempt(self, connection: Connection, push: PendingPush, delay_ms: int | None, pushed: bool) -> None:
        now = self.database.now(connection)
        pushed_at = push.pushed_at or (now if pushed else None)
        settled = replace(push, pushed_at=pushed_at)
        if delay_ms is None:
            _end(connection, settled)
        else:
            _store(connection, push.id, due_at=now + delay_ms, attempts=push.attempts, done=push.done, pushed_at=pushed_at)

    @nondurable()
    def release_pushes(self, connection: Connection, puids: Collection[str]) -> None:
        lock_names(connection, "pushes", ["claim"])  # a claim that has seen the pause ends first
        held = (pushes.c.puid.in_(sorted(puids)), _WAITS, pushes.c.due_at.is_(None))
        connection.execute(update(pushes).where(*held).values(due_at=self.database.now(connection)))


def _grants(connection: Connection, due: Sequence[PendingPush]) -> dict[str, tuple[str, str, bool, bool, bool]]:
    """Return user, application, pause, permission to push, and whether the application is active, of each grant of locked pushes."""
    columns = (grants.c.puid, grants.c.user, grants.c.appid, grants.c.paused, grants.c.push, applications.c.active)
    query = select(*columns).join_from(grants, applications, applications.c.id == grants.c.appid)
    found = connection.execute(query.where(grants.c.puid.in_(sorted({push.puid for push in due}))))
    return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in found}


def _attempted(connection: Connection, due: Sequence[PendingPush], now: int) -> Counter[str]:
    """Return how many pushes of each grant were pushed within the last hour, or are being attempted."""
    recent = or_(pushes.c.pushed_at > now - HOUR_MS, and_(_WAITS, pushes.c.attempts > 0))
    puids = sorted({push.puid for push in due})
    counted = select(pushes.c.puid, func.count()).where(pushes.c.puid.in_(puids), recent).group_by(pushes.c.puid)
    return Counter(dict(connection.execute(counted).all()))


def _end(connection: Connection, push: PendingPush) -> None:
    """Delete a push, or keep it for an hour if it was pushed, to be counted."""
    if push.pushed_at is None:
        connection.execute(delete(pushes).where(pushes.c.id == push.id))
    else:
        ends_at = push.pushed_at + HOUR_MS
        _store(connection, push.id, due_at=None, done=push.done, pushed_at=push.pushed_at, expires_at=ends_at)


def _store(connection: Connection, id_: str, **values: object) -> None:
    connection.execute(update(pushes).where(pushes.c.id == id_).values(values))
