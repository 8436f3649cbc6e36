"""Reads the feeds of a tracker in partitions: a feed has one part in each partition, and an offset is a tuple of theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import gevent

from ...errors import BackendUnavailable
from ...model import FeedEntry
from . import Tracker

Offsets = tuple[int, ...]
"""One offset for each partition."""

_MAX_FEEDS = 10_000
"""Maximum number of feeds of which this process knows the unread parts; of any other feed every part is read."""
RETRY_SECONDS = 1.0
"""Time after which a part whose server was unavailable is read again."""
PATIENCE_SECONDS = 0.5
"""Time for which a reader waits for a part. One that is read later than that follows with a signal."""
_LATE_READINGS = 2
"""Late readings of a feed that are kept for its readers, for each part."""
Entries = Sequence[FeedEntry] | BackendUnavailable | None
"""The entries that were read, an error if the server is unavailable, None if entries after the offset were deleted."""


class _Feed:
    """The unread parts of one feed, as far as this process knows.

    :ivar heads: the newest known offset of each part.
    :ivar signals: number of signals of each part.
    :ivar unread: parts that may have entries after ``heads``.
    :ivar slow: parts whose server did not answer in time when they were read last. No reader waits for them, unless all are slow.
    :ivar late: readings that no reader has waited for to the end, by part and offset.
    """

    __slots__ = ("heads", "late", "signals", "slow", "unread")

    def __init__(self, parts: int) -> None:
        self.heads = [-1] * parts
        self.signals = [0] * parts
        self.unread = set(range(parts))
        self.slow: set[int] = set()
        self.late: dict[tuple[int, int], gevent.Greenlet] = {}

    @property
    def all_slow(self) -> bool:
        """True if every part is slow."""
        return len(self.slow) == len(self.heads)

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
        """See ``Tracker.read``. A part whose server is unavailable or slow is left out; a signal follows when it may be there again.

        :raises BackendUnavailable: the servers of all parts are unavailable.
        """
        feed, reached, found = self._feed(appid), list(offsets), list[FeedEntry]()
        failed: list[BackendUnavailable] = []
        parts = self._to_read(feed, appid, offsets)
        while parts and len(found) < limit:
            asked, parts = parts[: limit - len(found)], parts[limit - len(found) :]
            share = (limit - len(found)) // len(asked)  # so that no part keeps the others from being read
            for part, entries in self._read_each(feed, appid, asked, reached, share).items():
                if entries is None:
                    return None
                if isinstance(entries, BackendUnavailable):
                    failed.append(entries)
                    feed.slow.add(part)
                    continue
                feed.slow.discard(part)
                if entries:
                    found += entries[:share]
                    reached[part] = found[-1].offset
                    parts += [part] if len(entries) >= share else []
        if failed:
            self._try_later(appid, failed)
        return found

    def _to_read(self, feed: _Feed, appid: str, offsets: Offsets) -> list[int]:
        """Return the parts that may have entries after these offsets, without those that are to be read again later."""
        parts = feed.to_read(offsets)
        if appid not in self._retried or feed.all_slow:
            return parts
        return [part for part in parts if part not in feed.slow or (part, offsets[part]) in feed.late]

    def _try_later(self, appid: str, failed: Sequence[BackendUnavailable]) -> None:
        if len(failed) == len(self._parts):
            raise failed[0]
        if appid not in self._retried:
            self._retried.add(appid)
            gevent.spawn_later(RETRY_SECONDS, self._retry, appid)

    def _retry(self, appid: str) -> None:
        self._retried.discard(appid)
        self._signal(appid)

    def _read_each(self, feed: _Feed, appid: str, parts: Sequence[int], offsets: Sequence[int], limit: int) -> dict[int, Entries]:
        """Read up to ``limit`` entries of each of these parts, or more of one that was read before; leave out those that are slow."""
        if len(parts) == 1 and parts[0] not in feed.slow:
            return self._read_one(feed, appid, parts[0], offsets[parts[0]], limit)
        readings = {part: self._reading(feed, appid, part, offsets[part], limit) for part in parts}
        waited_for = [reading for part, reading in readings.items() if part not in feed.slow]
        return self._results(feed, appid, offsets, readings, waited_for)

    def _read_one(self, feed: _Feed, appid: str, part: int, offset: int, limit: int) -> dict[int, Entries]:
        """Read one part without a greenlet of its own, which is cheaper; with one if that takes too long."""
        with gevent.Timeout(PATIENCE_SECONDS, False):
            return {part: self._read_part(feed, appid, part, offset, limit)}
        return self._results(feed, appid, {part: offset}, {part: self._reading(feed, appid, part, offset, limit)}, [])

    def _results(
        self,
        feed: _Feed,
        appid: str,
        offsets: Sequence[int] | Mapping[int, int],
        readings: Mapping[int, gevent.Greenlet],
        waited_for: Sequence[gevent.Greenlet],
    ) -> dict[int, Entries]:
        """Wait for some readings, and return the results of those that have ended; the others are kept."""
        gevent.joinall(waited_for, PATIENCE_SECONDS)
        feed.slow.update(part for part, reading in readings.items() if not reading.ready())
        if feed.all_slow:  # some may only have been slow for a moment
            gevent.wait(list(readings.values()), count=1)
            gevent.joinall(readings.values(), PATIENCE_SECONDS)
        found: dict[int, Entries] = {}
        for part, reading in readings.items():
            if reading.ready():
                found[part] = reading.get()
            else:
                self._keep(feed, appid, part, offsets[part], reading)
        return found

    def _reading(self, feed: _Feed, appid: str, part: int, offset: int, limit: int) -> gevent.Greenlet:
        """Return the greenlet that reads a part; a late one is not started twice.

        A late one that has ended may lack entries that were signalled afterwards: then another signal follows.
        """
        late = feed.late.pop((part, offset), None)
        if late is None:  # one that is done is false
            return gevent.spawn(self._read_part, feed, appid, part, offset, limit)
        if late.ready() and part in feed.unread:
            self._signal(appid)
        return late

    def _read_part(self, feed: _Feed, appid: str, part: int, offset: int, limit: int) -> Entries:
        signals = feed.signals[part]
        try:
            entries = self._parts[part].read(appid, offset, limit)
        except BackendUnavailable as error:
            return error
        if entries is not None and len(entries) < limit:
            feed.read_to_end(part, entries[-1].offset if entries else offset, signals)
        return entries

    def _keep(self, feed: _Feed, appid: str, part: int, offset: int, reading: gevent.Greenlet) -> None:
        """Keep a late reading, and have the feed read again when it is done."""
        if not reading.has_links():
            reading.link(lambda _: self._signal(appid))
        feed.late[part, offset] = reading
        if len(feed.late) > _LATE_READINGS * len(self._parts):
            del feed.late[next(iter(feed.late))]
