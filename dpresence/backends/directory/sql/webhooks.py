"""Webhooks in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, and_, bindparam, case, delete, exists, insert, or_, select, update

from ....errors import DomainNotValidated
from ....model.webhooks import MOST_ATTEMPTS, Webhook, WebhookAttempt
from ...sql.engine import Database
from ...sql.rows import Rows, insert_new
from ...sql.statements import Statement
from ...sql.tables import applications
from ...sql.tables import webhook_attempts as attempts
from ...sql.tables import webhooks as table
from ...sql.transactions import nondurable, reading, transaction
from .. import Requester
from ..webhooks import WebhookStore
from .requester_checks import check_owner, lock_own_application

WEBHOOKS = Rows(table, Webhook)
ATTEMPTS = Rows(attempts, WebhookAttempt)
ATTEMPTS_MS = 7 * 86_400_000
"""Milliseconds for which attempts are stored."""
_MINUTE_MS = 60_000
_TURNED_ON: dict[str, object] = {"off_at": None, "off_reason": None, "failures": 0, "failing_since": None, "next_at": None}
"""Fields of a webhook that was just turned on."""
_SENDABLE = exists().where(applications.c.id == table.c.appid, applications.c.active, applications.c.validated_scheme.is_not(None))
Operand = str | int | BindParameter[Any]


class SqlWebhooks(WebhookStore):
    """See ``WebhookStore``."""

    database: Database

    @reading()
    def webhook(self, connection: Connection, appid: str) -> Webhook | None:
        return WEBHOOKS.find(connection, table.c.appid == appid)

    @transaction()
    def put_webhook(self, connection: Connection, webhook: Webhook, domain: str, requester: Requester | None = None) -> bool:
        application = lock_own_application(connection, webhook.appid, requester)
        if not application.valid_domain or application.domain != domain:
            raise DomainNotValidated
        if insert_new(connection, table, **WEBHOOKS.values(webhook)):
            return True
        given = {"url": webhook.url, "events": webhook.events, **_TURNED_ON}
        connection.execute(update(table).where(table.c.appid == webhook.appid).values(given))
        return False

    @transaction()
    def change_webhook(
        self, connection: Connection, appid: str, changes: Mapping[str, object], requester: Requester | None = None
    ) -> Webhook | None:
        check_owner(connection, appid, requester)
        if WEBHOOKS.lock_for_update(connection, table.c.appid == appid) is None:
            return None
        connection.execute(update(table).where(table.c.appid == appid).values(changes))
        return WEBHOOKS.find(connection, table.c.appid == appid)

    @transaction()
    def delete_webhook(self, connection: Connection, appid: str, requester: Requester | None = None) -> bool:
        check_owner(connection, appid, requester)
        return delete_webhook(connection, appid)

    def lease_webhooks(self, sender: str, seconds: float, renew_seconds: float, limit: int) -> Sequence[str]:
        if self._any_to_lease(sender, renew_seconds):
            return self._lease(sender, seconds, renew_seconds, limit)
        return self._leased(sender)

    @reading()
    def _any_to_lease(self, connection: Connection, sender: str, renew_seconds: float) -> bool:
        now = self.database.now(connection)
        return bool(_ANY_TO_LEASE.rows(connection, mine=sender, now=now, ending=now + int(renew_seconds * 1000)))

    @reading()
    def _leased(self, connection: Connection, sender: str) -> Sequence[str]:
        return [appid for (appid,) in _LEASED.rows(connection, mine=sender, now=self.database.now(connection))]

    @nondurable()
    def _lease(self, connection: Connection, sender: str, seconds: float, renew_seconds: float, limit: int) -> Sequence[str]:
        now = self.database.now(connection)
        until = now + int(seconds * 1000)
        query = select(table.c.appid).where(_to_lease(sender, now, now + int(renew_seconds * 1000))).order_by(table.c.appid)
        free = connection.scalars(query.where(table.c.leased_until <= now).limit(limit).with_for_update(skip_locked=True)).all()
        mine = connection.scalars(query.where(table.c.leased_until > now).with_for_update(skip_locked=True)).all()
        connection.execute(update(table).where(table.c.appid.in_([*free, *mine])).values(sender=sender, leased_until=until))
        return connection.scalars(select(table.c.appid).where(*_leased_by(sender, now))).all()

    @nondurable()
    def release_webhooks(self, connection: Connection, sender: str | None) -> None:
        mine = table.c.sender == sender if sender is not None else table.c.leased_until > 0
        connection.execute(update(table).where(mine).values(leased_until=0))

    @reading()
    def leased_webhook(self, connection: Connection, appid: str, sender: str) -> Webhook | None:
        return WEBHOOKS.find(connection, table.c.appid == appid, *_leased_by(sender, self.database.now(connection)))

    @nondurable()
    def record_attempt(
        self,
        connection: Connection,
        attempt: WebhookAttempt,
        before: Webhook | None = None,
        after: Webhook | None = None,
        sender: str = "",
    ) -> bool:
        found = WEBHOOKS.lock_for_update(connection, table.c.appid == attempt.appid)
        if found is None:  # its attempts end with it
            return False
        _add_attempt(connection, attempt)
        if before is None or after is None or found != before:
            return False
        mine = (table.c.appid == attempt.appid, table.c.sender == sender)
        mail_at = self.database.now(connection) if after.off_at is not None else None
        return connection.execute(update(table).where(*mine).values(WEBHOOKS.values(after) | {"mail_at": mail_at})).rowcount > 0

    def claim_turned_off(self, patience_ms: int, lease_ms: int) -> Webhook | None:
        return self._claim_turned_off(patience_ms, lease_ms) if self._any_turned_off(patience_ms) else None

    @reading()
    def _any_turned_off(self, connection: Connection, patience_ms: int) -> bool:
        due = _turned_off(self.database.now(connection), patience_ms)
        return connection.scalar(select(table.c.appid).where(*due).limit(1)) is not None

    @nondurable()
    def _claim_turned_off(self, connection: Connection, patience_ms: int, lease_ms: int) -> Webhook | None:
        now = self.database.now(connection)
        query = WEBHOOKS.query.where(*_turned_off(now, patience_ms)).order_by(table.c.mail_at).limit(1)
        row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
        if row is None:
            return None
        found = Webhook(*row)
        connection.execute(update(table).where(table.c.appid == found.appid).values(mail_at=now + lease_ms))
        return found

    @nondurable()
    def record_owner_mail(self, connection: Connection, webhook: Webhook, delay_ms: int | None) -> None:
        mail_at = None if delay_ms is None else self.database.now(connection) + delay_ms
        same = (table.c.appid == webhook.appid, table.c.off_at == webhook.off_at)
        connection.execute(update(table).where(*same).values(mail_at=mail_at))

    @reading()
    def webhook_attempts(self, connection: Connection, appid: str, limit: int) -> Sequence[WebhookAttempt]:
        return ATTEMPTS.all(connection, attempts.c.appid == appid, order_by=attempts.c.id.desc(), limit=limit)


def delete_webhook(connection: Connection, appid: str) -> bool:
    """Delete the webhook of an application and its attempts; return False without one."""
    deleted = WEBHOOKS.delete(connection, table.c.appid == appid)
    ATTEMPTS.delete(connection, attempts.c.appid == appid)
    return deleted > 0


def _to_lease(sender: Operand, now: Operand, ending: Operand) -> ColumnElement[bool]:
    """Return the condition for webhooks that nobody has leased, and for those of ``sender`` whose lease ends until ``ending``."""
    mine = and_(table.c.sender == sender, table.c.leased_until <= ending)
    return and_(or_(table.c.leased_until <= now, mine), table.c.off_at.is_(None), _SENDABLE)


def _leased_by(sender: Operand, now: Operand) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for webhooks that a process has leased and may send."""
    return table.c.sender == sender, table.c.leased_until > now, table.c.off_at.is_(None), _SENDABLE


