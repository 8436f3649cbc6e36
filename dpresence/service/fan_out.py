"""Fan-out of feeds: new updates of an application go to its channels at this process (docs/protocol.md, section 5)."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter

import gevent

from ..clock import Clock
from ..errors import CloseCode
from ..hub import AppServicePort, Hub
from ..messages import MAX_ENTRIES, Updates, encode
from ..metrics import Metrics
from ..model import FeedEntry, Offset
from .coalescer import Coalescer
from .feeds import Feeds
from .scheduling import yield_to_loop

log = logging.getLogger(__name__)

_kind = attrgetter("status", "reason")


class FanOut:
    """Sends updates to the channels of applications. Channels at the same offset are sent the same payload, which is encoded once.

    :ivar scheduled: applications whose updates are sent at the end of this iteration of the event loop.
    """

    def __init__(self, feeds: Feeds, hub: Hub, metrics: Metrics, clock: Clock) -> None:
        self._feeds = feeds
        self._hub = hub
        self._metrics = metrics
        self._clock = clock
        self._waiting_since: dict[str, float] = {}  # applications with updates that could not be read at once, by the time of the first
        self._coalescer = Coalescer("the fan-out of a feed", self._send_all)
        self.scheduled: set[str] = set()
        self._loop = gevent.get_hub().loop

    def request(self, appid: str) -> None:
        """Send all updates that an application's channels have not been sent, in a greenlet. Does not block.

        One greenlet at a time sends updates of an application, so that no update overtakes another.
        """
        if self._hub.has_application(appid):
            self._waiting_since.setdefault(appid, self._clock.monotonic())
            self._coalescer.request(appid)

    def request_signalled(self, appid: str) -> None:
        """Send the updates of a signal at the end of this iteration of the event loop. Does not block.

        No greenlet is needed if they can be read without waiting and fit into one frame.
        """
        if appid not in self.scheduled and self._hub.has_application(appid):
            self.scheduled.add(appid)
            self._loop.run_callback(self._send_now, appid)

    def _send_now(self, appid: str) -> None:
        """Send updates that can be read without waiting. Called in the event loop."""
        self.scheduled.discard(appid)
        sent = False
        try:
            self._hub.notify_watcher(appid)
            sent = not self._coalescer.running(appid) and self._send_read_all(appid)
        except Exception:  # a bug in this service; the greenlet tries again
            log.exception("the fan-out of a feed failed")
        finally:  # also if logging fails
            if not sent:
                self.request(appid)

    def _send_read_all(self, appid: str) -> bool:
        """Send updates that can be read without waiting; return False if there may be more."""
        for channels in self._by_offset(appid):
            updates = self._feeds.read_now(appid, channels[0].offset)
            if updates:
                self._send(updates, channels)
            if updates is None or len(updates) >= MAX_ENTRIES:
                return False
        return True

    def _send_all(self, appid: str) -> None:
        self._hub.notify_watcher(appid)
        for channels in self._by_offset(appid):
            while self.send_next(appid, channels):
                yield_to_loop()
        self._waiting_since.pop(appid, None)

    @property
    def lag_seconds(self) -> float:
        """Seconds for which the oldest updates have waited that could not be read at once."""
        return max(0.0, self._clock.monotonic() - min(self._waiting_since.values())) if self._waiting_since else 0.0

    def _by_offset(self, appid: str) -> Iterable[Sequence[AppServicePort]]:
        """Return the channels that this fan-out serves, grouped by their offset."""
        channels = self._hub.channels_of(appid)
        if len(channels) == 1:  # nearly always
            return (channels,) if channels[0].following else ()
        by_offset: defaultdict[Offset, list[AppServicePort]] = defaultdict(list)
        for channel in channels:
            if channel.following:
                by_offset[channel.offset].append(channel)
        return by_offset.values()

    def send_next(self, appid: str, channels: Sequence[AppServicePort]) -> bool:
        """Send the next frame of updates; return whether there may be more.

        :param channels: channels of the application at the same offset.
        :raises BackendUnavailable: the tracker is unavailable.
        """
        updates = self._feeds.read(appid, channels[0].offset)
        if updates is None:
            for channel in channels:
                channel.close(CloseCode.SLOW_READER, "updates after this offset were deleted")
            return False
        if updates:
            self._send(updates, channels)
        return len(updates) == MAX_ENTRIES

    def _send(self, updates: Sequence[FeedEntry], channels: Sequence[AppServicePort]) -> None:
        last = self._feeds.advance(channels[0].offset, updates)
        payload = encode(Updates.of(updates, self._feeds.cursor(last)))
        for kind, count in Counter(map(_kind, updates)).items():
            self._metrics.sent[kind] += count * len(channels)
        for channel in channels:
            channel.send_updates(payload, last)
