"""The receiving half of a connection: parsing, the frame rate and the ping timer. No I/O; callers pass the time."""

from __future__ import annotations

import math
import random

from ..errors import CloseCode
from ..limits import TokenBucket
from ..settings import Settings
from .frames import Event, FrameLimits, Parser, Violation


class FrameReceiver:
    """Parser, rate limit and ping timer of one peer. Every ``now`` is ``Clock.monotonic()``.

    :param ping_seconds: seconds without received bytes before a ping. The first ping comes up to a fifth earlier, at random,
        so that peers that connected together are not pinged together.
    """

    __slots__ = ("_bucket", "_frame_began_at", "_parser", "_pinged_at", "_received_at")

    def __init__(self, limits: FrameLimits, ping_seconds: float, now: float) -> None:
        self._parser = Parser(limits)
        self._bucket = TokenBucket(limits.rate, limits.burst)
        self._frame_began_at = now  # when the incomplete frame began
        self._received_at = now - random.uniform(0, ping_seconds / 5)  # noqa: S311
        self._pinged_at: float | None = None

    def feed(self, data: bytes, now: float) -> None:
        """Add received bytes."""
        self.restart_ping_timer(now)
        self._parser.feed(data)

    def restart_ping_timer(self, now: float) -> None:
        """Restart the ping timer: the peer is alive."""
        self._received_at = now
        self._pinged_at = None
        if not self._parser.partial:
            self._frame_began_at = now

    @property
    def empty(self) -> bool:
        """True if no bytes wait, not even those of an incomplete message."""
        return not self._parser.partial

    def next(self, now: float) -> Event | None:
        """Return the event of the next complete frame, or None.

        :raises Violation: the peer broke RFC 6455, a size limit or the frame rate.
        """
        event = self._parser.next()
        if event is None:
            return None
        self._frame_began_at = now
        wait = self._bucket.take(now=now)
        if wait:
            raise Violation(CloseCode.TOO_MANY_FRAMES, f"too many frames; retry_after={math.ceil(wait)}")
        return event

    def frame_overdue(self, now: float, settings: Settings) -> bool:
        """Return whether a frame has been incomplete for ``channels.idle_seconds``, even if bytes keep arriving."""
        return self._parser.partial and now - self._frame_began_at >= settings.channels.idle_seconds

    def pong_overdue(self, now: float, settings: Settings) -> bool:
        """Return whether no bytes have arrived within ``presence.pong_seconds`` of the last ping."""
        return self._pinged_at is not None and now - self._pinged_at >= settings.presence.pong_seconds

    def ping_due(self, now: float, settings: Settings) -> bool:
        """Return whether a ping is due; if so, record it as sent."""
        if self._pinged_at is not None or now - self._received_at < settings.presence.ping_seconds:
            return False
        self._pinged_at = now
        return True
