"""The interface through which a connection calls its channel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .frames import FrameLimits

if TYPE_CHECKING:
    from .connection import Connection


class Channel(ABC):
    """Handler of a connection's events. The connection calls one method at a time, in order.

    A method must not block (no SQL, no verifier, no lock). It passes work that may block to ``Connection.defer``. An
    exception is logged and closes this connection with 1011; other connections are not affected.
    """

    limits: FrameLimits
    """Limits on the frames of the peer; the connection reads them once, when it starts."""

    @abstractmethod
    def opened(self, connection: Connection) -> None:
        """Store ``connection``. This is the first event; it comes once, after the 101 was sent."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Handle a complete text message. The connection does not call this once it is closing."""

    def binary(self, data: bytes) -> bool:
        """Handle a complete binary message and return True, or return False (the default) to close with 1003."""
        return False

    @abstractmethod
    def closed(self, code: int, clean: bool) -> None:
        """Clean up. This is the last event; it comes exactly once after ``opened``, and it may still defer work.

        :param code: the close code that was sent or received first; 1006 when the peer was lost without one.
        :param clean: both sides have sent a close frame.
        """

    def tick(self) -> None:  # noqa: B027 - a hook, not a duty
        """Check deadlines. Called about once a second while the connection is open and no deferred function runs."""
