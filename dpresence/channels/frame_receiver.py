"""The receiving half of a connection: parsing, the frame rate and the ping timer. No I/O; callers pass the time."""

from __future__ import annotations

import math
import random

from ..errors import CloseCode
from ..settings import Settings
from .frame_limits import FrameLimits
from .frames import Event, Parser, Violation, is_pong, small_text

_NEVER = -math.inf
EMPTY_BYTES = 6
"""Size of a peer's frame without payload, which is nearly always a pong."""
_EMPTY_PONG = b"\x8a\x80"
"""First bytes of a masked pong without payload, the answer to our pings."""


class FrameReceiver:
    """The part of a connection with the parser, the rate limit and the ping timer of its peer. Every ``now`` is ``Clock.monotonic()``.

    :ivar began_at: when the connection began.
    :ivar frame_count: number of frames; the caller counts those of ``small_text`` that the channel handles.
    :ivar frames_full_at: the state of the frame rate (``limits.RateRule``).
    """

    __slots__ = ("_limits", "_parser", "_pinged_at", "_received_at", "began_at", "frame_count", "frames_full_at")

    def start_receiving(self, limits: FrameLimits, ping_seconds: float, now: float) -> None:
        """Begin to receive.

        :param ping_seconds: seconds without received bytes before a ping. The first ping comes up to a fifth earlier, at random,
            so that peers that connected together are not pinged together.
        """
        self._limits = limits
        self._parser: Parser | None = None  # only while frames arrive that ``small_text`` does not return; saves memory
        self.frames_full_at = 0.0
        self._pinged_at = _NEVER  # there is a ping without an answer if this is later than ``_received_at``
        self.frame_count = 0
        self.began_at = now
        self._received_at = now - random.uniform(0, ping_seconds / 5)  # noqa: S311

    def feed(self, data: bytes, now: float) -> None:
        """Add received bytes."""
        self._received_at = now
        if self._parser is None:
            self._parser = Parser(self._limits, now)
        self._parser.feed(data)

    def small_text(self, data: bytes, now: float) -> bytes | None:
        """Return the payload of ``data`` if it is exactly one ASCII text frame that neither ``Parser`` nor the rate refuses; else None.

        This takes a token.
        """
        payload = small_text(data, self._limits.message_bytes) if self._parser is None else None
        if payload is None:
            return None
        if self.frames_full_at <= now:  # as ``_take_frame``, without the calls
            self.frames_full_at = now + self._limits.rule.interval
        elif not self._take_frame(now):
            return None
        self._received_at = now
        return payload

    def take_pong(self, data: bytes, now: float) -> bool:
        """Handle ``data`` and return True if it is exactly one pong that neither ``Parser`` nor the rate refuses; else return False."""
        if self._parser is not None or not ((len(data) == EMPTY_BYTES and data[:2] == _EMPTY_PONG) or is_pong(data)):
            return False
        if self.frames_full_at <= now:  # as ``_take_frame``, without the calls
            self.frames_full_at = now + self._limits.rule.interval
        elif not self._take_frame(now):
            return False
        self._received_at = now
        return True

    def _take_frame(self, now: float) -> bool:
        """Take a token of the frame rate; return False if there is none."""
        full_at = self._limits.rule.take(self.frames_full_at, now)
        if full_at:
            self.frames_full_at = full_at
        return bool(full_at)

    def restart_ping_timer(self, now: float) -> None:
        """Restart the ping timer: the peer is alive."""
        self._received_at = now

    def next_event(self, now: float) -> Event | None:
        """Return the event of the next complete frame, or None.

        :raises Violation: the peer broke RFC 6455, a size limit or the frame rate.
        """
        parser = self._parser
        if parser is None:
            return None
        event = parser.next()
        if not parser.partial:
            self._parser = None
        if event is None:
            return None
        parser.began_at = now
        if not self._take_frame(now):
            wait = math.ceil(self._limits.rule.wait(self.frames_full_at, now))
            raise Violation(CloseCode.TOO_MANY_FRAMES, f"too many frames; retry_after={wait}")
        self.frame_count += 1
        return event

    @property
    def awaits_pong(self) -> bool:
        """True if nothing was received since the last ping."""
        return self._pinged_at > self._received_at

    def receive_deadline(self, settings: Settings) -> float:
        """Return the time before which neither a ping is due nor a pong or the rest of a frame is overdue."""
        presence = settings.presence
        at = self._pinged_at + presence.pong_seconds if self.awaits_pong else self._received_at + presence.ping_seconds
        return at if self._parser is None else min(at, self._parser.began_at + settings.channels.idle_seconds)

    def frame_overdue(self, now: float, settings: Settings) -> bool:
        """Return whether a frame has been incomplete for ``channels.idle_seconds``, even if bytes keep arriving."""
        return self._parser is not None and now - self._parser.began_at >= settings.channels.idle_seconds

    def pong_overdue(self, now: float, settings: Settings) -> bool:
        """Return whether no bytes have arrived within ``presence.pong_seconds`` of the last ping."""
        return self.awaits_pong and now - self._pinged_at >= settings.presence.pong_seconds

    def ping_due(self, now: float, settings: Settings) -> bool:
        """Return whether a ping is due; if so, record it as sent."""
        if self.awaits_pong or now - self._received_at < settings.presence.ping_seconds:
            return False
        self._pinged_at = now
        return True
