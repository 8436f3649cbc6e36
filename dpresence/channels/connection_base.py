"""The state of one websocket connection, and what views, channels and the hub call of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from ..errors import CloseCode
from . import frames
from .channel import Channel
from .deadlines import Bucket, Timed
from .gate import Gate
from .wire import LOST, State, Wire
from .workers import Workers

PING = frames.ping_frame()


class ConnectionBase(Wire):
    """The state of one websocket, and what others call of it.

    The parts of a connection are a chain of base classes, ``FrameReceiver``, ``ConnectionScheduler`` and ``Wire``. One object for each of
    them would take about 120 bytes more for each connection, which each update would have to fetch from memory.

    :ivar address: IP address of the client.
    :ivar channel: receives the events; None before a view has called ``open`` and after ``Channel.closed``.
    """

    __slots__ = ("_opened", "_reading_paused", "_suspended", "_unread", "address", "bucket", "channel", "following", "previous")

    def __init__(self, gate: Gate, address: str) -> None:
        super().__init__(gate)
        self.address = address
        self.bucket: Bucket | None = None
        self.previous: Timed | None = None
        self.following: Timed | None = None
        self.channel: Channel | None = None
        self._opened = False  # ``Channel.opened`` was called, so ``Channel.closed`` must be
        self._reading_paused = True  # the socket is not watched
        self._suspended = False
        self._unread = False  # more bytes may be available, for which ``on_readable`` is not called

    @property
    def started(self) -> bool:
        """True if ``start`` was called. From then on, the connection calls ``Gate.leave`` itself."""
        return self.state is not State.NEW

    # What views, channels and the hub call

    @property
    def silent(self) -> bool:
        """See ``ChannelConnection``."""
        return self._gate.clock.monotonic() > self._received_at + self._gate.settings.presence.silence_seconds

    def open(self, channel: Channel) -> None:
        """Set the channel. A view calls this before the 101; the connection starts later."""
        self.channel = channel

    def send(self, payload: bytes) -> None:
        """Send or queue one text message (UTF-8). Does not block; does nothing if the connection is closing or closed."""
        self.send_frame(frames.text_frame(payload))

    def abort(self) -> None:
        """Close the socket at once, without a close frame."""
        if self.started:
            self.end()

    def suspend(self) -> None:
        """See ``ChannelConnection``. What is deferred meanwhile waits too."""
        self._suspended = True

    def signed_in(self) -> None:
        """Report the sign-in to ``Gate``, so that its limits on connections without sign-in no longer count this one. Idempotent."""
        self._gate.signed_in(self)

    # For ``ConnectionScheduler`` and the ticker

    @property
    def _workers(self) -> Workers:
        return self._gate.workers

    @abstractmethod
    def tick(self, now: float) -> float:
        """Check the deadlines, and return when the next one is."""

    def tick_soon(self) -> None:
        """Have ``tick`` called in the next round."""
        self._gate.connections.hasten(self)

    def _check_peer(self, now: float) -> None:
        """Ping a silent peer; end the connection if the pong or the rest of a frame is overdue (docs/protocol.md, section 4)."""
        settings = self._gate.settings
        if self.frame_overdue(now, settings):
            self.drop(LOST)
        elif self.pong_overdue(now, settings):
            self.close_unresponsive(now)  # grace begins at the next tick
        elif self.ping_due(now, settings):
            self.send_frame(PING)

    def call_guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the channel; its exception is logged and closes the connection with 1011."""
        try:
            return function(*arguments)
        except BaseException:
            self.log_failure()
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
            return None
