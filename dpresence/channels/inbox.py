"""What one peer sends: read, counted against its rate, and how long it has been silent. No socket; time is passed in."""

from __future__ import annotations

import math
import random

from ..errors import CloseCode
from ..limits import TokenBucket
from ..settings import Settings
from .frames import Event, FrameLimits, Parser, Violation


class Inbox:
    """The receiving half of a connection. Every ``now`` is ``Clock.monotonic()``.

    :param ping_seconds: after how much silence a ping is due; the first one comes up to a fifth earlier, so that the
        pings of peers that came together do not leave together.
    """

    __slots__ = ("_bucket", "_heard_at", "_parser", "_pinged_at", "_since")

    def __init__(self, limits: FrameLimits, ping_seconds: float, now: float) -> None:
        self._parser = Parser(limits)
        self._bucket = TokenBucket(limits.rate, limits.burst)
        self._since = now  # when the frame that is arriving began
        self._heard_at = now - random.uniform(0, ping_seconds / 5)  # noqa: S311
        self._pinged_at: float | None = None

    def feed(self, data: bytes, now: float) -> None:
        """Add bytes that were received."""
        self.heard(now)
        self._parser.feed(data)

    def heard(self, now: float) -> None:
        """Note that the peer is alive."""
        self._heard_at = now
        self._pinged_at = None
        if not self._parser.partial:
            self._since = now

    def next(self, now: float) -> Event | None:
        """Return what the next complete frame means, None without one.

        :raises Violation: of RFC 6455 or of a limit, the rate of frames included.
        """
        event = self._parser.next()
        if event is None:
            return None
        self._since = now
        wait = self._bucket.take(now=now)
        if wait:
            raise Violation(CloseCode.TOO_MANY_FRAMES, f"too many frames; retry_after={math.ceil(wait)}")
        return event

    def stuck(self, now: float, settings: Settings) -> bool:
        """Whether a frame has been arriving for too long, however busily (``channels.idle_seconds``)."""
        return self._parser.partial and now - self._since >= settings.channels.idle_seconds

    def gone(self, now: float, settings: Settings) -> bool:
        """Whether the last ping has not been answered, by any bytes, within ``presence.pong_seconds``."""
        return self._pinged_at is not None and now - self._pinged_at >= settings.presence.pong_seconds

    def ping_due(self, now: float, settings: Settings) -> bool:
        """Whether a ping is due; it counts as sent then."""
        if self._pinged_at is not None or now - self._heard_at < settings.presence.ping_seconds:
            return False
        self._pinged_at = now
        return True
