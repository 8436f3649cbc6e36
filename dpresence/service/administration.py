"""Administration of accounts and applications by the operator (docs/operations.md).

The operator's command runs in a process of its own, which has the directory and the mailbox only. The effects on the tracker and on
channels are entries of the outbox; a running service applies them. Each change leaves a line in the log of that service.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ..backends.directory import Directory, GrantWithApplication, OutboxEntry
from ..backends.mailbox import Mailbox
from ..errors import NotFound
from ..model import Account, Application, Grant, canonical_email

log = logging.getLogger("dpresence.service")

_PAGE = 500
_BEFORE_ALL = ""


T = TypeVar("T")


def log_notes(entries: Sequence[OutboxEntry]) -> None:
    """Log what the operator has changed; a handler of the outbox."""
    for entry in entries:
        log.info("the operator has %s", entry.detail)


class Administration:
    """Data that the operator reads and changes. Each method raises ``NotFound`` if the account or the application does not exist."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    # -- accounts

    def accounts(self) -> Iterator[Account]:
        """Yield every account, in order of the e-mail address."""
        return _pages(self._directory.accounts, lambda account: account.email)

    def account(self, email: str) -> Account:
        """Return the account of an e-mail address."""
        account = self._directory.account_of(canonical_email(email))
        if account is None:
            raise NotFound(f"there is no account of {canonical_email(email)}")
        return account

    def block(self, email: str, blocked: bool) -> None:
        """Refuse every sign-in to an account, sign it out everywhere and deactivate its applications; or let it sign in again."""
        account = self.account(email)
        self._directory.block(account.email, blocked)
        if not blocked:
            self.note(f"unblocked account {account.id}", account.id)

    def unpin(self, email: str, same: bool) -> None:
        """Let the next sign-in of an e-mail address pin its account to another issuer.

        The account is signed out everywhere, and its applications are deactivated.

        :param same: also let the present issuer and subject pin it again.
        """
        self._directory.unpin(self.account(email).email, same)

    def merge(self, email: str, into: str) -> None:
        """Move the grants, the applications and the inbox of an account to another one, and delete the first."""
        first, second = canonical_email(email), canonical_email(into)
        if first == second:
            raise NotFound(f"{first}: an account cannot be merged into itself")
        if not self._directory.merge(first, second):
            raise NotFound(f"there is no account of {first}, or none of {second}")

    def sign_out(self, email: str) -> None:
        """End all sessions, tickets and device credentials of an account, and close its channels."""
        account = self.account(email)
        self._directory.end_sessions(account.id)
        self.note(f"signed out account {account.id}", account.id)

    def erase(self, email: str) -> None:
        """Erase an account with its grants, and its applications with their grants."""
        account = self.account(email)
        self._directory.erase(account.id)
        self.note(f"erased account {account.id}", account.id)

    # -- applications

    def applications(self) -> Iterator[Application]:
        """Yield every application, in order of the id."""
        return _pages(self._directory.all_applications, lambda application: application.id)

    def owned_by(self, account: Account) -> Iterator[Application]:
        """Yield the applications of an account, in order of the id."""
        return _pages(lambda after, limit: self._directory.applications(account.id, after, limit), lambda application: application.id)

    def application(self, appid: str) -> Application:
        """Return an application."""
        return _found(self._directory.application(appid), appid)

    def owner(self, application: Application) -> str:
        """Return the e-mail address of the owner of an application, "" if the account was erased meanwhile."""
        account = self._directory.account(application.owner)
        return account.email if account else ""

    def users(self, application: Application) -> int:
        """Return the number of grants to an application."""
        return self._directory.count_grants(application.id)

    def stop(self, appid: str, stopped: bool) -> Application:
        """Deactivate an application so that its developer cannot activate it; or let the developer activate it again."""
        changes = {"active": False, "stopped": True} if stopped else {"stopped": False}
        application = _found(self._directory.change_application(appid, changes), appid)
        if not stopped:
            self.note(f"started application {appid}", appid)
        return application

    def remove_icon(self, appid: str) -> Application:
        """Remove the icon of an application. Its developer may set another one."""
        application = _found(self._directory.set_icon(appid, None), appid)
        self.note(f"removed the icon of application {appid}", appid)
        return application

    def delete(self, appid: str) -> Application:
        """Delete an application; its users' grants end and its channels are closed."""
        application = self.application(appid)
        self._directory.delete_application(appid)
        self.note(f"deleted application {appid}", appid)
        return application

    # -- grants and notifications

    def grants_of(self, email: str) -> Iterator[GrantWithApplication]:
        """Yield the grants of an account with their applications."""
        user = self.account(email).id
        return _pages(lambda after, limit: self._directory.grants_with_applications(user, after, limit), lambda item: item.grant.appid)

    def grants_to(self, appid: str) -> Iterator[Grant]:
        """Yield the grants to an application."""
        self.application(appid)
        return _pages(lambda after, limit: self._directory.grants_of_application(appid, after, limit), lambda grant: grant.puid)

    def revoke(self, email: str, appid: str) -> None:
        """Revoke a grant of an account to an application."""
        account = self.account(email)
        if self._directory.revoke(appid, account.id) is None:
            raise NotFound(f"{account.email} has not granted {appid}")
        self.note(f"revoked the grant of account {account.id} to application {appid}", account.id)

    def purge(self, email: str, mailbox: Mailbox) -> int:
        """Discard the notifications that wait for an account, and its inbox; return how many waited."""
        account = self.account(email)
        count = mailbox.purge(account.id)
        self.note(f"discarded {count} notifications of account {account.id}", account.id)
        return count

    def note(self, text: str, owner: str = "") -> None:
        """Have a running service log a change.

        :param owner: the account or application; "" if the change is not in the directory.
        """
        self._directory.note(text, owner)


def _found(application: Application | None, appid: str) -> Application:
    if application is None:
        raise NotFound(f"there is no application {appid}")
    return application


def _pages(read: Callable[[str, int], Sequence[T]], key: Callable[[T], str]) -> Iterator[T]:
    """Yield the items of all pages."""
    after = _BEFORE_ALL
    while page := read(after, _PAGE):
        yield from page
        after = key(page[-1])
