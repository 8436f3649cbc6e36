"""Base class of both channels: JSON frames, an answer to each, and limits on time without sign-in and on malformed frames."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import partial

from msgspec import UNSET, Struct, UnsetType

from ..clock import Clock
from ..errors import BadAction, CloseCode, Refused
from ..messages import KoReply, OkReply, action_of, encode, id_of, or_unset
from ..service import Services
from ..settings import Settings
from .channel import Channel, ChannelConnection
from .frames import text_frame

_BAD_FRAME_ERRNOS = frozenset({106, 107, 108, 151, 153, BadAction.errno})
_BAD_FRAME_WINDOW_SECONDS = 60.0
OK_FRAME = text_frame(encode(OkReply()))
"""Encoded once, because it is the answer to nearly every frame."""


class JsonChannel(Channel):
    """A channel of JSON frames. Subclasses dispatch frames in ``handle`` and call ``signed_in`` after a sign-in.

    A handler that may block passes its work to ``defer``. A ``Refused`` error of a handler is answered with a KO frame.
    """

    __slots__ = ("_bad_frame_times", "_clock", "_services", "_settings", "_sign_in_deadline", "connection")

    connection: ChannelConnection

    def __init__(self, services: Services, settings: Settings, clock: Clock) -> None:
        self._services = services
        self._settings = settings
        self._clock = clock
        self._bad_frame_times: deque[float] | None = None
        self._sign_in_deadline: float | None = None

    # -- abstract

    def handle(self, action: str | None, text: str) -> None:
        """Handle a frame.

        :param action: its ``action``; None if it has none.
        :raises Refused: answered with a KO frame.
        """
        raise NotImplementedError

    # -- events

    def opened(self, connection: ChannelConnection) -> None:
        """Store the connection and start the sign-in deadline."""
        self.connection = connection
        self.restart_sign_in_deadline(0)

    def message(self, text: str) -> None:
        """Handle one frame."""
        try:
            self.handle(action_of(text), text)
        except Refused as refused:
            self.refuse(refused, text)

    def tick(self) -> float:
        """Close the channel if the sign-in deadline has passed."""
        if self._sign_in_deadline is None:
            return math.inf
        if self._clock.monotonic() >= self._sign_in_deadline:
            self.close(CloseCode.NOT_SIGNED_IN, "not signed in in time")
        return self._sign_in_deadline

    # -- for subclasses

    def restart_sign_in_deadline(self, seconds: float) -> None:
        """Set the sign-in deadline to ``channels.sign_in_seconds`` after ``seconds`` from now."""
        self._sign_in_deadline = self._clock.monotonic() + seconds + self._settings.channels.sign_in_seconds

    def signed_in(self) -> None:
        """Clear the sign-in deadline."""
        self._sign_in_deadline = None
        self.connection.signed_in()

    def defer(self, function: Callable[[], None], text: str) -> None:
        """Run a function that may block; a ``Refused`` error is the answer to the frame ``text``."""
        self.connection.defer(partial(self.run_or_refuse, function, text))

    def run_or_refuse(self, function: Callable[[], None], text: str) -> None:
        """Run a function; a ``Refused`` error is the answer to the frame ``text``."""
        try:
            function()
        except Refused as refused:
            self.refuse(refused, text)

    def refuse(self, refused: Refused, text: str) -> None:
        """Answer KO, and count malformed frames."""
        self.send(KoReply.to(id_of(text), refused, self.next_ticket()))
        self._services.metrics.refused(refused.errno)
        if refused.errno in _BAD_FRAME_ERRNOS:
            self._count_bad_frame()

    def answer_ok(self, frame_id: str | int | None) -> None:
        """Answer OK."""
        ticket = self.next_ticket()
        if frame_id is None and ticket is UNSET:
            self.connection.send_frame(OK_FRAME)
        else:
            self.send(OkReply(ticket=ticket, id=or_unset(frame_id)))

    def send(self, message: Struct) -> None:
        """Send a frame of ``messages``."""
        self.connection.send(encode(message))

    def next_ticket(self) -> str | UnsetType:
        """Return the ticket that the next answer carries; none by default."""
        return UNSET

    def when_sent(self, function: Callable[[], None]) -> None:
        """Call ``function`` once all sent frames are in the kernel; see ``Connection.when_sent``."""
        self.connection.when_sent(function)

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the channel."""
        self.connection.close(code, reason)

    def _count_bad_frame(self) -> None:
        if self._bad_frame_times is None:
            self._bad_frame_times = deque(maxlen=self._settings.channels.bad_frames)
        now = self._clock.monotonic()
        self._bad_frame_times.append(now)
        if len(self._bad_frame_times) == self._bad_frame_times.maxlen and now - self._bad_frame_times[0] < _BAD_FRAME_WINDOW_SECONDS:
            self.close(CloseCode.BAD_FRAMES, "too many bad frames")
