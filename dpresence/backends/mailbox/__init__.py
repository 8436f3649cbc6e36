"""The mailbox: notifications waiting for a user, first in first out per user and application.

What ``push`` has answered survives a crash, until it is settled, expired, dropped for a newer one or purged. Times of expiry
are the store's own: a time to live begins at the push and runs by the store's clock, so that a process whose clock is wrong
neither deletes nor keeps what others sent. The cost of a call depends on what it is asked for, never on what else waits; a
store that others share is held for a few milliseconds at most, and a call that has more to do takes several steps.

A queue belongs to one grant and is named by its PUID. It has two sides: what is still to be delivered, and what the
application is told to wait. The two differ while the application is shown the user as offline: what the user gets meanwhile
is discarded, but goes on being counted, so that the count does not tell that the user is there (docs/protocol.md, section 5).

One technology is one file beside this one; ``tests/contract/mailbox.py`` runs against each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ...model import Notification

SHOWN_NOW = 2**52
"""``shown_until`` of a user whom the application is shown as reachable."""


@dataclass(frozen=True, slots=True)
class Push:
    """One notification to keep.

    :param ttl_ms: how long it may wait.
    :param shown_until: until when (milliseconds) the application was last shown the user as reachable; what the user got
        before that is counted no longer. ``SHOWN_NOW`` while it is shown so, 0 if it never was.
    """

    user: str
    notification: Notification
    ttl_ms: int
    shown_until: int = SHOWN_NOW


class Stored(NamedTuple):
    """What became of a push: its position in the order of all pushes to the user, and the size of its queue right after it."""

    position: int
    size: int


class Waiting(NamedTuple):
    """A notification that waits, and its position."""

    position: int
    notification: Notification


class Queue(NamedTuple):
    """Names the queue of one grant."""

    user: str
    puid: str


class Granted(Protocol):
    """Anything that names a queue: a grant, or a ``Queue``."""

    @property
    def user(self) -> str:
        """Account id."""

    @property
    def puid(self) -> str:
        """Name of the user in one application."""


class Mailbox(ABC):
    """Waiting notifications. Every method may raise ``BackendUnavailable``; one that is one step changes nothing then."""

    @abstractmethod
    def push(self, items: Sequence[Push], limit: int, sender: str = "") -> Sequence[Stored]:
        """Keep notifications, all or none, in one step; where a queue holds more than ``limit``, its oldest are dropped.

        :param items: in the order they were sent. Positions of one user only grow.
        :param limit: how many may wait for one user from one application.
        :param sender: the account that owns the application: all its applications share one turn where calls take turns.
        """

    @abstractmethod
    def pending(self, user: str, after: int, limit: int) -> Sequence[Waiting]:
        """Return up to ``limit`` notifications to deliver behind position ``after``, oldest first; fewer only at the end."""

    @abstractmethod
    def among(self, user: str, ids: Collection[str]) -> set[str]:
        """Return which of some notifications are still to be delivered to a user."""

    @abstractmethod
    def waiting(self, user: str, puid: str, shown_until: int) -> int:
        """Return the size of a queue as its application is told; ``shown_until`` as in ``Push``."""

    @abstractmethod
    def settle(self, user: str, ids: Sequence[str], unseen: Collection[str] | None, at: int) -> int:
        """Discard notifications that a user has; return how many were to be delivered.

        :param unseen: the PUIDs whose applications are shown the user as offline, None for all: they go on counting.
        :param at: the present, by the clock that ``shown_until`` is of.
        """

    @abstractmethod
    def purge(self, user: str) -> int:
        """Discard all that is kept for a user; return how many were to be delivered."""

    @abstractmethod
    def purge_grants(self, grants: Sequence[Granted]) -> int:
        """Discard all that is kept in some queues; return how many were to be delivered."""

    @abstractmethod
    def queues(self, after: Queue, limit: int) -> Sequence[Queue]:
        """Return up to ``limit`` queues that hold anything, behind ``after``, in order of user and PUID."""

    @abstractmethod
    def sweep(self) -> int:
        """Discard what has expired; return how many."""

    @abstractmethod
    def ping(self) -> None:
        """Reach the store and prove, by a write a few seconds old at most, that it keeps what is written.

        :raises BackendUnavailable: it is away, full, read-only or another one.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what is held; nothing may be called after it."""
