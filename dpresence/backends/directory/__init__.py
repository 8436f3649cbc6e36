"""The directory: durable facts. Accounts, browser sessions, tickets, applications, API keys and grants.

What a method has answered survives a crash. Every method may raise ``BackendUnavailable`` and changes nothing then.
One technology is one file beside this one; ``tests/contract/directory.py`` runs against each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...model import Account, ApiKey, Application, DirectoryVersion, Grant, GrantSet, Identity, OutboxEntry, Session, Ticket


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure took away: the grants that ended and the applications that are gone."""

    grants: Sequence[Grant]
    applications: Sequence[Application]


class Granted(NamedTuple):
    """A user's grant with the application it goes to.

    :param last_looked: the day (``YYYY-MM-DD``) on which the application last used one of its present keys; None if it never did.
    """

    grant: Grant
    application: Application
    last_looked: str | None


class SignedIn(NamedTuple):
    """A browser session and whose it is."""

    session: Session
    account: Account


Proven = Account | SignedIn
"""Who asks for something: the account as it was when its holder proved who they are, with the browser session if they did by one."""


class Redeemed(NamedTuple):
    """What became of a ticket that was shown.

    :param good: it opens a channel; if not, somebody has a copy, and its family is dead.
    :param account: of the person, as it was then.
    """

    ticket: Ticket
    good: bool
    account: Account


