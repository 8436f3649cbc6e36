"""Arguments and results of the directory that consist of several values of ``model``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...model import Account, Application, Grant, GrantSet, Session, Ticket
from ...model.looks import Looks, Via


class GrantWithApplication(NamedTuple):
    """A user's grant with its application.

    :param used_on: the day (``YYYY-MM-DD``) on which the application last used one of its current keys; None if it never did.
    :param looks: the days on which the application looked at the user's status since the grant, newest first.
    """

    grant: Grant
    application: Application
    used_on: str | None
    looks: Sequence[Looks]

    @property
    def last_looked(self) -> str | None:
        """The last day on which the application used a key or looked at the user's status; None if it never did."""
        return max((day for day in (self.used_on, *(looks.day for looks in self.looks[:1])) if day), default=None)


class LookCount(NamedTuple):
    """Number of times that an application looked at statuses on one day in one way.

    :param puid: the user; "" for all users of the application.
    :param day: ``YYYY-MM-DD``.
    """

    appid: str
    puid: str
    day: str
    via: Via
    times: int


class SignedIn(NamedTuple):
    """A browser session and the account that it belongs to."""

    session: Session
    account: Account


Requester = Account | SignedIn
"""The requester of a change: the account as it was when the user authenticated, with the browser session if they authenticated by one."""


class Redeemed(NamedTuple):
    """The result of presenting a ticket.

    :param good: the ticket opens a channel. False if a used ticket was presented by another device or after its expiry: the ticket
        may have been copied, and its family has been deleted.
    :param account: the account of the ticket's user at the time of the call.
    :param grants: the user's grants, if the caller wanted them and the ticket is good.
    """

    ticket: Ticket
    good: bool
    account: Account
    grants: GrantSet | None = None


OutboxKind = Literal[
    "granted", "changed", "revoked", "override", "account", "device", "ticket", "application", "dropped", "erased", "note", "logout"
]


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An effect of a stored change that has not been applied to the tracker or the mailbox yet.

    It is written in the transaction of the change and deleted after it was applied (docs/decisions/0012-outbox.md).

    :param owner: id of the account or application that was changed; the key of the provider's session for ``logout``.
    :param detail: the PUID for ``granted``, ``changed`` and ``revoked``; the name for ``device``; see ``ended_family`` for
        ``ticket``; what the operator did, such as ``blocked``, for ``account`` and ``application``, or nothing;
        the account that an ``erased`` one was merged into, or nothing; the text of a ``note``;
        the key of the provider's session for ``logout``.
    :param revision: revision of the account after the change, 0 if the change did not raise it; ``ProviderLogout.at`` for ``logout``.
    """

    id: int
    owner: str
    kind: OutboxKind
    user: str = ""
    appid: str = ""
    detail: str = ""
    revision: int = 0

    @property
    def ended_family(self) -> tuple[str, str]:
        """The ticket family of a ``ticket`` entry, and the device that used it, ``""`` if none did."""
        family, _, device = self.detail.partition(" ")
        return family, device


@dataclass(frozen=True)
class PartitionMove:
    """The move of a partition of the tracker from one server to another, or the split of a tracker of one partition, which has no source.

    :param id: random; another one when a later call of the command has taken the move over.
    :param partition: its number; 0 for a split.
    :param source: name of the server; "" for a split.
    :param target: name of the other server; that of the tracker for a split.
    """

    id: str
    partition: int
    source: str
    target: str

    @property
    def is_split(self) -> bool:
        """True for the split of a tracker."""
        return not self.source
