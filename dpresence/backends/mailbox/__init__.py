"""The mailbox stores undelivered notifications, first in first out per user and application.

A notification that ``enqueue`` has acknowledged survives a crash until its user has received it, it expires, or it is purged or dropped in
favour of a newer one. Expiry uses the clock of the store: a time to live starts when it is stored, so that a process with a wrong clock
neither deletes notifications of others too early nor stores them too long. The cost of a call depends on its arguments, never on the
amount of other stored data. A call holds a shared store for a few milliseconds at most; a larger call takes several steps.

A queue belongs to one grant and is identified by its PUID. It has two views: the notifications still to be delivered, and the count that
the application sees. They differ while the application is shown the user as offline: notifications that the user receives then
are discarded but still counted, so that the count does not reveal that the user is connected (docs/protocol.md, section 5).

Each storage technology is one folder of this package; ``tests/contract/mailbox.py`` runs against every one. ``inbox`` is the part of the
inboxes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypedDict

from ...measures import StoreMeasures
from ...model import Notification
from .control import ControlledMailbox, TopicAndKey
from .inbox import Inbox, InboxEntry, InboxLimits, InboxRecord

__all__ = [
    "SHOWN_NOW",
    "InboxEntry",
    "InboxLimits",
    "InboxRecord",
    "Mailbox",
    "Queue",
    "QueueKey",
    "QueuedNotification",
    "Record",
    "Stored",
    "TopicAndKey",
    "Waiting",
]  # fmt: skip

_PAGE = 100
SHOWN_NOW = 2**52
"""``shown_until`` of a user that the application currently sees as reachable."""


@dataclass(frozen=True, slots=True)
class QueuedNotification:
    """One notification to store.

    :param ttl_ms: time to live in milliseconds.
    :param shown_until: time (milliseconds) until which the application was last shown the user as reachable. Notifications that
        the user received before it are no longer counted. ``SHOWN_NOW`` if the user is shown as reachable, 0 if they never were.
    :param domain: the application's validated domain, for the inbox.
    :param held: its delivery waits; see ``inbox``.
    :param control: its topic and idempotency key, if it has one.
    """

    user: str
    notification: Notification
    ttl_ms: int
    shown_until: int = SHOWN_NOW
    domain: str = ""
    held: bool = False
    control: TopicAndKey | None = None


class Stored(NamedTuple):
    """The result of storing a notification.

    :ivar position: its position among all of the user.
    :ivar size: the size of its queue right after it.
    :ivar repeated: id of the notification that was stored earlier with the same idempotency key: this one was not stored.
    :ivar replaced: id of the notification of the same topic that it has replaced.
    """

    position: int
    size: int
    repeated: str = ""
    replaced: str = ""


class Record(TypedDict):
    """Everything that is stored of one notification, in the form of a backup.

    :ivar expires_at: by the clock of the store, milliseconds.
    :ivar notification: the fields of ``Notification``; None if the user has received it and it is only counted.
    :ivar taken_at: when the user received it, milliseconds; None if it is undelivered.
    """

    user: str
    puid: str
    id: str
    position: int
    expires_at: int
    notification: dict[str, Any] | None
    taken_at: int | None


class Waiting(NamedTuple):
    """An undelivered notification and its position."""

    position: int
    notification: Notification


class Queue(NamedTuple):
    """Identifies the queue of one grant."""

    user: str
    puid: str


class QueueKey(Protocol):
    """The fields that identify a queue; a grant and a ``Queue`` have them."""

    @property
    def user(self) -> str:
        """Account id."""

    @property
    def puid(self) -> str:
        """Pseudonymous id of the user in one application."""


class Mailbox(Inbox, ControlledMailbox):
    """Undelivered notifications, and the inboxes. Every method may raise ``BackendUnavailable``; if it is a single step, it then changes
    nothing.

    :ivar discarded: number of undelivered notifications that this process has discarded because they had ``expired``, or ``dropped``
        because their queue exceeded its limit.
    :ivar limits: the limits of inboxes.
    """

    measures: StoreMeasures | None = None
    """Counts of the calls to a store of its own; None if it shares the directory's."""

    def __init__(self, limits: InboxLimits) -> None:
        self.limits = limits
        self.discarded = {"expired": 0, "dropped": 0}

    @abstractmethod
    def enqueue(self, items: Sequence[QueuedNotification], limit: int) -> Sequence[Stored]:
        """Store notifications, each in queue and inbox in one step. If a queue exceeds ``limit``, its oldest are dropped.

        When the store becomes unavailable meanwhile, those at the beginning may have been stored, and those that are not may be sent again.

        :param items: in the order in which they were sent. The positions of one user are strictly increasing.
        :param limit: maximum number of stored notifications per user and application.
        :raises Conflict: an idempotency key was used for another content, also by a call that has not ended; nothing was stored.
        """

    def refuses(self, caller: str) -> bool:
        """Return whether a call of a caller would be refused now, because too many of their calls wait for the store.

        :param caller: see ``tasks.on_behalf_of``.
        """
        return False

    @abstractmethod
    def pending(self, user: str, after: int, limit: int) -> Sequence[Waiting]:
        """Return up to ``limit`` undelivered notifications with a position after ``after``, oldest first; fewer only at the end."""

    @abstractmethod
    def undelivered_ids(self, user: str, ids: Collection[str]) -> set[str]:
        """Return the subset of ``ids`` that are still to be delivered to a user."""

    @abstractmethod
    def queue_size(self, user: str, puid: str, shown_until: int) -> int:
        """Return the size of a queue as its application sees it.

        :param shown_until: see ``QueuedNotification``.
        """

    @abstractmethod
    def count_undelivered(self, after: Queue, limit: int) -> tuple[int, Queue | None]:
        """Return the number of undelivered notifications in a part of the store, and the place after which the next part begins.

        :param after: the place before this part; ``Queue("", "")`` for the first one.
        :param limit: bound on the size of the part, in what the store looks at.
        :returns: the place is None after the last part.
        """

    @abstractmethod
    def first_position(self, user: str, puid: str) -> int | None:
        """Return the position of the oldest notification that is still counted in a queue; None if there is none.

        What was stored with a lower one and has not expired has been dropped, unless the user has received it while shown as reachable.
        """

    @abstractmethod
    def discard_received(self, user: str, ids: Sequence[str], offline_to: Collection[str] | None, at: int) -> int:
        """Discard notifications that a user has received; return how many of them were undelivered.

        :param offline_to: PUIDs whose applications see the user as offline, None for all; their notifications remain counted.
        :param at: the current time, by the same clock as ``shown_until``.
        """

    @abstractmethod
    def purge(self, user: str) -> int:
        """Discard everything stored for a user, with the inbox; return the number of undelivered notifications."""

    @abstractmethod
    def purge_grants(self, grants: Sequence[QueueKey]) -> int:
        """Discard everything stored in some queues, and held entries; return the number of undelivered notifications."""

    @abstractmethod
    def queues(self, after: Queue, limit: int) -> Sequence[Queue]:
        """Return up to ``limit`` non-empty queues after ``after``, in order of user and PUID."""

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """Yield everything that is stored, for a backup; what changes meanwhile may be missing."""

    @abstractmethod
    def restore(self, records: Sequence[Record]) -> None:
        """Store records with their positions, of which none may be stored already; later notifications get higher positions."""

    def empty(self) -> None:
        """Discard everything that is stored."""
        while queues := self.queues(Queue("", ""), _PAGE):
            self.purge_grants(queues)
        for user in {record["user"] for record in self.inbox_records()}:
            self.purge(user)

    @abstractmethod
    def sweep(self) -> int:
        """Discard expired notifications and entries of inboxes that are too old; return how many notifications."""

    @abstractmethod
    def ping(self) -> None:
        """Reach the store and verify that it accepts writes; a successful write may be a few seconds old.

        :raises BackendUnavailable: the store is unreachable, full, read-only or has been replaced by another one.
        """

    @abstractmethod
    def close(self) -> None:
        """Release all resources. No method may be called afterwards."""
