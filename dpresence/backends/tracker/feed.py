"""The feed of one application, in memory: what each PUID looks like now, and how it came to that.

``view`` is the present, the newest entry of every live PUID. The log behind it is bounded by age and by number; beyond the
number only the newest entry of each PUID stays, which leaves no hole: what is gone was overtaken by what is kept.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from ...model import Grant, Reason, Status, Update


class Feed:
    """Entries of one application, in order of their offset; rules: docs/protocol.md, section 5.

    :param seconds: how long an entry is kept in the log.
    :param entries: how many are kept before only the newest of each PUID stays.
    """

    __slots__ = ("_dead", "_entries", "_floor", "_kept", "_log", "_seconds", "head", "view")

    def __init__(self, seconds: int, entries: int) -> None:
        self._seconds = seconds
        self._entries = entries
        self._log: deque[Update] = deque()  # its offsets have no gap and end at head
        self._kept: OrderedDict[str, Update] = OrderedDict()  # older than the log, each the last of its PUID
        self._dead: set[str] = set()  # revoked PUIDs whose last entry is still there; nothing may follow for them
        self._floor = 0  # an entry at or below it may be missing
        self.view: dict[str, Update] = {}
        self.head = 0

    def status(self, puid: str) -> Status:
        """Return what the application thinks a PUID is."""
        last = self.view.get(puid)
        return last.status if last else "offline"

    def append(self, grant: Grant, status: Status, reason: Reason, now: int) -> bool:
        """Add an entry for a grant's PUID; False when that is dead.

        :param now: milliseconds. The entry lies neither before the grant nor before the PUID's last one.
        """
        if grant.puid in self._dead:
            return False
        last = self.view.get(grant.puid)
        at = _second(max(now, grant.since, last.at if last else 0))
        self.head += 1
        entry = self.view[grant.puid] = Update(self.head, grant.puid, status, at, reason)
        self._log.append(entry)
        self._kept.pop(grant.puid, None)
        self.trim(now)
        return True

    def bury(self, grant: Grant, now: int) -> bool:
        """Make a PUID's last entry its only one: ``offline``, ``revoked``; False when it is dead already."""
        if not self.append(grant, "offline", "revoked", now):
            return False
        del self.view[grant.puid]
        self._dead.add(grant.puid)
        return True

    def after(self, offset: int, limit: int) -> Sequence[Update]:
        """Return up to ``limit`` entries after ``offset``, oldest first."""
        before = self.head - len(self._log)
        older = (entry for entry in self._kept.values() if entry.offset > offset) if offset < before else ()
        recent = (self._log[index] for index in range(max(offset - before, 0), len(self._log)))
        return list(islice(self._live(chain(older, recent)), limit))

    def covers(self, offset: int, now: int) -> bool:
        """Return whether nothing after ``offset`` is missing; ``now`` in milliseconds."""
        self.trim(now)
        return self._floor <= offset <= self.head

    def trim(self, now: int) -> None:
        """Take out what is too old, or too much; ``now`` in milliseconds."""
        while len(self._log) > self._entries:
            entry = self._log.popleft()
            if entry.reason == "revoked" or self.view.get(entry.puid) is entry:
                self._kept[entry.puid] = entry
        oldest = _second(now) - self._seconds * 1000
        while self._kept and (len(self._kept) > self._entries + len(self.view) or next(iter(self._kept.values())).at < oldest):
            self._forget(self._kept.popitem(last=False)[1])
        while not self._kept and self._log and self._log[0].at < oldest:
            self._forget(self._log.popleft())

    def _live(self, entries: Iterable[Update]) -> Iterable[Update]:
        """Leave out what came before a revocation; it goes with its time, to search the log for it would take too long."""
        return (entry for entry in entries if entry.reason == "revoked" or entry.puid not in self._dead)

    def _forget(self, entry: Update) -> None:
        self._floor = entry.offset
        if entry.reason == "revoked":
            self._dead.discard(entry.puid)


def _second(milliseconds: int) -> int:
    """Round down to the second: equal instants would link the PUIDs of a user (docs/protocol.md, section 1)."""
    return milliseconds // 1000 * 1000
