"""Calls the listeners of a tracker in Redis, and stores new entries of feeds until the listeners have read them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

import gevent

from ...model import FeedEntry
from . import Listener, Topic

log = logging.getLogger(__name__)


class NewEntries:
    """The newest entries of some feeds, as far as the answers of the server contain them.

    They are deleted in the iteration of the event loop in which they arrive, after the listeners have read them. So a change by another
    process, such as the revocation of a PUID, need not be applied to them.
    """

    def __init__(self) -> None:
        self._feeds: dict[str, list[FeedEntry]] = {}  # without a gap in the offsets; empty: newer entries exist that are not known

    def add(self, appid: str, entries: list[FeedEntry]) -> list[FeedEntry]:
        """Add the entries of one signal of a feed, none if they are not known; return the list in which the feed's entries are stored."""
        known = self._feeds.get(appid)
        if known is None or not entries or (known and known[-1].offset + 1 != entries[0].offset):
            self._feeds[appid] = known = entries
        elif known:
            known.extend(entries)
        return known

    def delete(self, appid: str, entries: list[FeedEntry]) -> None:
        """Delete the entries of a feed if they are stored in this list."""
        if self._feeds.get(appid) is entries:
            del self._feeds[appid]

    def after(self, appid: str, offset: int, limit: int) -> Sequence[FeedEntry] | None:
        """Return up to ``limit`` entries after an offset; None if the next one is not known."""
        entries = self._feeds.get(appid)
        if not entries:
            return None
        first = offset + 1 - entries[0].offset
        return entries[first : first + limit] if 0 <= first < len(entries) else None


class Signals:
    """Calls the listeners of one process.

    :ivar entries: the entries that the listeners can read without waiting.
    """

    def __init__(self) -> None:
        self.entries = NewEntries()
        self._loop = gevent.get_hub().loop
        self._listeners: list[Listener] = []
        self._reads: list[Callable[[str], bool]] = []

    def subscribe(self, listener: Listener, reads: Callable[[str], bool]) -> None:
        """See ``Tracker.subscribe``."""
        self._listeners.append(listener)
        self._reads.append(reads)

    def unsubscribe_all(self) -> None:
        """Remove all listeners."""
        self._listeners.clear()

    def read_by_listener(self, appid: str) -> bool:
        """Return whether a listener reads the feed of an application."""
        for reads in self._reads:  # noqa: SIM110 - faster, and called for each grant of an update
            if reads(appid):
                return True
        return False

    def schedule(self, signals: Iterable[str], entries: Mapping[str, list[FeedEntry]] = {}) -> None:
        """Dispatch signals in the event loop, to the present listeners."""
        self._loop.run_callback(self.dispatch, signals, entries, tuple(self._listeners))

    def dispatch(
        self,
        signals: Iterable[str],
        entries: Mapping[str, list[FeedEntry]] = {},
        listeners: Sequence[Listener] | None = None,
    ) -> None:
        """Call the listeners.

        :param signals: a topic and a key each, separated by a space.
        :param entries: all entries to which a signal ``feed`` of an application refers, if they are known.
        """
        for signal in signals:
            topic, _, key = signal.partition(" ")
            stored = self.entries.add(key, entries.get(key, [])) if topic == "feed" else None
            for listener in self._listeners if listeners is None else listeners:
                try:
                    listener(cast("Topic", topic), key)
                except Exception:  # a bug of the listener; later signals are still dispatched
                    log.exception("redis: a listener failed")
            if stored is not None:
                self._loop.run_callback(self.entries.delete, key, stored)  # after the callbacks that the listeners have added
