"""The inboxes in Redis. ``lua/inbox.lua`` executes their operations, each on a bounded number of entries."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec

from ....model import Notification
from ..inbox import Inbox, InboxEntry, InboxLimits, InboxRecord

T = TypeVar("T")

MAX_PER_OPERATION = 100
"""Notifications handled in one step."""


class RedisInbox(Inbox):
    """The part of ``RedisMailbox`` that reads and changes inboxes."""

    limits: InboxLimits

    def _call(self, name: str, users: Collection[str], *arguments: Any) -> Any:
        raise NotImplementedError

    def _repeat(self, name: str, users: Collection[str], *arguments: Any) -> int:
        raise NotImplementedError

    def inbox(self, user: str, before: int | None, limit: int) -> Sequence[InboxEntry]:
        found: list[InboxEntry] = []
        while len(found) < limit:
            wanted = min(limit - len(found), MAX_PER_OPERATION)
            page = self._call("inbox", (), user, before or 0, wanted, self.limits.age_ms, self.limits.entries)
            found += [InboxEntry(position, notification_of(text), domain, not unread) for position, domain, text, unread in page]
            if len(page) < wanted:
                break
            before = found[-1].position
        return found

    def unread(self, user: str) -> int:
        count: int = self._call("unread", (), user, self.limits.age_ms, self.limits.entries)
        return count

    def unread_ids(self, user: str, ids: Sequence[str]) -> set[str]:
        return set(self._call("unread_ids", (), user, list(ids)))

    def mark_read(self, user: str, ids: Sequence[str]) -> int:
        return sum(self._call("mark_read", (), user, some) for some in slices(ids))

    def mark_read_until(self, user: str, id_: str) -> int:
        count: int = self._call("mark_read_until", (), user, id_)
        return count

    def remove_entry(self, user: str, id_: str) -> bool:
        return bool(self._call("remove_entry", (), user, id_))

    def clear_inbox(self, user: str) -> int:
        return self._repeat("clear_inbox", (), user)

    def release(self, queues: Sequence[tuple[str, str]]) -> None:
        for some in slices(list(queues)):
            for index in self._call("holding", (), [puid for _, puid in some]):
                self._repeat("release", (), *some[index], self.limits.held)

    def trim(self, queues: Sequence[tuple[str, str]]) -> None:
        left = list(queues)
        while left:
            left = left[self._call("trim", (), left[:MAX_PER_OPERATION], self.limits.entries, self.limits.held) :]

    def inbox_records(self) -> Iterator[InboxRecord]:
        last = ["", ""]
        while users := self._call("inbox_users", (), *last):
            for user in users[::2]:
                yield from self._shown_records(user)
            last = users[-2:]
        yield from self._held_records()

    def _shown_records(self, user: str) -> Iterator[InboxRecord]:
        after, found = self._call("inbox_records", (), user, "-inf")
        while after:
            yield from map(_record, found)
            after, found = self._call("inbox_records", (), user, after)

    def _held_records(self) -> Iterator[InboxRecord]:
        names, found = self._call("held_records", (), "", "")
        while names:
            yield from map(_record, found)
            names, found = self._call("held_records", (), *names[-2:])

    def restore_inbox(self, records: Sequence[InboxRecord]) -> None:
        for some in slices(records):
            self._call("restore_inbox", (), [_item(one) for one in some])


def _record(entry: Sequence[Any]) -> InboxRecord:
    user, position, text, domain, read, held_until = entry
    content = asdict(notification_of(text))
    return InboxRecord(user=user, position=position, notification=content, domain=domain, read=bool(read), held_until=held_until or None)


def _item(one: InboxRecord) -> tuple[Any, ...]:
    content, text = one["notification"], msgspec.json.encode(one["notification"]).decode()
    return one["user"], content["puid"], content["id"], one["position"], text, one["domain"], one["read"], one["held_until"] or 0


def slices(items: Sequence[T], size: int = MAX_PER_OPERATION) -> list[Sequence[T]]:
    """Return the items in groups of ``size``."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def notification_of(text: str) -> Notification:
    """Decode a stored notification: an object, or a list of fields as written by an earlier version."""
    stored = msgspec.json.decode(text)
    return Notification(*stored[:7]) if isinstance(stored, list) else msgspec.convert(stored, Notification)
