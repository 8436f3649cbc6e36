"""Logouts of identity providers in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, or_, select, update

from ....errors import SessionEnded
from ....logouts import ProviderLogout, provider_person
from ....model import Identity
from ...sql.engine import Database
from ...sql.locks import lock_names
from ...sql.rows import insert_new
from ...sql.statements import Statement
from ...sql.tables import accounts, provider_logouts, sessions, tickets, used_assertions
from ...sql.transactions import reading, transaction
from ..provider_logouts import ProviderLogoutStore
from . import account_changes, outbox
from .rows import ACCOUNTS, SESSIONS

_ENDED = Statement(
    select(provider_logouts.c.key).where(
        provider_logouts.c.key.in_((bindparam("provider_session"), bindparam("person"))), provider_logouts.c.at >= bindparam("began_at")
    )
)


class SqlProviderLogouts(ProviderLogoutStore):
    """See ``ProviderLogoutStore``."""

    database: Database

    @transaction(urgent=True, key=lambda logout: logout.key)
    def end_provider_session(self, connection: Connection, logout: ProviderLogout) -> Sequence[str] | None:
        lock_names(connection, "provider logout", (logout.key,))
        if not insert_new(connection, used_assertions, digest=logout.digest, expires_at=logout.expires_at):
            return None
        _store(connection, logout)
        if logout.sid is None:
            return _end_person(connection, logout)
        return [*_end_session(connection, logout), logout.key]

    @reading(urgent=True)
    def has_ended(self, connection: Connection, identity: Identity) -> bool:
        return _has_ended(connection, identity)

    @reading(urgent=True)
    def provider_session_ended(self, connection: Connection, key: str, began_at: int) -> bool:
        return bool(_ENDED.rows(connection, provider_session=key, person=None, began_at=began_at))


def check_not_ended(connection: Connection, identity: Identity | None) -> None:
    """Raise ``SessionEnded`` if the provider has ended a sign-in; otherwise a concurrent logout waits until the transaction ends."""
    if identity is None or identity.began_at is None:
        return
    names = (identity.provider_session, provider_person(*identity.pin))
    lock_names(connection, "provider logout", [name for name in names if name])
    if _has_ended(connection, identity):
        raise SessionEnded


def _has_ended(connection: Connection, identity: Identity) -> bool:
    person = provider_person(*identity.pin)
    return bool(_ENDED.rows(connection, provider_session=identity.provider_session, person=person, began_at=identity.began_at))


def _store(connection: Connection, logout: ProviderLogout) -> None:
    """Store a logout; of several ones with the same key, the latest time remains."""
    table, values = provider_logouts, {"at": logout.at, "expires_at": logout.expires_at}
    if not insert_new(connection, table, key=logout.key, **values):
        latest = {name: func.greatest(table.c[name], value) for name, value in values.items()}
        if connection.dialect.name == "sqlite":
            latest = {name: func.max(table.c[name], value) for name, value in values.items()}
        connection.execute(update(table).where(table.c.key == logout.key).values(latest))


def _end_person(connection: Connection, logout: ProviderLogout) -> Sequence[str]:
    is_person = (accounts.c.issuer == logout.issuer, accounts.c.subject == logout.subject)
    found = ACCOUNTS.all(connection, *is_person, order_by=accounts.c.id, for_update=True)
    for account in found:
        account_changes.end_sessions(connection, account.id)
    return [account.id for account in found]


def _end_session(connection: Connection, logout: ProviderLogout) -> Sequence[str]:
    """End a provider's session, and add an entry for the channels that have no ticket; return the users who had a session or ticket."""
    key = logout.key
    users = or_(*(accounts.c.id.in_(select(table.c.user).where(table.c.provider_session == key)) for table in (sessions, tickets)))
    found = [account.id for account in ACCOUNTS.all(connection, users, order_by=accounts.c.id, for_update=True)]
    for session in SESSIONS.all(connection, sessions.c.provider_session == key, order_by=sessions.c.id_hash):
        account_changes.end_session(connection, session.user, session.id_hash)
    for user in found:
        account_changes.end_families(connection, user, tickets.c.user == user, tickets.c.provider_session == key)
    outbox.add(connection, logout.key, "logout", detail=logout.key, revision=logout.at)
    return found
