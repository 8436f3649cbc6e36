"""The part of the directory that stores accounts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ...model import Account, Identity, Status
from .values import Requester


class AccountStore(ABC):
    """Accounts of people; a part of ``Directory``."""

    @abstractmethod
    def sign_in(self, identity: Identity, now: int) -> Account:
        """Return the account of (issuer, subject), creating it at the first sign-in. A changed e-mail address updates the account.

        :raises Conflict: the address has an account that is pinned to another (issuer, subject), or ``unpin`` has removed this
            (issuer, subject) from the account, or the two accounts would have to be merged.
        """

    @abstractmethod
    def account(self, user: str) -> Account | None:
        """Return an account by its id."""

    @abstractmethod
    def account_of(self, email: str) -> Account | None:
        """Return the account of an e-mail address."""

    @abstractmethod
    def accounts(self, after: str, limit: int) -> Sequence[Account]:
        """Return up to ``limit`` accounts with an e-mail address greater than ``after``, in order of the address."""

    @abstractmethod
    def unpin(self, email: str, same: bool = False) -> bool:
        """Let the next sign-in of ``email`` pin its account again, end its sessions and tickets, and deactivate its applications.

        :param same: the removed (issuer, subject), or an earlier one, may pin the account again.
        :returns: False if the account does not exist.
        """

    @abstractmethod
    def block(self, email: str, blocked: bool) -> bool:
        """Block or unblock an account. Blocking ends its sessions and tickets and deactivates its applications.

        :returns: False if the account does not exist.
        """

    @abstractmethod
    def set_override(self, user: str, status: Status | None, until: int | None, requester: Requester | None = None) -> Account | None:
        """Set the status of a person above those of their devices, or end this; return the account, None if there is none.

        :param status: None ends the override.
        :param until: when the override ends by itself, milliseconds; None if never.
        """

    @abstractmethod
    def merge(self, email: str, into: str) -> bool:
        """Move the grants and applications of the account of ``email`` to that of ``into``; delete the first account and its sessions.

        :returns: False if either account does not exist or both are the same.
        """

    @abstractmethod
    def erase(self, user: str, requester: Requester | None = None) -> None:
        """Delete an account with its sessions, tickets and grants, and its applications with their keys and grants, if it exists."""
