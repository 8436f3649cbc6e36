"""The values the service speaks of. Frozen, without ORM, JSON or web; times are integer milliseconds since the epoch, UTC.

The words are those of docs/protocol.md, section 1.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

Status = Literal["online", "unavailable", "offline"]
Reason = Literal["explicit", "lost", "granted", "revoked"]


def merge(statuses: Collection[Status]) -> Status:
    """Return a user's status from those of her live devices: the most reachable one, ``offline`` without any."""
    return "online" if "online" in statuses else "unavailable" if "unavailable" in statuses else "offline"


def canonical_email(email: str) -> str:
    """Return an e-mail as it is compared: its domain in lower case."""
    local, at, domain = email.rpartition("@")
    return f"{local}{at}{domain.lower()}"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verifier says of an assertion.

    :param email: verified address, its domain in lower case.
    :param issuer: who vouches for it.
    :param subject: the issuer's own name for the person; the e-mail where it has none.
    :param expires_at: when the proof itself ends.
    """

    email: str
    issuer: str
    subject: str
    expires_at: int

    @property
    def pin(self) -> tuple[str, str]:
        """Issuer and subject: what an account is pinned to."""
        return self.issuer, self.subject


@dataclass(frozen=True, slots=True)
class Account:
    """A person, known by a verified e-mail and pinned to the (issuer, subject) of the first sign-in.

    :param blocked: the operator lets nobody sign in to it.
    :param revision: raised in the transaction of each change of the person's grants and of each sign-out.
    """

    id: str
    email: str
    issuer: str
    subject: str
    created_at: int
    blocked: bool = False
    revision: int = 0

    @property
    def pin(self) -> tuple[str, str]:
        """Issuer and subject, both empty when the next sign-in is to pin it."""
        return self.issuer, self.subject


@dataclass(frozen=True, slots=True)
class Application:
    """An application as its developer registered it.

    :param owner: account id of the developer.
    :param proof: ``"https"`` or ``"http"``, how the domain was validated; None while it is not.
    :param check_at: when a validated domain is looked at again, milliseconds; None while it is not validated.
    :param failed_checks: how often in a row that has failed.
    :param stopped: the operator lets nobody activate it.
    """

    id: str
    owner: str
    name: str
    domain: str
    description: str
    domain_key: str
    created_at: int
    proof: Literal["https", "http"] | None = None
    active: bool = False
    check_at: int | None = None
    failed_checks: int = 0
    stopped: bool = False

    @property
    def valid_domain(self) -> bool:
        """Whether the domain key was found on the domain."""
        return self.proof is not None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored API key: its public id and the SHA-256 of its secret half.

    :param retires_at: when a rotated key stops working; None for the current one.
    :param used_on: last day of use, ``YYYY-MM-DD``, or None.
    """

    id: str
    appid: str
    secret_hash: bytes
    created_at: int
    retires_at: int | None = None
    used_on: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A user's leave for one application to see her under one PUID.

    :param user: account id.
    :param since: no update may be dated before it: the grant, or the end of the last pause.
    """

    appid: str
    puid: str
    user: str
    granted_at: int
    since: int
    paused: bool = False


class DirectoryVersion(NamedTuple):
    """The version of a directory: one that is older than another was restored from a backup.

    :param generation: random, of that database.
    :param revision: number of the last entry of its outbox that was ever made.
    """

    generation: str
    revision: int


class GrantSet(NamedTuple):
    """Every grant of one user, as of one revision of their account.

    :param revision: see ``Account.revision``; ``ERASED`` when the account is gone.
    """

    revision: int
    grants: tuple[Grant, ...]


ERASED = 2**53 - 1
"""The revision of an account that is gone: later than any that was read before."""


OutboxKind = Literal["granted", "changed", "revoked", "account", "device", "ticket", "application", "dropped", "erased"]


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A consequence of a change that is stored, and of which the tracker or the mailbox have yet to be told.

    It is written in the transaction of the change and deleted once it was carried out (docs/decisions/0012-outbox.md).

    :param owner: id of the account or application whose change it follows from.
    :param detail: the PUID of ``granted``, ``changed`` and ``revoked``; the name of a ``device``; the family of a ``ticket`` and,
        where it is known, the device that used it, with a space between.
    :param revision: of the account by that change, 0 where none was raised.
    """

    id: int
    owner: str
    kind: OutboxKind
    user: str = ""
    appid: str = ""
    detail: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """A browser session; ``id_hash`` is the SHA-256 of the cookie's value."""

    id_hash: bytes
    user: str
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """A proof this service made itself; ``hash`` is the SHA-256 of its value.

    :param family: all tickets that followed from one sign-in; they die together.
    :param session: id_hash of the browser session it hangs on, or None for a device's own.
    :param device: the device that used the family last, or None.
    :param expires_at: when this ticket stops opening a channel.
    :param session_ends_at: when the identity of a channel it opens ends.
    """

    hash: bytes
    family: str
    user: str
    expires_at: int
    session_ends_at: int
    session: bytes | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A live device of a user, as the tracker sees it.

    :param name: the client's name for it, or one this service made, which starts with ``~``.
    :param connected: False while it is in grace.
    :param since: when its present connection was made.
    """

    name: str
    status: Status
    connected: bool
    since: int


class Update(NamedTuple):
    """One entry of an application's feed, and the only value made for every change: hence a tuple, which is made fast.

    :param at: already rounded down to the second.
    """

    offset: int
    puid: str
    status: Status
    at: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification for a user."""

    id: str
    appid: str
    puid: str
    source: str
    message: str
    action: str
    sent_at: int
