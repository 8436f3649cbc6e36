"""The state of one websocket connection, and what views, channels and the hub call of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from ..errors import CloseCode
from . import frames
from .channel import Channel
from .connection_scheduler import ConnectionScheduler
from .deadlines import Bucket
from .frame_receiver import FrameReceiver
from .gate import Gate
from .wire import State, Wire


class ConnectionBase(ABC):
    """Server side of a websocket. It has a ``Wire``, its socket, and a ``ConnectionScheduler`` for its work.

    :ivar id: unguessable id, unique in this process.
    :ivar address: IP address of the client.
    :ivar channel: receives the events; None before a view has called ``open`` and after ``Channel.closed``.
    """

    __slots__ = (
        *("_gate", "_opened", "_reading_paused", "_receiver", "_scheduler", "_suspended", "_unread", "_wire"),
        *("address", "bucket", "channel", "id"),
    )

    def __init__(self, gate: Gate, address: str) -> None:
        self.id = gate.new_id()
        self.address = address
        self.bucket: Bucket | None = None
        self.channel: Channel | None = None
        self._gate = gate
        self._scheduler = ConnectionScheduler(gate.workers, self)
        self._wire = Wire(self.id, gate.settings.channels, gate.clock, self._scheduler, gate.readiness)
        self._receiver: FrameReceiver | None = None  # None before the start
        self._opened = False  # ``Channel.opened`` was called, so ``Channel.closed`` must be
        self._reading_paused = True  # the wire is not watched
        self._suspended = False
        self._unread = False  # more bytes may be available, for which the wire's watcher does not fire

    @property
    def started(self) -> bool:
        """True if ``start`` was called. From then on, the connection calls ``Gate.leave`` itself."""
        return self._wire.state is not State.NEW

    @property
    def closed(self) -> bool:
        """True if the connection is closing or closed, so that nothing can be sent."""
        return self._wire.closed

    @property
    def idle(self) -> bool:
        """True if the send buffer is empty."""
        return self._wire.idle

    @property
    def backlog(self) -> tuple[int, bool]:
        """Bytes in the send buffer, and whether more than half of it is in use."""
        return self._wire.backlog

    # What views, channels and the hub call

    def open(self, channel: Channel) -> None:
        """Set the channel. A view calls this before the 101; the connection starts later."""
        self.channel = channel

    def send(self, payload: bytes) -> None:
        """Send or queue one text message (UTF-8). Does not block; does nothing if the connection is closing or closed."""
        self._wire.send_frame(frames.text_frame(payload))

    def send_frame(self, frame: bytes) -> None:
        """Send or queue an encoded frame (``frames.text_frame``), so that a frame that is sent often is encoded once."""
        self._wire.send_frame(frame)

    def when_sent(self, function: Callable[[], None]) -> None:
        """See ``ChannelConnection``. The call happens at once or in the event loop."""
        self._wire.when_sent(function)

    def drain(self) -> None:
        """See ``ChannelConnection``. After ``channels.send_seconds`` the connection is closed with 4102."""
        self._wire.drain()

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Queue the close frame after the waiting frames; the close handshake finishes in the background. Does not block."""
        self._wire.close(code, reason)

    def abort(self) -> None:
        """Close the socket at once, without a close frame."""
        if self.started:
            self._wire.end()

    def suspend(self) -> None:
        """See ``ChannelConnection``. What is deferred meanwhile waits too."""
        self._suspended = True

    def signed_in(self) -> None:
        """Report the sign-in to ``Gate``, so that its limits on connections without sign-in no longer count this one. Idempotent."""
        self._gate.signed_in(self)

    # For ``ConnectionScheduler`` and the ticker

    @abstractmethod
    def finish_run(self) -> None:
        """End a run."""

    @abstractmethod
    def tick(self, now: float) -> float:
        """Check the deadlines, and return when the next one is."""

    def hasten_tick(self) -> None:
        """Have ``tick`` called in the next round."""
        self._gate.connections.hasten(self)

    def fail(self) -> None:
        """Log the exception that is being handled, an internal error, and end the connection; see ``Wire.fail``."""
        self._wire.fail()

    def log_failure(self) -> None:
        """Log the exception that is being handled; never raises."""
        self._wire.log_failure()

    def call_guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the channel; its exception is logged and closes the connection with 1011."""
        try:
            return function(*arguments)
        except BaseException:
            self.log_failure()
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
            return None
