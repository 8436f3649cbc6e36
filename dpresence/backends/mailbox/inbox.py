"""The inbox: the notifications that a person has received or would have received, for some days, with their read state.

It is separate from the queues of undelivered notifications: an acknowledgement, an expiry or a revoked grant changes a queue, and only the
person, its age and its limit change the inbox. ``Mailbox.enqueue`` stores a notification in both, in one step. The step does the same work
whatever the inbox contains, so that its duration reveals nothing about the person; excess entries are deleted later, by ``trim``.

An entry whose delivery waits, because its grant is paused, is *held*: it is not shown and not counted until ``release``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Any, NamedTuple, TypedDict

from ...model import Notification

DAY_MS = 86_400_000
_LOADED = 500
"""Records that are stored in one step."""


@dataclass(frozen=True, slots=True)
class InboxLimits:
    """Limits of each inbox.

    :param days: age at which an entry is deleted; 0 stores none.
    :param entries: maximum number of entries of a person.
    :param held: maximum number of held entries of one grant, as many as a queue may hold.
    """

    days: int = 7
    entries: int = 200
    held: int = 100

    @property
    def age_ms(self) -> int:
        """Age at which an entry is deleted, milliseconds."""
        return self.days * DAY_MS


class InboxEntry(NamedTuple):
    """An entry of an inbox.

    :param position: microseconds since the epoch at which it was stored or released; strictly increasing for each user.
    :param domain: the application's validated domain when the notification was stored.
    """

    position: int
    notification: Notification
    domain: str
    read: bool


class InboxRecord(TypedDict):
    """Everything that is stored of one entry, in the form of a backup.

    :ivar notification: the fields of ``Notification``.
    :ivar held_until: when a held entry expires, milliseconds by the clock of the store; None if it is not held.
    """

    user: str
    position: int
    notification: dict[str, Any]
    domain: str
    read: bool
    held_until: int | None


class Inbox(ABC):
    """Part of ``Mailbox``. Every method may raise ``BackendUnavailable``. Entries beyond the limits are never returned."""

    @abstractmethod
    def inbox(self, user: str, before: int | None, limit: int) -> Sequence[InboxEntry]:
        """Return up to ``limit`` entries with a position before ``before``, newest first; fewer only at the end.

        :param before: None for the newest.
        """

    @abstractmethod
    def unread(self, user: str) -> int:
        """Return the number of unread entries."""

    @abstractmethod
    def unread_ids(self, user: str, ids: Sequence[str]) -> set[str]:
        """Return the subset of ``ids``, up to 100, that are unread; entries that are held are."""

    @abstractmethod
    def mark_read(self, user: str, ids: Sequence[str]) -> int:
        """Mark entries as read; return how many were unread."""

    @abstractmethod
    def mark_read_until(self, user: str, id_: str) -> int:
        """Mark an entry and all older ones as read; return how many were unread. Without such an entry none are."""

    @abstractmethod
    def remove_entry(self, user: str, id_: str) -> bool:
        """Delete an entry; return whether there was one. A held entry does not count as one."""

    @abstractmethod
    def clear_inbox(self, user: str) -> int:
        """Delete all entries that are not held; return how many."""

    @abstractmethod
    def release(self, queues: Sequence[tuple[str, str]]) -> None:
        """Show the held entries of grants, as the newest ones; delete those that have expired or exceed ``held``.

        :param queues: user and PUID of each grant.
        """

    @abstractmethod
    def trim(self, queues: Sequence[tuple[str, str]]) -> None:
        """Delete entries that exceed the limits.

        :param queues: user and PUID of what was stored.
        """

    @abstractmethod
    def inbox_records(self) -> Iterator[InboxRecord]:
        """Yield everything that is stored, for a backup; what changes meanwhile may be missing."""

    @abstractmethod
    def restore_inbox(self, records: Sequence[InboxRecord]) -> None:
        """Store records with their positions; none of them may be stored already."""

    def move_inbox(self, user: str, into: str) -> int:
        """Add the entries of a user that are not held to the inbox of another user; return how many. It may be repeated.

        The caller purges the inbox of the first user afterwards.
        """
        there = {entry.notification.id: entry.position for entry in self._entries(into)}
        taken, moved, position = set(there.values()), list[InboxRecord](), 2**63
        for entry in self._entries(user):
            if entry.notification.id not in there:
                position = next(each for each in count(min(entry.position, position - 1), -1) if each not in taken)
                moved.append(_record(into, entry, position))
        self.load_inboxes(moved)
        self.trim([(into, "")])
        return len(moved)

    def _entries(self, user: str) -> Iterator[InboxEntry]:
        before: int | None = None
        while page := self.inbox(user, before, _LOADED):
            yield from page
            before = page[-1].position

    def load_inboxes(self, records: Iterable[InboxRecord]) -> int:
        """Store any number of records; return how many."""
        left, total = iter(records), 0
        while some := list(islice(left, _LOADED)):
            self.restore_inbox(some)
            total += len(some)
        return total


def _record(user: str, entry: InboxEntry, position: int) -> InboxRecord:
    content = asdict(entry.notification)
    return InboxRecord(user=user, position=position, notification=content, domain=entry.domain, read=entry.read, held_until=None)
