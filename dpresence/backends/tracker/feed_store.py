"""Reads and deletes the feeds of a tracker, one per application, whose entries ``Tracker`` appends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from ...model import FeedEntry, Grant, Offset

DROPPED_SECONDS = 600
"""Seconds for which a dropped feed cannot be created again; within this time every process learns that the grants were deleted."""


class FeedStore(ABC):
    """The feeds of a tracker. Every method may raise ``BackendUnavailable`` and then changes nothing."""

    @abstractmethod
    def head(self, appid: str) -> Offset:
        """Return the offset after the newest entry of a feed."""

    @abstractmethod
    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, FeedEntry]:
        """Return the newest entries of some PUIDs. A PUID without an entry has been ``offline`` since ``remembers_since``.

        What was read after ``head`` is brought to one moment by the entries that follow that offset.
        """

    @abstractmethod
    def latest_of(self, user: str, grants: Sequence[tuple[str, str]]) -> dict[str, FeedEntry]:
        """Return the newest entries of a user, by PUID. Only what holds the user is asked.

        :param grants: application and PUID of each grant.
        """

    def latest_of_grants(self, appid: str, grants: Sequence[Grant], allow_missing: bool = False) -> dict[str, FeedEntry]:
        """Return the newest entries of an application's grants, by PUID. Only what holds their users is asked.

        :param allow_missing: leave out the users whose part is unavailable, unless all are.
        """
        return self.latest(appid, [grant.puid for grant in grants])

    @abstractmethod
    def view(self, appid: str) -> Iterator[Mapping[str, FeedEntry]]:
        """Return the newest entry of each PUID, in pages that are read one after the other, in no order.

        A PUID that is there all the time is in one page at least; the entries of two pages may be of different moments. Where a part is
        unavailable, ``BackendUnavailable`` follows the pages of the others.
        """

    @abstractmethod
    def read(self, appid: str, offset: Offset, limit: int) -> Sequence[FeedEntry] | None:
        """Return up to ``limit`` entries after ``offset``, those of a PUID oldest first; None if the log no longer covers that offset.

        Fewer than ``limit`` entries are all that there are.
        """

    @abstractmethod
    def read_now(self, appid: str, offset: Offset, limit: int) -> Sequence[FeedEntry] | None:
        """Return entries as ``read`` does, without waiting; None if only ``read`` knows the answer.

        Listeners of the signal ``feed`` call this, at the latest in a callback that they add to the event loop. Anybody else may miss
        entries whose signal is on its way.
        """

    def advance(self, offset: Offset, entries: Sequence[FeedEntry]) -> Offset:
        """Return the offset of a reader who was at ``offset`` and has read these entries, one or more."""
        return entries[-1].offset

    def reached(self, offset: Offset, entry: FeedEntry) -> bool:
        """Return whether a reader at this offset has read an entry."""
        return bool(entry.offset <= offset)

    def length(self, offset: Offset) -> int:
        """Return how many entries precede an offset, since the feed was created."""
        return int(offset)

    @abstractmethod
    def cursor(self, offset: Offset) -> str:
        """Return the wire form of an offset, which is opaque to applications."""

    @abstractmethod
    def offset(self, appid: str, cursor: str) -> Offset | None:
        """Return the offset of a cursor if the log still covers it; otherwise, or if the text is not a cursor, None."""

    @abstractmethod
    def assumed_offset(self, cursor: str) -> Offset | None:
        """Return the offset of a cursor without asking the store whether the log covers it; None if the text is not a cursor."""

    @abstractmethod
    def applications(self, after: str, limit: int, allow_missing: bool = False) -> Sequence[str]:
        """Return up to ``limit`` ids of applications that have a feed, greater than ``after``, in order.

        :param allow_missing: leave out the parts that are unavailable, unless all are.
        """

    @abstractmethod
    def rebuilt(self, appid: str) -> None:
        """Make a ``damaged`` feed readable again, after every PUID has been added to it again."""

    @abstractmethod
    def trim(self, appid: str) -> bool:
        """Delete entries of a feed's log that are too old; return whether more may remain, as one call deletes a bounded number.

        Parts that are unavailable are left out, unless all are.
        """

    @abstractmethod
    def drop(self, appid: str) -> None:
        """Delete the feed of a deleted application. For ``DROPPED_SECONDS`` a late change cannot create it again.

        :raises BackendUnavailable: a part is unavailable; those that are not were deleted.
        """
