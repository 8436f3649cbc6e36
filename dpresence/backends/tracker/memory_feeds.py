"""The feeds of the in-memory tracker."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import islice

from ...clock import Clock
from ...model import DirectoryVersion, FeedEntry, Grant, Reason, Status
from ...settings import PresenceSettings
from . import DROPPED_SECONDS
from .cursors import offset_of
from .feed import Feed
from .memory_signals import MemorySignals

_VIEW_ENTRIES = 500
"""Entries in a page of ``view``."""


class MemoryFeeds(MemorySignals):
    """One feed per application; ``MemoryTracker`` decides which entries are added."""

    def __init__(self, settings: PresenceSettings, clock: Clock) -> None:
        super().__init__(clock)
        self._settings = settings
        self.epoch = secrets.token_hex(8)
        self._feeds: dict[str, Feed] = {}
        self._dropped: OrderedDict[str, float] = OrderedDict()  # application -> time until which its feed stays deleted, ascending

    def head(self, appid: str) -> int:
        return self._feed(appid).head

    def view(self, appid: str) -> Iterator[Mapping[str, FeedEntry]]:
        view = self._feed(appid).view
        puids = iter(list(view))  # the view changes between two pages
        while page := list(islice(puids, _VIEW_ENTRIES)):
            yield {puid: view[puid] for puid in page if puid in view}

    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, FeedEntry]:
        view = self._feed(appid).view
        return {puid: view[puid] for puid in puids if puid in view}

    def latest_of(self, user: str, grants: Sequence[tuple[str, str]]) -> dict[str, FeedEntry]:
        return {puid: entry for appid, puid in grants for entry in self.latest(appid, [puid]).values()}

    def read(self, appid: str, offset: int, limit: int) -> Sequence[FeedEntry] | None:
        feed = self._feeds.get(appid) or self._feed(appid)
        return feed.after(offset, limit) if feed.covers(offset, self._clock.steady.second(self._clock.monotonic())) else None

    def read_now(self, appid: str, offset: int, limit: int) -> Sequence[FeedEntry] | None:
        return self.read(appid, offset, limit)

    def cursor(self, offset: int) -> str:
        return f"{self.epoch}:{offset}"

    def offset(self, appid: str, cursor: str) -> int | None:
        offset = self.assumed_offset(cursor)
        return offset if offset is not None and self._feed(appid).covers(offset, self._clock.steady.now()) else None

    def assumed_offset(self, cursor: str) -> int | None:
        return offset_of(cursor, self.epoch)

    def applications(self, after: str, limit: int, allow_missing: bool = False) -> Sequence[str]:
        return nsmallest(limit, (appid for appid in self._feeds if appid > after))

    def record_version(self, version: DirectoryVersion) -> bool:
        """Return True: no data here is older than this process, which has used one directory throughout."""
        return True

    def reset(self) -> None:
        """Do nothing: see ``record_version``."""

    def rebuilt(self, appid: str) -> None:
        """Do nothing: feeds in memory are never damaged."""

    def trim(self, appid: str) -> bool:
        self._feed(appid).trim(self._clock.steady.now())
        return False

    def drop(self, appid: str) -> None:
        self._feeds.pop(appid, None)
        self._dropped.pop(appid, None)
        self._dropped[appid] = self._clock.monotonic() + DROPPED_SECONDS
        while self._dropped and next(iter(self._dropped.values())) <= self._clock.monotonic():
            self._dropped.popitem(last=False)

    def close(self) -> None:
        """Delete all feeds and listeners."""
        self._feeds.clear()
        self._dropped.clear()
        self._listeners.clear()

    def _feed(self, appid: str) -> Feed:
        """Return an application's feed for reading; a feed without entries is not stored."""
        return self._feeds.get(appid) or Feed(self._settings.feed_seconds, self._settings.feed_entries)

    def _stored_feed(self, appid: str) -> Feed:
        feed = self._feeds[appid] = self._feed(appid)
        return feed

    def _was_dropped(self, appid: str) -> bool:
        """Return whether a feed was dropped within ``DROPPED_SECONDS``."""
        return appid in self._dropped and self._dropped[appid] > self._clock.monotonic()

    def _is_change(self, grant: Grant, status: Status) -> bool:
        """Return whether the application sees another status; a pause or resume may already have shown it this one."""
        feed = self._feeds.get(grant.appid)
        return status != (feed.status(grant.puid) if feed else "offline")

    def _append(self, feed: Feed | None, grant: Grant, status: Status, reason: Reason, now: int) -> None:
        """Append a status to the feed of a grant, and signal this to the application.

        :param feed: the feed, None if it is not stored yet.
        :param now: milliseconds.
        """
        appid = grant.appid
        if self._dropped and self._was_dropped(appid):
            return
        if feed is None:
            feed = self._stored_feed(appid)
        if feed.append(grant, status, reason, now):
            for listener in self._listeners:  # as ``signal``
                listener("feed", appid)
