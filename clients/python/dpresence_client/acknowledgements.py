"""Received notifications, each shown once, and those that have yet to be acknowledged (docs/protocol.md, section 3)."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Sequence, Union

from .errors import ProtocolError
from .outputs import Cleared, Unread
from .values import Notification

MAX_KNOWN = 2000
"""Number of notifications whose ids are remembered."""
MAX_IDS = 500
"""Ids in one frame: 500 of them take 11 KiB, and a device may send 16 KiB."""


class Acknowledgements:
    """The notifications of a device, over all its connections."""

    def __init__(self) -> None:
        self._known: Dict[str, bool] = {}  # id: processed by the program
        self._pending: Dict[str, None] = {}  # ids to acknowledge, until the service has answered
        self._sent: List[str] = []  # those of them that were sent and not answered

    def add(self, notifications: Iterable[Notification]) -> List[Notification]:
        """Return the notifications that are new. One that comes again although it was processed is acknowledged again."""
        new = []
        for one in notifications:
            processed = self._known.get(one.id)
            if processed is None:
                self._known[one.id] = False
                new.append(one)
            elif processed:
                self._pending[one.id] = None
        self._forget()
        return new

    def processed(self, ids: Iterable[str]) -> None:
        """Note that the program has processed notifications."""
        for id_ in ids:
            self._known[id_] = True
            self._pending[id_] = None
        self._forget()

    def failed(self, ids: Iterable[str]) -> None:
        """Note that the program could not process notifications. They are new again when the service sends them again."""
        for id_ in ids:
            self._known.pop(id_, None)

    def next(self) -> Sequence[str]:
        """Return the ids for the next frame; none while a frame has no answer yet."""
        if self._sent:
            return ()
        self._sent = list(self._pending)[:MAX_IDS]
        return self._sent

    def answered(self, discard: bool) -> None:
        """Note the answer to a frame, or the end of the connection.

        :param discard: the ids need not be sent again.
        """
        if discard:
            for id_ in self._sent:
                self._pending.pop(id_, None)
        self._sent = []

    @property
    def settled(self) -> bool:
        """True if everything that was processed has been acknowledged."""
        return not self._pending

    def _forget(self) -> None:
        """Forget the oldest that were processed and acknowledged."""
        surplus = len(self._known) - MAX_KNOWN
        if surplus > 0:
            old = [id_ for id_, processed in self._known.items() if processed and id_ not in self._pending]
            for id_ in old[:surplus]:
                del self._known[id_]


def parsed(entries: Any) -> List[Notification]:
    """Return the notifications of a frame.

    :raises ProtocolError: they are not as documented.
    """
    try:
        notifications = [Notification(*(entry[name] for name in Notification._fields)) for entry in entries]
    except (KeyError, TypeError):
        raise ProtocolError("an entry of notifications is incomplete") from None
    if not all(isinstance(one.id, str) for one in notifications):
        raise ProtocolError("an entry of notifications has a wrong value")
    return notifications


def inbox_event(frame: Mapping[str, Any]) -> Union[Unread, Cleared, None]:
    """Return what a frame says about the inbox of the user; None if it is another frame.

    :raises ProtocolError: it is not as documented.
    """
    if isinstance(frame.get("unread"), int):
        return Unread(frame["unread"])
    ids = frame.get("cleared")
    if ids is None:
        return None
    if not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
        raise ProtocolError("the ids of cleared notifications have a wrong value")
    return Cleared(ids)