def _turned_off(now: int, patience_ms: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for webhooks whose owner is to be told now that they were turned off."""
    return table.c.mail_at <= now, table.c.off_at > now - patience_ms


def _add_attempt(connection: Connection, attempt: WebhookAttempt) -> None:
    newest = select(attempts.c.id).where(attempts.c.appid == attempt.appid).order_by(attempts.c.id.desc()).limit(1)
    if attempt.outcome == "delivered" and (number := connection.scalar(newest)) is not None:
        same = (attempts.c.type == attempt.type, attempts.c.outcome == "delivered", attempts.c.at > attempt.at - _MINUTE_MS)
        longest = case((attempts.c.milliseconds > attempt.milliseconds, attempts.c.milliseconds), else_=attempt.milliseconds)
        sums = {"attempts": attempts.c.attempts + 1, "entries": attempts.c.entries + attempt.entries}
        changed = update(attempts).where(attempts.c.id == number, *same).values(**sums, milliseconds=longest, status=attempt.status)
        if connection.execute(changed).rowcount:
            return
    connection.execute(insert(attempts).values(ATTEMPTS.values(attempt)))
    mine = attempts.c.appid == attempt.appid
    beyond = select(attempts.c.id).where(mine).order_by(attempts.c.id.desc()).offset(MOST_ATTEMPTS).limit(1).scalar_subquery()
    connection.execute(delete(attempts).where(mine, attempts.c.id <= beyond))


_MINE, _NOW = bindparam("mine", type_=table.c.sender.type), bindparam("now", type_=table.c.leased_until.type)
_ENDING = bindparam("ending", type_=table.c.leased_until.type)
# every process executes these every few seconds, for ever
_ANY_TO_LEASE = Statement(select(table.c.appid).where(_to_lease(_MINE, _NOW, _ENDING)).limit(1))
_LEASED = Statement(select(table.c.appid).where(*_leased_by(_MINE, _NOW)))
