"""Outputs of a core: what the shell does next. A core does no I/O and reads no clock."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Union

from .errors import PresenceError
from .values import Batch, Delivery, Notification, OutcomeBatch


class Connect(NamedTuple):
    """Open the websocket; then call ``opened``, ``refused`` or ``closed`` of the core."""


class Disconnect(NamedTuple):
    """Close the websocket, and report nothing more of it."""

    code: int = 1000


class Send(NamedTuple):
    """Send one JSON object as a text frame."""

    frame: Dict[str, Any]

    def __repr__(self) -> str:
        """Leave out the frame, which may contain a key or an assertion."""
        return "Send(..)"


class AskCredentials(NamedTuple):
    """Get an assertion or ticket; then call ``credentials`` or ``credentials_failed``."""


class SaveTicket(NamedTuple):
    """Store the ticket for the next connection; None removes it."""

    ticket: str | None

    def __repr__(self) -> str:
        """Leave out the ticket."""
        return "SaveTicket(..)"


class Connected(NamedTuple):
    """The client has signed in."""


class Deliver(NamedTuple):
    """Updates, or a complete snapshot, for the table."""

    batch: Batch


class DeliverOutcomes(NamedTuple):
    """Outcomes of notifications, for the program."""

    batch: OutcomeBatch


class Notified(NamedTuple):
    """New notifications; call ``acknowledge`` after they were processed."""

    notifications: Sequence[Notification]


class Unread(NamedTuple):
    """The number of unread notifications in the inbox of the user."""

    number: int


class Cleared(NamedTuple):
    """Notifications that need not be shown any more, for the program."""

    ids: List[str]


class Answered(NamedTuple):
    """The answer to request ``number``: one result for each notification, or an error for all of them."""

    number: int
    results: Union[Sequence[Union[Delivery, PresenceError]], PresenceError]


class Stopped(NamedTuple):
    """The client has stopped for good.

    :ivar error: the cause; None if the program stopped it.
    """

    error: PresenceError | None


Output = Union[
    Connect, Disconnect, Send, AskCredentials, SaveTicket, Connected, Deliver, DeliverOutcomes, Notified, Unread, Cleared, Answered, Stopped
]
