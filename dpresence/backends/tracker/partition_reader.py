"""Reads the feeds of a tracker in partitions: a feed has one part in each partition, and an offset is a tuple of theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import gevent

from ...errors import BackendUnavailable
from ...model import FeedEntry
from . import Tracker
from .partition_calls import try_each

Offsets = tuple[int, ...]
"""One offset for each partition."""

_MAX_FEEDS = 10_000
"""Maximum number of feeds of which this process knows the unread parts; of any other feed every part is read."""
RETRY_SECONDS = 1.0
"""Time after which a part whose server was away is read again."""


class _Feed:
    """The unread parts of one feed, as far as this process knows.

    :ivar heads: the newest known offset of each part.
    :ivar signals: number of signals of each part.
    :ivar unread: parts that may have entries after ``heads``.
    """

    __slots__ = ("heads", "signals", "unread")

    def __init__(self, parts: int) -> None:
        self.heads = [-1] * parts
        self.signals = [0] * parts
        self.unread = set(range(parts))

    def to_read(self, offsets: Offsets) -> list[int]:
        """Return the parts that may have entries after these offsets."""
        behind = (part for part, (head, offset) in enumerate(zip(self.heads, offsets, strict=True)) if head > offset)
        return sorted(self.unread.union(behind))

    def read_to_end(self, part: int, head: int, signals: int) -> None:
        """Record that a part was read to its end.

        :param signals: number of its signals before it was read.
        """
        self.heads[part] = max(head, self.heads[part])
        if self.signals[part] == signals:
            self.unread.discard(part)


class PartitionReader:
    """Reads only those parts of a feed that may have new entries.

    :param parts: the trackers of the partitions.
    :param signal: signals to this process that a feed may have new entries.
    """

    def __init__(self, parts: Sequence[Tracker], signal: Callable[[str], None]) -> None:
        self._parts = parts
        self._signal = signal
        self._retried: set[str] = set()  # feeds of which a part could not be read, and whose signal is due
        self._feeds: OrderedDict[str, _Feed] = OrderedDict()

    def record_signal(self, part: int, appid: str) -> None:
        """Record that a part of a feed has a new entry."""
        if (feed := self._feeds.get(appid)) is not None:
            feed.signals[part] += 1
            feed.unread.add(part)

    def record_gap(self, part: int) -> None:
        """Record that signals of a partition may have been lost."""
        for appid in self._feeds:
            self.record_signal(part, appid)

    def _feed(self, appid: str) -> _Feed:
        if (feed := self._feeds.get(appid)) is None:
            feed = self._feeds[appid] = _Feed(len(self._parts))
            if len(self._feeds) > _MAX_FEEDS:
                self._feeds.popitem(last=False)
        return feed

    def read_now(self, appid: str, offsets: Offsets, limit: int) -> Sequence[FeedEntry] | None:
        """See ``Tracker.read_now``."""
        feed = self._feed(appid)
        found: list[FeedEntry] = []
        parts = feed.to_read(offsets)
        for part in parts:
            entries = self._parts[part].read_now(appid, offsets[part], limit)
            if entries is None or len(entries) == limit:
                return None
            found += entries
            feed.read_to_end(part, entries[-1].offset if entries else offsets[part], feed.signals[part])
        return found if len(found) < limit else None

    def read(self, appid: str, offsets: Offsets, limit: int) -> Sequence[FeedEntry] | None:
        """See ``Tracker.read``. A part whose server is away is left out; a signal follows when it may be there again.

        :raises BackendUnavailable: the servers of all parts are away.
        """
        feed, reached, found = self._feed(appid), list(offsets), list[FeedEntry]()
        failed: list[BackendUnavailable] = []
        parts = feed.to_read(offsets)
        while parts and len(found) < limit:
            asked, parts = parts[: limit - len(found)], parts[limit - len(found) :]
            share = (limit - len(found)) // len(asked)  # so that no part keeps the others from being read
            for part, entries in zip(asked, self._read_each(feed, appid, asked, reached, share), strict=True):
                if entries is None:
                    return None
                if isinstance(entries, BackendUnavailable):
                    failed.append(entries)
                elif entries:
                    found += entries
                    reached[part] = entries[-1].offset
                    parts += [part] if len(entries) == share else []
        if failed:
            self._try_later(appid, failed)
        return found

    def _try_later(self, appid: str, failed: Sequence[BackendUnavailable]) -> None:
        if len(failed) == len(self._parts):
            raise failed[0]
        if appid not in self._retried:
            self._retried.add(appid)
            gevent.spawn_later(RETRY_SECONDS, self._retry, appid)

    def _retry(self, appid: str) -> None:
        self._retried.discard(appid)
        self._signal(appid)

    def _read_each(
        self, feed: _Feed, appid: str, parts: Sequence[int], offsets: Sequence[int], limit: int
    ) -> list[Sequence[FeedEntry] | BackendUnavailable | None]:
        """Read up to ``limit`` entries of each of these parts."""

        def read(part: int) -> Sequence[FeedEntry] | None:
            signals = feed.signals[part]
            entries = self._parts[part].read(appid, offsets[part], limit)
            if entries is not None and len(entries) < limit:
                feed.read_to_end(part, entries[-1].offset if entries else offsets[part], signals)
            return entries

        return try_each(read, parts)
