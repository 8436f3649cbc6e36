"""The directory stores durable facts: accounts, browser sessions, tickets, applications, API keys and grants.

A result that a method has returned survives a crash. Every method may raise ``BackendUnavailable``; it then changes nothing.
Each storage technology is one file of this package; ``tests/contract/directory.py`` runs against every one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...model import Account, ApiKey, Application, DirectoryVersion, Grant, GrantSet, Identity, OutboxEntry, Session, Ticket


@dataclass(frozen=True, slots=True)
class Erased:
    """The result of an erasure: the grants that ended and the applications that were deleted."""

    grants: Sequence[Grant]
    applications: Sequence[Application]


class Granted(NamedTuple):
    """A user's grant with its application.

    :param last_looked: the day (``YYYY-MM-DD``) on which the application last used one of its current keys; None if it never did.
    """

    grant: Grant
    application: Application
    last_looked: str | None


class SignedIn(NamedTuple):
    """A browser session and the account that it belongs to."""

    session: Session
    account: Account


Proven = Account | SignedIn
"""The requester: the account as it was when the user authenticated, with the browser session if they authenticated by one."""


class Redeemed(NamedTuple):
    """The result of presenting a ticket.

    :param good: the ticket opens a channel. False if a used ticket was presented by another device or after its expiry: the ticket
        may have been copied, and its family has been deleted.
    :param account: the account of the ticket's user at the time of the call.
    """

    ticket: Ticket
    good: bool
    account: Account


class Directory(ABC):
    """Durable facts. Times are milliseconds since the epoch.

    A ``now`` argument determines what is returned, never what is deleted: a process with a wrong clock may miss existing rows,
    but deletes nothing. Expired rows are deleted by the clock of the store.

    Entries that the tracker and the mailbox must apply are written to the outbox in the transaction of the change that causes them.
    A change of a user's own grants, and each sign-out, increments the revision of their account.

    A method that takes ``proven`` makes the change only if the proof still holds in the transaction of the change: the account exists,
    is not blocked and has the same pin, and the session, if there is one, has not ended. Otherwise the method raises ``SessionEnded``.
    None skips this check; the service and the operator pass it for their own changes.
    """

    # -- the directory as a whole

    @abstractmethod
    def ping(self) -> None:
        """Reach the store and verify that it accepts writes; a successful write may be a few seconds old.

        :raises BackendUnavailable: the store is unreachable, full, read-only or has been replaced by another one.
        """

    @abstractmethod
    def stamp(self, mode: str) -> str:
        """Write ``mode`` (``production`` or ``development``) to a store that has no mode yet; return the stored mode."""

    @abstractmethod
    def version(self) -> DirectoryVersion:
        """Return the version of this directory. It only ever grows, unless the store is restored from a backup."""

    @abstractmethod
    def sweep(self) -> int:
        """Delete the sessions, tickets, used assertions and retired keys that have expired; return the number of deleted rows."""

    @abstractmethod
    def close(self) -> None:
        """Release all resources. No method may be called afterwards."""

    # -- accounts

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
    def merge(self, email: str, into: str) -> bool:
        """Move the grants and applications of the account of ``email`` to that of ``into``; delete the first account and its sessions.

        :returns: False if either account does not exist or both are the same.
        """

    @abstractmethod
    def erase(self, user: str, proven: Proven | None = None) -> Erased:
        """Delete an account with its sessions, tickets and grants, and its applications with their keys and grants.

        :returns: every grant that ended (the user's own and those to their applications), and the deleted applications.
        """

    # -- sessions, tickets, used assertions

    @abstractmethod
    def spend(self, digest: bytes, expires_at: int) -> bool:
        """Record a digest as used until ``expires_at``; return False if it has been used before."""

    @abstractmethod
    def add_session(self, session: Session, proven: Proven | None = None, previous: bytes | None = None) -> Sequence[str]:
        """Store a browser session and end the sessions that it replaces, as ``end_session`` does; return the users of those.

        :param previous: hash of the browser's previous cookie. The new session replaces the session of that cookie and every session
            that has already replaced it: of several concurrent log-ins with the same cookie, only the latest session remains.
        :raises SessionEnded: the account is deleted or blocked, also without ``proven``.
        """

    @abstractmethod
    def session(self, id_hash: bytes, now: int) -> SignedIn | None:
        """Return a session that has not ended, with its account, both read at the same moment."""

    @abstractmethod
    def sessions(self, user: str, now: int) -> Sequence[Session]:
        """Return a user's sessions that have not ended, oldest first."""

    @abstractmethod
    def end_session(self, id_hash: bytes) -> Sequence[tuple[str, str | None]]:
        """Delete a session and its tickets; return (family, device) of those tickets."""

    @abstractmethod
    def end_sessions(self, user: str) -> None:
        """Delete every session and every ticket of a user."""

    @abstractmethod
    def add_ticket(self, ticket: Ticket, proven: Proven | None = None) -> None:
        """Store a new ticket.

        :raises SessionEnded: see ``add_session``; or the session that the ticket belongs to has ended.
        """

    @abstractmethod
    def use_ticket(self, hash: bytes, now: int, device: str | None, successor: bytes | None) -> Redeemed | None:
        """Use a ticket and record the device that used it (docs/protocol.md, section 2).

        The use ends all earlier tickets of the family, and a successor that an earlier use of this ticket created. The same device
        can use the ticket again until a successor is used or the ticket expires; a ticket used without a successor cannot be used again.

        :param device: the device name given at the sign-in, or None. A nameless device that uses a ticket again gets the same name.
        :param successor: hash of the ticket that follows this one, or None. The successor expires at the ticket's
            ``session_ends_at`` and has the same family, session and user.
        :returns: None if the ticket is unknown, has expired unused, or has expired by ``now`` but not by the clock of the store. Any
            other invalid use deletes the whole family.
        """

    @abstractmethod
    def tickets(self, user: str, now: int) -> Sequence[Ticket]:
        """Return a user's usable tickets in order of expiry."""

    @abstractmethod
    def has_family(self, family: str) -> bool:
        """Return whether a ticket family exists."""

    @abstractmethod
    def set_family_device(self, family: str, device: str) -> None:
        """Record the device of a ticket family that signed in without a device name."""

    @abstractmethod
    def end_tickets(self, user: str, device: str, proven: Proven | None = None) -> None:
        """Delete the ticket families that ``device`` of ``user`` was the last to use."""

    # -- applications and keys

    @abstractmethod
    def add_application(self, application: Application, limit: int, proven: Proven | None = None) -> None:
        """Store a new application.

        :raises TooMany: its owner already has ``limit`` applications.
        """

    @abstractmethod
    def application(self, appid: str) -> Application | None:
        """Return an application by its id."""

    @abstractmethod
    def active(self, appids: Sequence[str]) -> dict[str, str]:
        """Return the domains by id of those applications among ``appids`` that are active and have a validated domain."""

    @abstractmethod
    def existing(self, appids: Sequence[str]) -> set[str]:
        """Return the subset of ``appids`` that exist."""

    @abstractmethod
    def newest_application(self) -> int:
        """Return the creation time of the newest application in milliseconds; 0 if there is none."""

    @abstractmethod
    def applications(self, owner: str, after: str, limit: int) -> Sequence[Application]:
        """Return up to ``limit`` applications of ``owner`` with an id greater than ``after``, in order of id."""

    @abstractmethod
    def change_application(
        self, appid: str, changes: Mapping[str, object], domain_key: str | None = None, proven: Proven | None = None
    ) -> Application | None:
        """Update some fields of an application and return the updated application.

        :param domain_key: update the application only if this is its domain key.
        :returns: None if the application does not exist or has another domain key.
        """

    @abstractmethod
    def move_application(
        self, appid: str, changes: Mapping[str, object], proven: Proven | None = None
    ) -> tuple[Application, Sequence[Grant]] | None:
        """Update an application whose domain changes and end every grant to it, in one transaction.

        :returns: the updated application and the grants that ended; None if the application does not exist.
        """

    @abstractmethod
    def claim_checks(self, now: int, check_at: int, limit: int) -> Sequence[Application]:
        """Return up to ``limit`` applications whose domain is due for a check, and set the time of their next check.

        Each application is returned to one caller only: its ``check_at`` is set to the argument.
        """

    @abstractmethod
    def delete_application(self, appid: str, proven: Proven | None = None) -> Sequence[Grant] | None:
        """Delete an application with its keys and grants; return the grants that ended, None if the application does not exist."""

    @abstractmethod
    def activate(self, appid: str, key: ApiKey, proven: Proven | None = None) -> bool:
        """Activate an application with ``key`` as its only key, in one transaction; return False if it is already active.

        :raises NotFound: the application does not exist.
        :raises SessionEnded: its owner is blocked, also without ``proven``.
        :raises Conflict: the operator has stopped the application.
        :raises DomainNotValidated: its domain is not validated.
        """

    @abstractmethod
    def add_key(self, key: ApiKey, retire_at: int, proven: Proven | None = None) -> None:
        """Store a new key. The current keys retire at ``retire_at``, unless they already retire earlier.

        :raises NotFound: the application does not exist.
        :raises SessionEnded: its owner is blocked, also without ``proven``.
        """

    @abstractmethod
    def key(self, key_id: str, now: int) -> ApiKey | None:
        """Return a valid key by its public id."""

    @abstractmethod
    def keys(self, appid: str, now: int) -> Sequence[ApiKey]:
        """Return an application's valid keys, newest first."""

    @abstractmethod
    def touch_key(self, key_id: str, day: str) -> None:
        """Record the last day (``YYYY-MM-DD``) on which a key was used."""

    # -- grants

    @abstractmethod
    def add_grant(self, grant: Grant, domain: str | None = None, proven: Proven | None = None) -> Grant:
        """Store a grant and return it; if (application, user) already has a grant, return that one unchanged.

        :param domain: the domain that the user consented to; the application must be active and have this domain, validated.
        :raises NotFound: the application or the account does not exist.
        :raises DomainNotValidated: the application has another domain, or its domain is not validated.
        :raises NotActive: the application is not active.
        """

    @abstractmethod
    def grant(self, appid: str, user: str) -> Grant | None:
        """Return a user's grant to an application."""

    @abstractmethod
    def grants_by_puid(self, appid: str, puids: Sequence[str]) -> dict[str, Grant]:
        """Return an application's grants by PUID; unknown PUIDs are left out."""

    @abstractmethod
    def grants_of_user(self, user: str) -> GrantSet:
        """Return every grant of a user, oldest first, with the revision of their account."""

    @abstractmethod
    def granted(self, user: str, after: str, limit: int) -> Sequence[Granted]:
        """Return up to ``limit`` grants of a user, with their applications, in order of application id, starting after ``after``."""

    @abstractmethod
    def standing(self, puids: Collection[str]) -> set[str]:
        """Return the subset of ``puids`` that belong to existing grants."""

    @abstractmethod
    def grants_of_application(self, appid: str, after: str, limit: int) -> Sequence[Grant]:
        """Return up to ``limit`` grants of an application with a PUID greater than ``after``, in order of PUID."""

    @abstractmethod
    def count_grants(self, appid: str) -> int:
        """Return the number of users who have granted an application access, including paused grants."""

    @abstractmethod
    def pause(self, appid: str, user: str, paused: bool, since: int, proven: Proven | None = None) -> Grant | None:
        """Pause or resume a grant (resuming sets its ``since``); return the updated grant, None if there is none."""

    @abstractmethod
    def revoke(self, appid: str, user: str, proven: Proven | None = None) -> Grant | None:
        """Delete a grant and return it; return None if there was none."""

    # -- the outbox

    @abstractmethod
    def outbox(self, owner: str | None, after: int, limit: int) -> Sequence[OutboxEntry]:
        """Return up to ``limit`` entries with an id greater than ``after``, oldest first.

        :param owner: return only the entries of this account or application; None for all.
        """

    @abstractmethod
    def clear_outbox(self, ids: Sequence[int]) -> None:
        """Delete entries that have been applied. Entries that do not exist are ignored."""
