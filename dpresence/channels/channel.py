"""The contract between a connection and what drives it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .frames import FrameLimits

if TYPE_CHECKING:
    from .connection import Connection


class Channel(ABC):
    """What a connection drives: events, one at a time, in order.

    A method must not wait (no SQL, no verifier, no lock): what may wait is started with ``Connection.defer``. What it
    raises is logged and closes the connection with 1011; nobody else notices.
    """

    limits: FrameLimits
    """What a peer of this channel may send; read once, when the connection starts."""

    @abstractmethod
    def opened(self, connection: Connection) -> None:
        """Keep ``connection``: the 101 is out and the request is gone. First event, once."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Take a complete text message. Not called any more once the connection is closing."""

    def binary(self, data: bytes) -> bool:
        """Take a complete binary message; return whether it was wanted. Closed with 1003 if not, as by default."""
        return False

    @abstractmethod
    def closed(self, code: int, clean: bool) -> None:
        """Clean up. Last event, exactly once for every ``opened``, however the connection ended; it may still defer.

        :param code: the close code sent or received, whichever was first; 1006 when the peer was lost without one.
        :param clean: whether both sides sent a close frame.
        """

    def tick(self) -> None:  # noqa: B027 - a hook, not a duty
        """Look at the clock; called about once a second while the connection is open and nothing deferred runs."""
