"""The interface through which a connection calls its channel."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from ..errors import CloseCode
from .frame_limits import FrameLimits


class ChannelConnection(Protocol):
    """The connection, as its channel sees it. Only ``drain`` blocks."""

    id: str
    address: str

    @property
    def closed(self) -> bool:
        """True if the connection is closing or closed, so that nothing can be sent."""

    @property
    def idle(self) -> bool:
        """True if the kernel has accepted all sent frames."""

    @property
    def silent(self) -> bool:
        """True if nothing was received for longer than a ping and its pong may take: this process has stood still, or the peer is gone."""

    def send(self, payload: bytes) -> None:
        """Send or queue one text message (UTF-8)."""

    def send_frame(self, frame: bytes) -> None:
        """Send or queue an encoded frame."""

    def when_sent(self, function: Callable[[], None]) -> None:
        """Call ``function``, which neither blocks nor raises, once the kernel has accepted all sent frames; not if they are lost."""

    def drain(self) -> None:
        """Block until half of the send buffer is free. Only for deferred functions."""

    def defer(self, function: Callable[[], None]) -> None:
        """Run ``function``, which may block, in a greenlet; the next messages are handled after it."""

    def suspend(self) -> None:
        """Handle no further message until ``resume``. Only for ``message`` and ``try_message``, after ``resume`` was arranged for."""

    def resume(self, function: Callable[..., None], *arguments: Any) -> None:
        """End a suspension: call ``function``, which must not block, then handle messages again. Must be called in the event loop."""

    def signed_in(self) -> None:
        """Report the sign-in. Idempotent."""

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close after the waiting frames."""


class Channel(ABC):
    """Handler of a connection's events. The connection calls one method at a time, in order.

    A method must not block (no SQL, no verifier, no lock). It passes work that may block to ``Connection.defer``. An
    exception is logged and closes this connection with 1011; other connections are not affected.
    """

    __slots__ = ()

    kind: ClassVar[str] = "channel"
    """Its name in the log."""
    counted: ClassVar[bool] = True
    """Its end counts as that of a channel in the figures."""

    @property
    @abstractmethod
    def limits(self) -> FrameLimits:
        """Limits on the frames of the peer; the connection reads them once, when it starts."""

    @property
    def peer(self) -> Mapping[str, str] | None:
        """Fields of the peer in the log line at the end of the channel; None, the default, if nobody has signed in."""
        return None

    @abstractmethod
    def opened(self, connection: ChannelConnection) -> None:
        """Store ``connection``. This is the first event; it comes once, after the 101 was sent."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Handle a complete text message. The connection does not call this once it is closing."""

    def try_message(self, payload: bytes, now: float) -> bytes | None:
        """Handle a complete text message at once, in the event loop, and return the answer; or return None without any effect.

        None, the default, has the connection call ``message`` from a greenlet. No function is deferred or running.

        :param payload: the message, ASCII.
        :param now: ``Clock.monotonic()``.
        :return: the encoded frame that answers it; empty if the connection was suspended, so that the answer follows later.
        """
        return None

    def binary(self, data: bytes) -> bool:
        """Handle a complete binary message and return True, or return False (the default) to close with 1003."""
        return False

    @abstractmethod
    def closed(self, code: int, clean: bool) -> None:
        """Clean up. This is the last event; it comes exactly once after ``opened``, and it may still defer work.

        :param code: the close code that was sent or received first; 1006 when the peer was lost without one.
        :param clean: both sides have sent a close frame.
        """

    def tick(self) -> float:
        """Check deadlines, and return when the next one is (``Clock.monotonic()``). The default has none.

        Called when it has passed, within a second after any other event except ``try_message``, and in between for other reasons;
        only while the connection is open and no deferred function runs.
        """
        return math.inf
