"""Browser sessions and used assertions in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, false, insert, or_, select, update

from ....model import Account, Identity, Session
from ...sql.engine import Database
from ...sql.locks import lock_names
from ...sql.rows import insert_new
from ...sql.tables import accounts, push_subscriptions, sessions, used_assertions
from ...sql.transactions import reading, transaction
from .. import Requester, SignedIn
from ..sessions import SessionStore
from . import account_changes
from .provider_logouts import check_not_ended
from .requester_checks import check_holder
from .rows import ACCOUNTS, SESSIONS

_SESSION = (  # a single statement, so that session and account are read at the same moment
    SESSIONS.query.add_columns(*ACCOUNTS.query.selected_columns)
    .join_from(sessions, accounts, accounts.c.id == sessions.c.user)
    .where(sessions.c.id_hash == bindparam("shown"), sessions.c.expires_at > bindparam("now"))
)
_SESSION_FIELDS = len(SESSIONS.query.selected_columns)
PARALLEL_MS = 60_000
"""Milliseconds during which log-ins with the same old cookie count as parallel. Later ones with that cookie end no other session."""


class SqlSessions(SessionStore):
    """See ``SessionStore``."""

    database: Database

    @transaction(urgent=True)
    def use_assertion(self, connection: Connection, digest: bytes, expires_at: int) -> bool:
        return insert_new(connection, used_assertions, digest=digest, expires_at=expires_at)

    @transaction(urgent=True)
    def add_session(
        self,
        connection: Connection,
        session: Session,
        requester: Requester | None = None,
        previous: bytes | None = None,
        identity: Identity | None = None,
    ) -> Sequence[str]:
        lock_names(connection, "cookie", [previous.hex()] if previous else [])
        check_not_ended(connection, identity)
        replaced_before = (sessions.c.previous_cookie_hash == previous) & (sessions.c.created_at > session.created_at - PARALLEL_MS)
        before = or_(sessions.c.id_hash == previous, replaced_before) if previous else false()
        users = or_(accounts.c.id == session.user, accounts.c.id.in_(select(sessions.c.user).where(before)))
        locked = ACCOUNTS.all(connection, users, order_by=accounts.c.id, for_update=True)
        check_holder(connection, next((account for account in locked if account.id == session.user), None), requester)
        ended = SESSIONS.all(connection, before, order_by=sessions.c.id_hash)
        mine = [one.id_hash for one in ended if one.user == session.user]
        connection.execute(update(push_subscriptions).where(push_subscriptions.c.session.in_(mine)).values(session=session.id_hash))
        for one in ended:
            account_changes.end_session(connection, one.user, one.id_hash)
        connection.execute(insert(sessions).values({**SESSIONS.values(session), "previous_cookie_hash": previous}))
        return sorted({one.user for one in ended})

    @reading(urgent=True)
    def session(self, connection: Connection, id_hash: bytes, now: int) -> SignedIn | None:
        row = connection.execute(_SESSION, {"shown": id_hash, "now": now}).one_or_none()
        if row is None:
            return None
        found = SignedIn(Session(*row[:_SESSION_FIELDS]), Account(*row[_SESSION_FIELDS:]))
        self.database.owners.remember(id_hash.hex(), found.account.id)
        return found

    @reading()
    def sessions(self, connection: Connection, user: str, now: int) -> Sequence[Session]:
        oldest = (sessions.c.created_at, sessions.c.id_hash)
        return SESSIONS.all(connection, sessions.c.user == user, sessions.c.expires_at > now, order_by=oldest)

    @transaction(urgent=True)
    def end_session(self, connection: Connection, id_hash: bytes) -> None:
        owner = select(sessions.c.user).where(sessions.c.id_hash == id_hash).scalar_subquery()
        account = ACCOUNTS.lock_for_update(connection, accounts.c.id == owner)
        if account is not None:
            account_changes.end_session(connection, account.id, id_hash)

    @transaction(urgent=True)
    def end_sessions(self, connection: Connection, user: str) -> None:
        ACCOUNTS.lock_for_update(connection, accounts.c.id == user)
        account_changes.end_sessions(connection, user)
