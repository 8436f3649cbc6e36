"""What both channels have in common: JSON frames, an answer to each, and an end for who does not sign in or sends rubbish."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..clock import Clock
from ..errors import BadAction, CloseCode, Refused
from ..messages import action_of, id_of, ko, ok
from ..metrics import Metrics
from ..settings import ChannelSettings
from .connection import Channel, Connection
from .frames import text_frame

_BAD = frozenset({106, 107, 108, 151, 153, BadAction.errno})
_BAD_SECONDS = 60.0
_OK = text_frame(ok())
"""What nearly every frame is answered with."""


class JsonChannel(Channel):
    """A channel of JSON frames. Subclasses name their frames in ``handle`` and set ``self.user`` or the like on sign-in.

    A frame that may wait is answered by a deferred function; whatever it raises as ``Refused`` becomes a KO frame.
    """

    __slots__ = ("_bad", "_clock", "_metrics", "_settings", "_sign_in_by", "connection")

    connection: Connection

    def __init__(self, settings: ChannelSettings, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._bad: deque[float] | None = None
        self._sign_in_by: float | None = None

    # -- what a subclass says

    def handle(self, action: str | None, text: str) -> None:
        """Act on a frame by its action, None without one; raises ``Refused``."""
        raise NotImplementedError

    # -- events

    def opened(self, connection: Connection) -> None:
        """Start the time within which somebody must sign in."""
        self.connection = connection
        self.allow_to_sign_in(0)

    def message(self, text: str) -> None:
        """Handle one frame."""
        try:
            self.handle(action_of(text), text)
        except Refused as refused:
            self.refuse(refused, text)

    def tick(self) -> None:
        """End a channel nobody signed in to."""
        if self._sign_in_by is not None and self._clock.monotonic() >= self._sign_in_by:
            self.close(CloseCode.NOT_SIGNED_IN, "not signed in in time")

    # -- for subclasses

    def allow_to_sign_in(self, seconds: float) -> None:
        """Start the time for signing in anew, ``seconds`` from now."""
        self._sign_in_by = self._clock.monotonic() + seconds + self._settings.sign_in_seconds

    def signed_in(self) -> None:
        """Note that somebody has signed in."""
        self._sign_in_by = None
        self.connection.signed_in()

    def defer(self, function: Callable[[], None], text: str) -> None:
        """Run what may wait; its refusal answers the frame ``text``."""
        self.connection.defer(lambda: self.answer(function, text))

    def answer(self, function: Callable[[], None], text: str) -> None:
        """Run a function; its refusal answers the frame ``text``."""
        try:
            function()
        except Refused as refused:
            self.refuse(refused, text)

    def refuse(self, refused: Refused, text: str) -> None:
        """Answer KO, and count what was not even a frame."""
        self.connection.send(ko(refused, id_of(text), **self.extras()))
        self._metrics.refused(refused.errno)
        if refused.errno in _BAD:
            self._count_bad()

    def reply(self, frame_id: str | int | None, **fields: Any) -> None:
        """Answer OK."""
        extras = self.extras()
        if frame_id is None and not fields and not extras:
            self.connection.send_frame(_OK)
        else:
            self.connection.send(ok(frame_id, **fields, **extras))

    def extras(self) -> dict[str, str]:
        """Return what the next answer carries besides; nothing."""
        return {}

    def when_sent(self, function: Callable[[], None]) -> None:
        """Call ``function`` once all that was offered has left; see ``Connection.when_sent``."""
        self.connection.when_sent(function)

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the channel."""
        self.connection.close(code, reason)

    def _count_bad(self) -> None:
        if self._bad is None:
            self._bad = deque(maxlen=self._settings.bad_frames)
        now = self._clock.monotonic()
        self._bad.append(now)
        if len(self._bad) == self._bad.maxlen and now - self._bad[0] < _BAD_SECONDS:
            self.close(CloseCode.BAD_FRAMES, "too many bad frames")
