"""The feed of one application, in memory: the current status of each PUID, and the log of changes.

``view`` contains the newest entry of every PUID that is not revoked. The log is limited by age and by number of entries; beyond that
number only the newest entry of each PUID is stored. This leaves no gap: every deleted entry is superseded by a stored one.

An append is most of what an update costs, so it does not trim the log: that happens once a second, as ages are whole seconds, and
when there are a few entries too many, so that many are deleted at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from ...model import FeedEntry, Grant, Reason, Status

_SURPLUS = 128
"""Reciprocal of the share by which the log may exceed its number of entries."""


class Feed:
    """Entries of one application, in order of their offset; rules: docs/protocol.md, section 5.

    :param seconds: maximum age of an entry in the log.
    :param entries: number of entries beyond which only the newest of each PUID is stored.
    """

    __slots__ = ("_entries", "_floor", "_log", "_max_log", "_older", "_revoked", "_seconds", "_trimmed_in", "head", "view")

    def __init__(self, seconds: int, entries: int) -> None:
        self._seconds = seconds
        self._entries = entries
        self._max_log = entries + entries // _SURPLUS
        self._trimmed_in = -1  # the second (ms) of the last ``trim``: until it is over, no entry becomes too old
        self._log: list[FeedEntry] = []  # its offsets are contiguous and end at head
        self._older: OrderedDict[str, FeedEntry] = OrderedDict()  # the newest entries of PUIDs that are older than the log
        self._revoked: set[str] = set()  # revoked PUIDs whose last entry is still stored; no entry may follow for them
        self._floor = 0  # entries up to this offset may be missing
        self.view: dict[str, FeedEntry] = {}
        self.head = 0

    def status(self, puid: str) -> Status:
        """Return the status of a PUID as the application sees it."""
        last = self.view.get(puid)
        return last.status if last else "offline"

    def append(self, grant: Grant, status: Status, reason: Reason, now: int) -> bool:
        """Add an entry for a grant's PUID; return False if the PUID is revoked.

        :param now: milliseconds. The time of the entry is not before the grant's ``since`` or the PUID's previous entry.
        """
        puid = grant.puid
        if puid in self._revoked:
            return False
        last, log = self.view.get(puid), self._log
        now -= now % 1000
        if now == self._trimmed_in:
            now = self._trimmed_in  # one object for all entries of a second, which takes 32 bytes
        at = now if grant.since <= now else grant.since - grant.since % 1000
        if last is not None and last.at > at:
            at = last.at
        head = self.head = self.head + 1
        entry = self.view[puid] = FeedEntry(head, puid, status, at, reason)
        log.append(entry)
        if self._older:
            self._older.pop(puid, None)
        if now != self._trimmed_in or len(log) > self._max_log:
            self.trim(now)
        return True

    def revoke(self, grant: Grant, now: int) -> bool:
        """Add a last entry for a PUID (``offline``, ``revoked``) and hide its earlier ones; return False if it is already revoked."""
        if not self.append(grant, "offline", "revoked", now):
            return False
        del self.view[grant.puid]
        self._revoked.add(grant.puid)
        return True

    def after(self, offset: int, limit: int) -> Sequence[FeedEntry]:
        """Return up to ``limit`` entries after ``offset``, oldest first."""
        before = self.head - len(self._log)
        start = max(offset - before, 0)
        if not self._revoked and offset >= before:
            return self._log[start : start + limit]
        older = (entry for entry in self._older.values() if entry.offset > offset) if offset < before else ()
        return list(islice(self._live(chain(older, islice(self._log, start, None))), limit))

    def covers(self, offset: int, now: int) -> bool:
        """Return whether no entry after ``offset`` is missing; ``now`` in milliseconds."""
        if now - now % 1000 != self._trimmed_in:
            self.trim(now)
        return self._floor <= offset <= self.head

    def trim(self, now: int) -> None:
        """Delete entries beyond the limits of age and number; ``now`` in milliseconds."""
        self._trimmed_in = _second(now)
        surplus = max(len(self._log) - self._entries, 0)
        for entry in self._log[:surplus]:
            if entry.reason == "revoked" or self.view.get(entry.puid) is entry:
                self._older[entry.puid] = entry
        oldest = self._trimmed_in - self._seconds * 1000
        while self._older and (len(self._older) > self._entries + len(self.view) or next(iter(self._older.values())).at < oldest):
            self._forget(self._older.popitem(last=False)[1])
        while not self._older and surplus < len(self._log) and self._log[surplus].at < oldest:
            self._forget(self._log[surplus])
            surplus += 1
        del self._log[:surplus]

    def _live(self, entries: Iterable[FeedEntry]) -> Iterable[FeedEntry]:
        """Filter out entries before a revocation. They stay in the log until they are too old, as searching it would take too long."""
        return (entry for entry in entries if entry.reason == "revoked" or entry.puid not in self._revoked)

    def _forget(self, entry: FeedEntry) -> None:
        self._floor = entry.offset
        if entry.reason == "revoked":
            self._revoked.discard(entry.puid)


def _second(milliseconds: int) -> int:
    """Round down to the second: equal timestamps would let applications link the PUIDs of a user (docs/protocol.md, section 1)."""
    return milliseconds // 1000 * 1000
