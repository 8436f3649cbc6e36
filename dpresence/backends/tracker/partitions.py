"""A tracker in partitions. Each partition is a tracker of its own, for a part of the users, and may be at a server of its own.

A user's devices, merge and feed entries are in the partition that the CRC-32 of the user's id names (``partition_of``), so every change
remains one step of one partition. The feed of an application has a part in each partition: entries of one PUID are in order, those of
several PUIDs need not be. An offset is the tuple of the offsets of the parts. A partition whose server is unavailable refuses the calls
for its users; the others go on.

A tracker of one partition, whose cursors are those of its feeds, may be split. Offsets from before have one part, and are not covered.
"""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from heapq import merge
from itertools import islice

from ...measures import StoreMeasures
from ...model import ERASED, Device, DirectoryVersion, FeedEntry, Grant, GrantSet, Status
from . import Connected, Listener, Lost, PublishedCounts, Topic, Tracker, Updated
from .cursors import encode_part, join_cursor, split_cursor
from .partition_calls import (
    assumed_offset,
    call_all,
    call_first,
    call_present,
    chain_present,
    covered_offset,
    partition_of,
    revoke_where_shown,
)
from .partition_reader import Offsets, PartitionReader
from .relocation import Relocation


class PartitionedTracker(Tracker):
    """See ``Tracker``.

    :param parts: the tracker of each partition, in the order of their numbers; how many there are changes only by a split.
    :param partition_of_offset: returns the partition of an entry by its offset.
    :param follow: lets each part continue at the server where its partition is now, and returns all parts if there are more of them;
        raises ``BackendUnavailable`` and ``SettingError``.
    """

    is_remote = True

    def __init__(
        self,
        parts: Sequence[Tracker],
        partition_of_offset: Callable[[int], int],
        follow: Callable[[], Sequence[Tracker] | None] = lambda: None,
    ) -> None:
        self._partition_of_offset = partition_of_offset
        self._listeners: list[Listener] = []
        self._is_read_predicates: list[Callable[[str], bool]] = []
        self._follow = follow
        self._relocation = Relocation(self._follow_directory)
        self._use(parts)

    def _use(self, parts: Sequence[Tracker]) -> None:
        self._reader = PartitionReader(parts, partial(self._notify, "feed"))
        self._encoded: Offsets = (-1,) * len(parts)  # the offset of the last cursor, and of each part of it the epoch and the text
        self._encoded_epochs, self._texts = [""] * len(parts), [""] * len(parts)
        self._parts = parts
        self._first = parts[0]  # has what belongs to no user
        for number, part in enumerate(parts):
            part.subscribe(partial(self._on_signal, number), self._reads)

    def _follow_directory(self) -> None:
        if (parts := self._follow()) is not None:
            self._use(parts)
            self._notify("missed", "")

    def _part(self, key: str) -> Tracker:
        return self._parts[partition_of(key, len(self._parts))]

    @property
    def measures(self) -> Sequence[StoreMeasures]:  # type: ignore[override]
        """Counts of the calls to each server."""
        return list(dict.fromkeys(measures for part in self._parts for measures in part.measures))

    @property
    def remembers_since(self) -> int:  # type: ignore[override]
        return max(part.remembers_since for part in self._parts)

    @property
    def epoch(self) -> str:  # type: ignore[override]
        return join_cursor(self._epochs, ()) if len(self._parts) > 1 else self._first.epoch

    @property
    def _epochs(self) -> tuple[str, ...]:
        return tuple(part.epoch for part in self._parts)

    # -- signals

    def subscribe(self, listener: Listener, reads: Callable[[str], bool] = lambda appid: False) -> None:
        self._is_read_predicates.append(reads)
        self._listeners.append(listener)

    def _reads(self, appid: str) -> bool:
        return True in [is_read(appid) for is_read in self._is_read_predicates]  # a generator takes 0.2 us more for each grant of an update

    def _notify(self, topic: Topic, key: str) -> None:
        for listener in self._listeners:
            listener(topic, key)

    def _on_signal(self, number: int, topic: Topic, key: str) -> None:
        if topic == "feed":
            self._reader.record_signal(number, key)
        elif topic in ("missed", "forgotten"):
            self._reader.record_gap(number)
        elif topic == "moved":
            self._relocation.request()
            return
        self._notify(topic, key)

    def signal(self, topic: Topic, key: str) -> None:
        self._part(key.partition(" ")[0]).signal(topic, key)

    # -- devices

    def connect(
        self, user: str, device: str | None, connection: str, status: Status, grants: GrantSet, limit: int, sign_in_revision: int
    ) -> Connected:
        return self._part(user).connect(user, device, connection, status, grants, limit, sign_in_revision)

    def update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, sign_in_revision: int = 0) -> bool:
        return self._part(user).update(user, device, connection, status, grants, sign_in_revision)

    def begin_update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, done: Updated) -> None:
        self._part(user).begin_update(user, device, connection, status, grants, done)

    def apply_override(self, user: str, grants: GrantSet) -> None:
        self._part(user).apply_override(user, grants)

    def leave(self, user: str, device: str, connection: str) -> None:
        self._part(user).leave(user, device, connection)

    def remove(self, user: str, device: str, grants: GrantSet, before_revision: int = ERASED, connection: str = "") -> bool:
        return self._part(user).remove(user, device, grants, before_revision, connection)

    def remove_all(self, user: str, grants: GrantSet, before_revision: int = ERASED) -> None:
        self._part(user).remove_all(user, grants, before_revision)

    def signed_out(self, user: str, device: str, connection: str, sign_in_revision: int) -> bool:
        return self._part(user).signed_out(user, device, connection, sign_in_revision)

    def due(self) -> Sequence[str]:
        return [user for users in call_present(lambda part: part.due(), self._parts) for user in users]

    def expire(self, user: str, grants: GrantSet) -> Lost:
        return self._part(user).expire(user, grants)

    def renew(self) -> None:
        self._relocation.request()  # a signal may have been lost
        call_present(lambda part: part.renew(), self._parts)

    def devices(self, user: str) -> Sequence[Device]:
        return self._part(user).devices(user)

    def status(self, user: str) -> Status:
        return self._part(user).status(user)

    def sent_status(self, user: str) -> Status:
        return self._part(user).sent_status(user)

    # -- the rate of a user's changes

    def charge(self, user: str) -> float:
        return self._part(user).charge(user)

    def postponed(self) -> Sequence[str]:
        return [user for users in call_present(lambda part: part.postponed(), self._parts) for user in users]

    def append_postponed(self, user: str, grants: GrantSet) -> None:
        self._part(user).append_postponed(user, grants)

    # -- feeds

    def append_grant(self, grant: Grant, revision: int) -> None:
        self._part(grant.user).append_grant(grant, revision)

    def append_revocation(self, grant: Grant, revision: int = 0) -> None:
        if grant.user:
            self._part(grant.user).append_revocation(grant, revision)
        else:
            revoke_where_shown(grant, self._parts)

    def append_current_status(self, grant: Grant, revision: int) -> None:
        self._part(grant.user).append_current_status(grant, revision)

    def forget_revision(self, user: str) -> None:
        self._part(user).forget_revision(user)

    def head(self, appid: str) -> Offsets:
        return tuple(call_all(lambda part: part.head(appid), self._parts))

    def view(self, appid: str) -> Iterator[Mapping[str, FeedEntry]]:
        return chain_present(lambda part: part.view(appid), self._parts)

    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, FeedEntry]:
        found: dict[str, FeedEntry] = {}
        for entries in call_all(lambda part: part.latest(appid, puids), self._parts):
            found |= entries
        return found

    def latest_of(self, user: str, grants: Sequence[tuple[str, str]]) -> dict[str, FeedEntry]:
        return self._part(user).latest_of(user, grants)

    def latest_of_grants(self, appid: str, grants: Sequence[Grant], allow_missing: bool = False) -> dict[str, FeedEntry]:
        asked: dict[Tracker, list[str]] = {}
        for grant in grants:
            asked.setdefault(self._part(grant.user), []).append(grant.puid)
        found: dict[str, FeedEntry] = {}
        for entries in (call_present if allow_missing else call_all)(lambda item: item[0].latest(appid, item[1]), list(asked.items())):
            found |= entries
        return found

    def read(self, appid: str, offset: Offsets, limit: int) -> Sequence[FeedEntry] | None:
        if len(self._parts) == 1:
            return self._first.read(appid, offset[0], limit)
        return self._reader.read(appid, offset, limit) if len(offset) > 1 else None

    def read_now(self, appid: str, offset: Offsets, limit: int) -> Sequence[FeedEntry] | None:
        if len(self._parts) == 1:
            return self._first.read_now(appid, offset[0], limit)
        return self._reader.read_now(appid, offset, limit) if len(offset) > 1 else None

    def advance(self, offset: Offsets, entries: Sequence[FeedEntry]) -> Offsets:
        reached = list(offset)
        for entry in entries:  # the last one of each part remains
            reached[self._partition_of_offset(entry.offset)] = entry.offset
        return tuple(reached)

    def reached(self, offset: Offsets, entry: FeedEntry) -> bool:
        return len(offset) == len(self._parts) and entry.offset <= offset[self._partition_of_offset(entry.offset)]

    def length(self, offset: Offsets) -> int:
        return sum(part.length(one) for part, one in zip(self._parts, offset, strict=False))

    def cursor(self, offset: Offsets) -> str:
        if len(offset) == 1:
            return self._first.cursor(offset[0])
        if offset != self._encoded:
            for number, (one, before) in enumerate(zip(offset, self._encoded, strict=True)):
                if one != before:  # most parts are where they were in the frame before
                    self._encoded_epochs[number], self._texts[number] = encode_part(self._parts[number].cursor(one))
            self._encoded = offset
        return join_cursor(tuple(self._encoded_epochs), self._texts)

    def offset(self, appid: str, cursor: str) -> Offsets | None:
        """Return the offset of a cursor; a part whose server is unavailable is taken as covered until it is read."""
        cursors = split_cursor(cursor, self._epochs)
        return covered_offset(appid, self._parts, cursors) if cursors else None

    def assumed_offset(self, cursor: str) -> Offsets | None:
        cursors = split_cursor(cursor, self._epochs)
        return assumed_offset(self._parts, cursors) if cursors else None

    def applications(self, after: str, limit: int, allow_missing: bool = False) -> Sequence[str]:
        lists = (call_present if allow_missing else call_all)(lambda part: part.applications(after, limit), self._parts)
        return list(islice(dict.fromkeys(merge(*lists)), limit))

    def rebuilt(self, appid: str) -> None:
        call_all(lambda part: part.rebuilt(appid), self._parts)

    def trim(self, appid: str) -> bool:
        return any(call_present(lambda part: part.trim(appid), self._parts))

    def drop(self, appid: str) -> None:
        call_all(lambda part: part.drop(appid), self._parts)

    # -- between processes

    def publish(self, report: str, counts: Mapping[str, float]) -> None:
        self._first.publish(report, counts)

    def published(self) -> PublishedCounts:
        return self._first.published()

    def claim(self, task: str, seconds: float) -> bool:
        return call_first(lambda part: part.claim(task, seconds), self._parts, self._part(task))

    # -- the tracker as a whole

    def record_version(self, version: DirectoryVersion) -> bool:
        return all(call_present(lambda part: part.record_version(version), self._parts))

    def reset(self) -> None:
        call_all(lambda part: part.reset(), self._parts)

    def ping(self) -> None:
        call_all(lambda part: part.ping(), self._parts)

    def close(self) -> None:
        self._relocation.stop()
        for part in self._parts:
            part.close()
