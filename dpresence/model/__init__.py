"""Domain values, as frozen classes that do not depend on ORM, JSON or web. Times are integer milliseconds since the epoch, UTC.

The terms are defined in docs/protocol.md, section 1.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from .devices import KnownDevice
from .hours import Hours, decode_hours, encode_hours, next_change, within
from .pushes import DuePush, PendingPush, PushSubscription
from .sign_ins import DeviceCredential, Pairing, PairingState, Session, Ticket

__all__ = [
    "ERASED",
    "Account",
    "ApiKey",
    "Application",
    "Device",
    "DeviceCredential",
    "DirectoryVersion",
    "DuePush",
    "FeedEntry",
    "Grant",
    "GrantSet",
    "Hours",
    "Identity",
    "KnownDevice",
    "Notification",
    "Pairing",
    "PairingState",
    "PendingPush",
    "PushSubscription",
    "Reason",
    "Session",
    "Shows",
    "Status",
    "Ticket",
    "canonical_email",
    "decode_hours",
    "digest_of",
    "encode_hours",
    "merge",
    "next_change",
    "within",
]

Status = Literal["online", "unavailable", "offline"]
Reason = Literal["explicit", "lost", "granted", "revoked"]
Shows = Literal["status", "reachable"]
"""Mode of a grant. ``status`` shows the status; ``reachable`` shows ``online``, and any other status as ``offline``."""


def merge(statuses: Collection[Status]) -> Status:
    """Return a user's status: the most reachable status of their live devices, ``offline`` without any."""
    return "online" if "online" in statuses else "unavailable" if "unavailable" in statuses else "offline"


def digest_of(text: str) -> bytes:
    """Return the SHA-256 of a text in UTF-8. It is the form in which secrets are stored and compared."""
    return sha256(text.encode()).digest()


def canonical_email(email: str) -> str:
    """Return the form of an e-mail address that is stored and compared: its domain in lower case."""
    local, at, domain = email.rpartition("@")
    return f"{local}{at}{domain.lower()}"


@dataclass(frozen=True, slots=True)
class Identity:
    """The result of verifying an assertion.

    :param email: verified address, its domain in lower case.
    :param issuer: the identity provider that asserts the address.
    :param subject: the issuer's identifier of the person; the e-mail address if the issuer has none.
    :param expires_at: when the assertion expires.
    :param began_at: when the sign-in began or the assertion was issued; None if the issuer cannot end sign-ins.
    :param provider_session: key of the issuer's session with the person (``logouts.provider_session``), or None.
    """

    email: str
    issuer: str
    subject: str
    expires_at: int
    began_at: int | None = None
    provider_session: str | None = None

    @property
    def pin(self) -> tuple[str, str]:
        """Issuer and subject, to which an account is pinned."""
        return self.issuer, self.subject


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account, identified by a verified e-mail address and pinned to the issuer and subject of the first sign-in.

    :param blocked: the operator has blocked the account; nobody can sign in to it.
    :param revision: number that is raised in the transaction of each change of the person's grants or override, and of each sign-out.
    :param override: the status that the person has set above those of their devices; None without one.
    :param override_until: when the override ends; None if only the person ends it.
    :param hours: the person's quiet hours, encoded (``encode_hours``); None without any.
    """

    id: str
    email: str
    issuer: str
    subject: str
    created_at: int
    blocked: bool = False
    revision: int = 0
    override: Status | None = None
    override_until: int | None = None
    hours: str | None = None

    @property
    def pin(self) -> tuple[str, str]:
        """Issuer and subject. Both are empty after an unpin; the next sign-in pins the account."""
        return self.issuer, self.subject


@dataclass(frozen=True, slots=True)
class Application:
    """A registered application.

    :param owner: account id of the developer.
    :param validated_scheme: scheme by which the domain was validated; None while it is not validated.
    :param check_at: when the validated domain is checked again, milliseconds; None while it is not validated.
    :param failed_checks: number of consecutive checks that have failed.
    :param stopped: the operator has stopped the application; it cannot be activated.
    :param icon: version of its icon; None without one.
    """

    id: str
    owner: str
    name: str
    domain: str
    description: str
    domain_key: str
    created_at: int
    validated_scheme: Literal["https", "http"] | None = None
    active: bool = False
    check_at: int | None = None
    failed_checks: int = 0
    stopped: bool = False
    icon: str | None = None

    @property
    def valid_domain(self) -> bool:
        """True if the domain key was found on the domain."""
        return self.validated_scheme is not None

    @property
    def icon_path(self) -> str | None:
        """Path of the icon below the address of this service; None without one."""
        return self.icon and f"/icons/{self.id}/{self.icon}"


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
    """A user's permission for one application to see their presence under one PUID.

    :param user: account id.
    :param since: time of the grant or of the end of the last pause. No update may have an earlier ``at``.
    :param paused: the application sees the user as offline: they have paused the grant, or quiet hours do.
    :param shows: see ``Shows``.
    :param until: when the grant ends, milliseconds; None if only the user ends it.
    :param hours: the quiet hours of this grant, besides those of the account; see ``Account``.
    :param quiet: only quiet hours pause the grant.
    :param push: notifications of the application may be pushed to browsers without an open page.
    """

    appid: str
    puid: str
    user: str
    granted_at: int
    since: int
    paused: bool = False
    shows: Shows = "status"
    until: int | None = None
    hours: str | None = None
    quiet: bool = False
    push: bool = False

    @property
    def own_pause(self) -> bool:
        """True if the user has paused the grant."""
        return self.paused and not self.quiet

    def at(self, now: int, account_hours: str | None, own_pause: bool | None = None) -> Grant:
        """Return the grant as its hours, and those of the account, have it at a time.

        :param own_pause: whether the user pauses the grant; None if that stays as it is.
        """
        own = self.own_pause if own_pause is None else own_pause
        quiet = not own and (within(self.hours, now) or within(account_hours, now))
        paused = own or quiet
        return replace(self, paused=paused, quiet=quiet, since=now if self.paused and not paused else self.since)

    def shown(self, status: Status) -> Status:
        """Return what the application is shown while its user has a status."""
        return "offline" if self.paused or (status == "unavailable" and self.shows == "reachable") else status


class DirectoryVersion(NamedTuple):
    """The version of a directory. A directory with a lower version than one seen before was restored from a backup.

    :param generation: random identifier of the database.
    :param revision: id of the last outbox entry that was created.
    """

    generation: str
    revision: int


class GrantSet(Struct, frozen=True, gc=False):
    """All grants of one user at one revision of their account, and the override that goes with them.

    It is in no cycle, so it needs no header for the garbage collector. Each user with a device has one.

    :param revision: see ``Account.revision``; ``ERASED`` if the account does not exist any more.
    :param override: see ``Account``.
    """

    revision: int
    grants: tuple[Grant, ...]
    override: Status | None = None


ERASED = 2**53 - 1
"""Revision of a deleted account. It is higher than every revision of an existing account."""


@dataclass(frozen=True, slots=True)
class Device:
    """A live device of a user in the tracker.

    :param name: the name chosen by the client, or a generated one, which starts with ``~``.
    :param connected: False while the device is in grace.
    :param since: when its current connection was opened.
    """

    name: str
    status: Status
    connected: bool
    since: int


Offset = Any
"""The place of a reader in a feed. It can be stored, compared for equality and passed on; only the tracker knows what it consists of."""


class FeedEntry(Struct, frozen=True, gc=False):
    """One entry of an application's feed. One is created for every change: creating a named tuple takes six times as long.

    :param offset: position in the feed.
    :param at: time of the change, rounded down to a second.
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
