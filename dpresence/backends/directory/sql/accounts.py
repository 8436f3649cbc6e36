"""Accounts in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, or_, select, update

from ....model import ERASED, Account, Identity, Status
from ...sql.engine import Database
from ...sql.tables import accounts, applications, grants
from ...sql.transactions import reading, transaction
from .. import Requester
from ..accounts import AccountStore
from . import account_changes, outbox, schedule
from .requester_checks import lock_account
from .rows import ACCOUNTS, APPLICATIONS, GRANTS

_ACCOUNT = ACCOUNTS.prepare(accounts.c.id == bindparam("user"))
_ACCOUNT_BY_EMAIL = ACCOUNTS.prepare(accounts.c.email == bindparam("email"))


class SqlAccounts(AccountStore):
    """See ``AccountStore``."""

    database: Database

    def sign_in(self, identity: Identity, now: int) -> Account:
        account = self.account_of(identity.email)
        if account is None or account.pin != identity.pin:
            return self._find_person(identity, now)
        return account

    @reading(urgent=True)
    def account_of(self, connection: Connection, email: str) -> Account | None:
        found = _ACCOUNT_BY_EMAIL.one(connection, email=email)
        if found:
            self.database.owners.remember(email, found.id)
        return found

    @reading()
    def accounts(self, connection: Connection, after: str, limit: int) -> Sequence[Account]:
        return ACCOUNTS.all(connection, accounts.c.email > after, order_by=accounts.c.email, limit=limit)

    @transaction(urgent=True)
    def _find_person(self, connection: Connection, identity: Identity, now: int) -> Account:
        return account_changes.sign_in(connection, identity, now)

    @reading(urgent=True)
    def account(self, connection: Connection, user: str) -> Account | None:
        return _ACCOUNT.one(connection, user=user)

    @transaction()
    def unpin(self, connection: Connection, email: str, same: bool = False) -> bool:
        account = ACCOUNTS.lock_for_update(connection, accounts.c.email == email)
        if account is None:
            return False
        account_changes.unpin(connection, account, same)
        return True

    @transaction()
    def block(self, connection: Connection, email: str, blocked: bool) -> bool:
        account = ACCOUNTS.lock_for_update(connection, accounts.c.email == email)
        if account is None:
            return False
        connection.execute(update(accounts).where(accounts.c.id == account.id).values(blocked=blocked))
        if blocked:
            account_changes.sign_out_and_deactivate(connection, account.id, "blocked")
        return True

    @transaction()
    def set_override(
        self, connection: Connection, user: str, status: Status | None, until: int | None, requester: Requester | None = None
    ) -> Account | None:
        account = lock_account(connection, user, requester)
        if account is None or (account.override, account.override_until) == (status, until):
            return account
        schedule.change_override(connection, user, status, until)
        changed = replace(account, override=status, override_until=until, revision=account.revision + 1)
        schedule.store_due_time(connection, changed, self.database.now(connection))
        return changed

    @transaction()
    def merge(self, connection: Connection, email: str, into: str) -> bool:
        return account_changes.merge(connection, email, into)

    @transaction(erasing="always")
    def erase(self, connection: Connection, user: str, requester: Requester | None = None) -> None:
        if lock_account(connection, user, requester) is None:
            return
        owned = APPLICATIONS.all(connection, applications.c.owner == user, order_by=applications.c.id, for_update=True)
        owned_ids = select(applications.c.id).where(applications.c.owner == user)
        affected = or_(grants.c.user == user, grants.c.appid.in_(owned_ids))
        GRANTS.all(connection, affected, order_by=grants.c.puid, for_update=True)  # so that each grant ends once
        outbox.add(connection, user, "account", user, revision=ERASED)
        for application in owned:
            outbox.add(connection, user, "application", appid=application.id)
        outbox.add_revoked_entries(connection, user, affected)
        for application in owned:
            outbox.add(connection, user, "dropped", appid=application.id)
        outbox.add(connection, user, "erased", user)
        ACCOUNTS.delete(connection, accounts.c.id == user)
