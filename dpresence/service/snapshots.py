"""Snapshots of feeds, read page by page, and continued by another connection (docs/protocol.md, section 5; decision 0058).

The offset is taken first. Each page then shows what its users are at the time when it is read, and the updates after the offset bring
all pages to one moment. So nothing but one page and the position is in memory, however many users there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import BackendUnavailable
from ..messages import MAX_ENTRIES, Snapshot, or_unset
from ..model import Application, Offset
from .feeds import Feeds

_RESUME = re.compile(r"(?P<cursor>.*)~(?P<after>[A-Za-z0-9_-]{1,64})", re.ASCII)
"""A cursor in the middle of a snapshot: that of its offset, and the last PUID that was sent. Earlier versions do not know it."""


@dataclass(frozen=True, slots=True)
class SnapshotPosition:
    """A place in a snapshot.

    :param offset: offset after which updates follow the snapshot.
    :param after: the last PUID that was sent, "" at the start.
    """

    offset: Offset
    after: str = ""


class Snapshots:
    """Reads snapshots.

    :ivar entries: maximum number of entries in a frame.
    """

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self.entries = MAX_ENTRIES

    def offset(self, appid: str, cursor: str) -> Offset | None:
        """Return the offset after which the updates of a cursor follow; None if a snapshot is needed, or is unfinished."""
        return self._feeds.offset(appid, cursor)

    def begin(self, application: Application) -> SnapshotPosition:
        """Return the position at the start of a new snapshot."""
        return SnapshotPosition(self._feeds.head(application.id))

    def resumed(self, appid: str, cursor: str) -> SnapshotPosition | None:
        """Return the position of a cursor in the middle of a snapshot; None if it is another cursor or cannot be continued."""
        found = _RESUME.fullmatch(cursor)
        offset = self._feeds.offset(appid, found["cursor"]) if found else None
        return SnapshotPosition(offset, found["after"]) if found and offset is not None else None

    def resume_cursor(self, position: SnapshotPosition) -> str:
        """Return the cursor of a position after at least one page."""
        return f"{self._feeds.cursor(position.offset)}~{position.after}"

    def _page(self, application: Application, position: SnapshotPosition, limit: int) -> tuple[Snapshot, SnapshotPosition]:
        """Return the frame with the next page, and the position after it. The last page may be empty."""
        entries, after = self._feeds.page(application.id, position.after, limit)
        if after is not None:
            reached = replace(position, after=after)
            return Snapshot(entries, last=False, resume=self.resume_cursor(reached)), reached
        cursor = self._feeds.cursor(position.offset)
        if self._feeds.offset(application.id, cursor) is None:  # asked last: the store may have lost its data since the first page
            raise BackendUnavailable
        return Snapshot(entries, last=True, cursor=cursor), position

    def frames(self, application: Application, position: SnapshotPosition, limit: int | None = None) -> Iterator[Snapshot]:
        """Return the frames after a position, one or more; each is read when it is asked for.

        :param limit: maximum number of entries in a frame, ``entries`` if None.
        :raises BackendUnavailable: the updates since the start of the snapshot were deleted, so the next one begins anew.
        """
        most = limit or self.entries
        frame, reached = self._page(application, position, most)
        frame.continued = or_unset(True if position.after else None)
        yield frame
        while not frame.last:
            frame, reached = self._page(application, reached, most)
            yield frame
