"""Fan-out of feeds: new updates of an application go to its channels at this process (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from ..errors import CloseCode
from ..hub import ApplicationPort, Hub
from ..messages import MAX_ENTRIES, Updates, encode
from .coalescer import Coalescer
from .feeds import Feeds
from .scheduling import yield_to_loop


class FanOut:
    """Sends updates to the channels of applications. Channels at the same offset share one encoded payload."""

    def __init__(self, feeds: Feeds, hub: Hub) -> None:
        self._feeds = feeds
        self._hub = hub
        self._coalescer = Coalescer("the fan-out of a feed", self._send_new)

    def request(self, appid: str) -> None:
        """Send new updates to an application's channels at the end of this iteration of the event loop. Does not block.

        One greenlet at a time sends updates of an application, so that no update overtakes another.
        """
        if self._hub.has_application(appid):
            self._coalescer.request(appid)

    def _send_new(self, appid: str) -> None:
        by_offset: defaultdict[int, list[ApplicationPort]] = defaultdict(list)
        for channel in self._hub.channels_of(appid):
            if channel.following:
                by_offset[channel.offset].append(channel)
        for channels in by_offset.values():
            while self.send_next(appid, channels):
                yield_to_loop()

    def send_next(self, appid: str, channels: Collection[ApplicationPort]) -> bool:
        """Send the next frame of updates; return whether there may be more.

        :param channels: channels of the application at the same offset.
        :raises BackendUnavailable: the tracker is unavailable.
        """
        updates = self._feeds.read(appid, next(iter(channels)).offset)
        if updates is None:
            for channel in channels:
                channel.close(CloseCode.SLOW_READER, "updates after this offset were deleted")
            return False
        if not updates:
            return False
        last = updates[-1].offset
        payload = encode(Updates.of(updates, self._feeds.cursor(last)))
        for channel in channels:
            channel.send_updates(payload, last)
        return len(updates) == MAX_ENTRIES
