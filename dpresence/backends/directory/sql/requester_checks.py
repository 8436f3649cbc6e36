"""Checks, in the transaction of a change, that its requester may make it. The rows that they depend on are locked."""

from __future__ import annotations

from sqlalchemy import Connection, select

from ....errors import NotFound, SessionEnded
from ....model import Account, Application
from ...sql.tables import accounts, applications, sessions
from .. import Requester, SignedIn
from .rows import ACCOUNTS, APPLICATIONS, SESSIONS


def check_holder(connection: Connection, account: Account | None, requester: Requester | None) -> None:
    """Raise ``SessionEnded`` if the requester may no longer act for an account.

    :param account: locked by the caller, so that the result holds until the transaction ends; the session is locked here.
    """
    then, session = (requester.account, requester.session) if isinstance(requester, SignedIn) else (requester, None)
    if account is None or account.blocked or (then is not None and (account.id, account.pin) != (then.id, then.pin)):
        raise SessionEnded
    if session is not None and SESSIONS.lock_key_share(connection, sessions.c.id_hash == session.id_hash) is None:
        raise SessionEnded


def lock_account(connection: Connection, user: str, requester: Requester | None) -> Account | None:
    """Lock an account; if ``requester`` is given, verify that the requester is still its holder."""
    account = ACCOUNTS.lock_for_update(connection, accounts.c.id == user)
    if requester is not None:
        check_holder(connection, account, requester)
    return account


def lock_owner(connection: Connection, appid: str) -> Account | None:
    """Lock the owner of an application in share mode; return None if there is no such application."""
    owner = select(applications.c.owner).where(applications.c.id == appid).scalar_subquery()
    return ACCOUNTS.lock_key_share(connection, accounts.c.id == owner)


def check_owner(connection: Connection, appid: str, requester: Requester | None) -> None:
    """If ``requester`` is given, lock the owner of an application, if it exists, and verify that the requester still holds that account."""
    if requester is not None and (owner := lock_owner(connection, appid)) is not None:
        check_holder(connection, owner, requester)


def lock_own_application(connection: Connection, appid: str, requester: Requester | None) -> Application:
    """Lock an application, and its owner in share mode; the owner must be the account in ``requester`` and must not be blocked."""
    account = lock_owner(connection, appid)
    application = APPLICATIONS.lock_for_update(connection, applications.c.id == appid)
    if account is None or application is None or application.owner != account.id:
        raise NotFound
    check_holder(connection, account, requester)
    return application