class Directory(ABC):
    """Durable facts. Times are milliseconds since the epoch.

    A ``now`` that the caller gives decides what is returned, never what is deleted: a process whose clock is wrong may miss
    what stands, but destroys nothing. What expires is deleted by the store's own clock.

    What the tracker and the mailbox have to be told of a change is written to the outbox in the transaction of that change.
    A change of a user's own grants, and each sign-out, raises the revision of their account.

    A method that takes ``proven`` makes the change only if that is still so in the transaction of the change: the account is there, not
    blocked and pinned as it was then, and the session, if there is one, has not ended. Else it raises ``SessionEnded``. None, for what
    the service or the operator does, asks for nothing.
    """

    # -- the whole

    @abstractmethod
    def ping(self) -> None:
        """Reach the store and prove, by a write a few seconds old at most, that it keeps what is written.

        :raises BackendUnavailable: it is away, full, read-only or another one.
        """

    @abstractmethod
    def stamp(self, mode: str) -> str:
        """Write ``mode`` (``production`` or ``development``) into an unstamped store; return the stamp that stands."""

    @abstractmethod
    def version(self) -> DirectoryVersion:
        """Return how far this directory has come; less than it was only where it was restored from a backup."""

    @abstractmethod
    def sweep(self) -> int:
        """Delete sessions, tickets, spent assertions and retired keys whose time is over by the store's clock; return how many rows."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held; nothing may be called after it."""

    # -- accounts

    @abstractmethod
    def sign_in(self, identity: Identity, now: int) -> Account:
        """Return the account of (issuer, subject), made at the first sign-in; it follows its person to another address.

        :raises Conflict: the address has an account that is pinned to another (issuer, subject), or from which an ``unpin`` took this one
            away, or that the person's own account would have to be merged with.
        """

    @abstractmethod
    def account(self, user: str) -> Account | None:
        """Return an account by its id."""

    @abstractmethod
    def unpin(self, email: str, same: bool = False) -> bool:
        """Let the next sign-in of ``email`` pin its account anew, end its sessions and tickets, and deactivate its applications.

        :param same: the (issuer, subject) that is taken away, or was before, may pin it again.
        :returns: False when there is no such account.
        """

    @abstractmethod
    def block(self, email: str, blocked: bool) -> bool:
        """Block an account, which ends its sessions and tickets and deactivates its applications, or unblock it.

        :returns: False when there is no such account.
        """

    @abstractmethod
    def merge(self, email: str, into: str) -> bool:
        """Move grants and applications of the account of ``email`` to that of ``into``, and end the first one, its sign-ins too.

        :returns: False when there is no such account, or both are the same.
        """

    @abstractmethod
    def erase(self, user: str, proven: Proven | None = None) -> Erased:
        """Delete an account with all that hangs on it: sessions, tickets, grants, and its applications with theirs.

        :returns: every grant that ended, of the user and to her applications, and those applications.
        """

    # -- sessions, tickets, spent assertions

    @abstractmethod
    def spend(self, digest: bytes, expires_at: int) -> bool:
        """Note a digest as used until ``expires_at``; False when it was used before."""

    @abstractmethod
    def add_session(self, session: Session, proven: Proven | None = None, previous: bytes | None = None) -> Sequence[str]:
        """Keep a browser session and end those that it succeeds, as ``end_session`` does; return whose they were.

        :param previous: hash of the cookie that the browser had. It succeeds the session of that cookie and those that came in its place:
            of several log-ins at once with the same cookie, one session stays, the last one.
        :raises SessionEnded: the account is gone or blocked, also without ``proven``.
        """

    @abstractmethod
    def session(self, id_hash: bytes, now: int) -> SignedIn | None:
        """Return a session that has not ended, and its account as it was at the same moment."""

    @abstractmethod
    def sessions(self, user: str, now: int) -> Sequence[Session]:
        """Return a user's sessions that have not ended, oldest first."""

    @abstractmethod
    def end_session(self, id_hash: bytes) -> Sequence[tuple[str, str | None]]:
        """Delete a session and the tickets that hang on it; return (family, device) of those tickets."""

    @abstractmethod
    def end_sessions(self, user: str) -> None:
        """Delete every session and every ticket of a user."""

    @abstractmethod
    def add_ticket(self, ticket: Ticket, proven: Proven | None = None) -> None:
        """Keep a fresh ticket.

        :raises SessionEnded: see ``add_session``; or the session that the ticket hangs on is gone.
        """

    @abstractmethod
    def use_ticket(self, hash: bytes, now: int, device: str | None, successor: bytes | None) -> Redeemed | None:
        """Use a ticket and note the device that did (docs/protocol.md, section 2).

        What came before it in its family is over, and so is a successor it was given before. It can be used again, by the
        same device, until a successor is used or its own time is over; not at all when it is used without a successor.

        :param device: the name it signs in with, or None. A nameless one that uses a ticket again has the name it got then.
        :param successor: hash of the ticket that follows it, or None. The follower lives until the ticket's
            ``session_ends_at`` and keeps its family, session and user.
        :returns: None when it is unknown, or was never used and is over, or is over by ``now`` but not by the store's clock. Any
            other use kills the whole family.
        """

    @abstractmethod
    def tickets(self, user: str, now: int) -> Sequence[Ticket]:
        """Return a user's tickets that can still be used, the one that ends first being first."""

    @abstractmethod
    def has_family(self, family: str) -> bool:
        """Return whether a ticket family stands."""

    @abstractmethod
    def set_family_device(self, family: str, device: str) -> None:
        """Note the device that a ticket family belongs to, where it had no name when it signed in."""

    @abstractmethod
    def end_tickets(self, user: str, device: str, proven: Proven | None = None) -> None:
        """Delete the ticket families that ``device`` of ``user`` used last."""

    # -- applications and keys

    @abstractmethod
    def add_application(self, application: Application, limit: int, proven: Proven | None = None) -> None:
        """Keep a new application.

        :raises TooMany: its owner has ``limit`` of them.
        """

    @abstractmethod
    def application(self, appid: str) -> Application | None:
        """Return an application by its id."""

    @abstractmethod
    def active(self, appids: Sequence[str]) -> dict[str, str]:
        """Return the domains of those of some application ids that are active and have a validated domain, by id."""

    @abstractmethod
    def existing(self, appids: Sequence[str]) -> set[str]:
        """Return those of some application ids that there are."""

    @abstractmethod
    def newest_application(self) -> int:
        """Return when the newest application was made, milliseconds; 0 when there is none."""

    @abstractmethod
    def applications(self, owner: str, after: str, limit: int) -> Sequence[Application]:
        """Return up to ``limit`` applications of ``owner`` with an id greater than ``after``, in order of id."""

    @abstractmethod
    def change_application(
        self, appid: str, changes: Mapping[str, object], domain_key: str | None = None, proven: Proven | None = None
    ) -> Application | None:
        """Store new values of some fields of an application and return it as it is now.

        :param domain_key: change it only while this is its domain key.
        :returns: None when it is gone or has another domain key.
        """

    @abstractmethod
    def move_application(
        self, appid: str, changes: Mapping[str, object], proven: Proven | None = None
    ) -> tuple[Application, Sequence[Grant]] | None:
        """Store new values of some fields of an application whose domain changed and end every grant to it, in one step.

        :returns: the application as it is now and the grants that ended; None when it is gone.
        """

    @abstractmethod
    def claim_checks(self, now: int, check_at: int, limit: int) -> Sequence[Application]:
        """Return up to ``limit`` applications whose domain is due to be looked at again, and set their next time.

        Each is returned to one caller only: their ``check_at`` is the one given from then on.
        """

    @abstractmethod
    def delete_application(self, appid: str, proven: Proven | None = None) -> Sequence[Grant] | None:
        """Delete an application with its keys and grants; return the grants that ended, None when it is gone."""

    @abstractmethod
    def activate(self, appid: str, key: ApiKey, proven: Proven | None = None) -> bool:
        """Make an application active with ``key`` as its only key, in one step; False when it is active already.

        :raises NotFound: it is gone.
        :raises SessionEnded: its owner is blocked, also without ``proven``.
        :raises Conflict: the operator has stopped it.
        :raises DomainNotValidated: its domain is not validated.
        """

    @abstractmethod
    def add_key(self, key: ApiKey, retire_at: int, proven: Proven | None = None) -> None:
        """Keep a new key; the current ones stop working at ``retire_at``, sooner ones as they were.

        :raises NotFound: the application is gone.
        :raises SessionEnded: its owner is blocked, also without ``proven``.
        """

    @abstractmethod
    def key(self, key_id: str, now: int) -> ApiKey | None:
        """Return a key that still works, by its public id."""

    @abstractmethod
    def keys(self, appid: str, now: int) -> Sequence[ApiKey]:
        """Return an application's keys that still work, the newest first."""

    @abstractmethod
    def touch_key(self, key_id: str, day: str) -> None:
        """Note the last day (``YYYY-MM-DD``) a key was used."""

    # -- grants

    @abstractmethod
    def add_grant(self, grant: Grant, domain: str | None = None, proven: Proven | None = None) -> Grant:
        """Keep a grant and return it; when (application, user) has one already, return that one unchanged.

        :param domain: what the user consented to: the domain that the application has, validated, while it is active.
        :raises NotFound: the application or the account is gone.
        :raises DomainNotValidated: the application has another domain, or has not validated it.
        :raises NotActive: it is not active.
        """

    @abstractmethod
    def grant(self, appid: str, user: str) -> Grant | None:
        """Return a user's grant to an application."""

    @abstractmethod
    def grants_by_puid(self, appid: str, puids: Sequence[str]) -> dict[str, Grant]:
        """Return the grants of an application that stand behind ``puids``; unknown ones are left out."""

    @abstractmethod
    def grants_of_user(self, user: str) -> GrantSet:
        """Return every grant of a user, oldest first, with the revision of their account."""

    @abstractmethod
    def granted(self, user: str, after: str, limit: int) -> Sequence[Granted]:
        """Return up to ``limit`` grants of a user with their applications, in order of application id, behind that of ``after``."""

    @abstractmethod
    def standing(self, puids: Collection[str]) -> set[str]:
        """Return which of some PUIDs are of grants that stand."""

    @abstractmethod
    def grants_of_application(self, appid: str, after: str, limit: int) -> Sequence[Grant]:
        """Return up to ``limit`` grants of an application with a PUID greater than ``after``, in order of PUID."""

    @abstractmethod
    def count_grants(self, appid: str) -> int:
        """Return how many users have granted an application, paused grants included."""

    @abstractmethod
    def pause(self, appid: str, user: str, paused: bool, since: int, proven: Proven | None = None) -> Grant | None:
        """Pause a grant or end its pause (then ``since`` moves); return it as it is now, None when there is none."""

    @abstractmethod
    def revoke(self, appid: str, user: str, proven: Proven | None = None) -> Grant | None:
        """Delete a grant and return it, None when there was none."""

    # -- the outbox

    @abstractmethod
    def outbox(self, owner: str | None, after: int, limit: int) -> Sequence[OutboxEntry]:
        """Return up to ``limit`` entries with an id greater than ``after``, oldest first.

        :param owner: only those of this account or application; None for all.
        """

    @abstractmethod
    def clear_outbox(self, ids: Sequence[int]) -> None:
        """Delete entries that were carried out; those that are gone already are no error."""
