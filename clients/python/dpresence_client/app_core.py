"""The core of an application's service: signs in, follows the updates, sends notifications (docs/protocol.md, section 5)."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence, Union

from .core import TRANSIENT, Core, Phase
from .errors import ClientClosed, OutcomeUnknown, PresenceError, ProtocolError, refusal
from .outputs import Answered, Deliver, DeliverOutcomes, Send
from .values import Batch, Delivery, Outcome, OutcomeBatch, Update

_AUTH, _PING = "auth", "ping"
_FULL = 122
"""Too many channels of this application; another one may end."""
_LOST = "the connection ended before the answer: the notifications may have been accepted or not"


class AppServiceCore(Core):
    """One channel of an application's service, over all its connections.

    :param key: API key of the application.
    :param cursor: position of a stored table; None begins with a snapshot.
    :param random: returns a number from 0 to 1, for the backoff.
    :param outcomes: cursor of the outcomes of notifications, "" for all that are stored; None to receive none.
    :ivar connections: number of sign-ins so far.
    """

    def __init__(self, key: str, cursor: str | None, random: Callable[[], float], outcomes: str | None = None) -> None:
        super().__init__(random)
        self._key = key
        self._cursor, self._outcomes = cursor, outcomes
        self.connections = 0
        self._pages: List[Update] = []  # of an incomplete snapshot, which another connection may continue
        self._resume: str | None = None  # where it continues
        self._begins = False  # the next frame of a snapshot is the first one of this connection
        self._replaying = False
        self._number = 0
        self._requests: Dict[int, Dict[str, Any]] = {}  # without an answer
        self._sent: Dict[int, None] = {}  # those of them that were sent on this connection

    @property
    def has_requests(self) -> bool:
        """True if a request has no answer yet."""
        return bool(self._requests)

    @property
    def settled(self) -> bool:
        """True if a client that closes now has no answer to wait for."""
        return self.phase is not Phase.CONNECTED or not self._sent

    def notify(self, notifications: Sequence[Mapping[str, Any]]) -> int:
        """Send 1 to 100 notifications, now or once signed in; return the number that the answer will have."""
        self._number += 1
        number = self._number
        if self.phase is Phase.STOPPED:
            self._put(Answered(number, self.error or ClientClosed()))
            return number
        self._requests[number] = {"action": "notify", "notifications": list(notifications), "id": number}
        if self.phase is Phase.CONNECTED:
            self._send_request(number)
        return number

    def abandon(self, number: int) -> bool:
        """Expect no answer to a request any more, and send it no more; return True if it was sent."""
        self._requests.pop(number, None)
        return self._sent.pop(number, self) is not self

    def _send_request(self, number: int) -> None:
        self._sent[number] = None
        self._put(Send(self._requests[number]))

    def _sign_in(self) -> None:
        frame = {"action": "auth", "key": self._key, "id": _AUTH}
        since = self._cursor if self._resume is None else self._resume
        if since is not None:
            frame["since"] = since
        if self._outcomes is not None:
            frame["outcomes"] = self._outcomes
        self._put(Send(frame))

    def _frame(self, frame: Dict[str, Any], now: float) -> None:
        if "updates" in frame:
            self._deliver(_updates(frame["updates"]), _cursor(frame), "replay" if self._replaying else "update")
        elif "snapshot" in frame:
            self._snapshot(frame)
        elif "outcomes" in frame:
            batch = OutcomeBatch(_outcomes(frame["outcomes"]), _cursor(frame))
            self._outcomes = batch.cursor
            self._put(DeliverOutcomes(batch))
        elif frame.get("id") == _AUTH:
            self._authenticated(frame, now)
        elif frame.get("id") == _PING and self._replaying:  # refused (108) by an older service, which also handles frames in order
            self._replaying = False
            self._deliver([], self._cursor or "", "replay", self.connections)
        elif type(frame.get("id")) is int and frame["id"] in self._requests:
            self._answer(frame)

    def _authenticated(self, frame: Dict[str, Any], now: float) -> None:
        if frame.get("result") == "OK":
            self.connections += 1
            self._begins = True
            self._signed_in(now)
            if frame.get("recovery") == "replayed":
                self._replaying = True
                self._put(Send({"action": "ping", "id": _PING}))
            for number in self._requests:
                self._send_request(number)
        else:
            error = refusal(frame)
            self._sign_in_refused(error, error.errno in (*TRANSIENT, _FULL), now)

    def _snapshot(self, frame: Dict[str, Any]) -> None:
        if self._begins and frame.get("continued") is not True:
            self._pages = []
        self._begins = False
        self._pages += _updates(frame["snapshot"], "snapshot")
        self._resume = _resume(frame)
        if frame.get("last"):
            pages, self._pages = self._pages, []
            self._deliver(pages, _cursor(frame), "snapshot", self.connections)

    def _deliver(self, updates: List[Update], cursor: str, origin: str, completes: int = 0) -> None:
        self._cursor = cursor
        self._put(Deliver(Batch(updates, cursor, origin, completes)))

    def _answer(self, frame: Dict[str, Any]) -> None:
        number = frame["id"]
        if frame.get("result") == "OK":
            asked = len(self._requests[number]["notifications"])
            results: Union[Sequence[Union[Delivery, PresenceError]], PresenceError] = _results(frame.get("notifications"), asked)
        else:
            results = refusal(frame)
        self._sent.pop(number, None)
        del self._requests[number]
        self._put(Answered(number, results))

    def _connection_ended(self) -> None:
        self._replaying = False
        for number in self._sent:
            del self._requests[number]
            self._put(Answered(number, OutcomeUnknown(_LOST)))
        self._sent = {}

    def _ended(self) -> None:
        for number in self._requests:
            self._put(Answered(number, self.error or ClientClosed()))
        self._requests = {}


def _cursor(frame: Mapping[str, Any]) -> str:
    cursor = frame.get("cursor")
    if not isinstance(cursor, str):
        raise ProtocolError("cursor: text is expected")
    return cursor


def _resume(frame: Mapping[str, Any]) -> str | None:
    """Return where a snapshot continues after a frame; None after the last one, and if the service is an older one."""
    resume = frame.get("resume")
    return resume if isinstance(resume, str) and not frame.get("last") else None


def _outcomes(entries: Any) -> List[Outcome]:
    try:
        outcomes = [Outcome(entry["id"], entry["puid"], entry["outcome"], entry["at"]) for entry in entries]
    except (KeyError, TypeError, IndexError):
        raise ProtocolError("an entry of outcomes is incomplete") from None
    if not all(type(one.id) is type(one.puid) is type(one.outcome) is str and type(one.at) is int for one in outcomes):
        raise ProtocolError("an entry of outcomes has a wrong value")
    return outcomes


def _updates(entries: Any, reason: str = "") -> List[Update]:
    """Return the entries of a frame; the text of an error contains none of them."""
    try:
        updates = [Update(entry["puid"], entry["status"], reason or entry["reason"], entry["at"]) for entry in entries]
    except (KeyError, TypeError, IndexError):
        raise ProtocolError("an entry of updates or of a snapshot is incomplete") from None
    for puid, status, why, at in updates:
        if not (type(puid) is type(status) is type(why) is str and type(at) is int):
            raise ProtocolError("an entry of updates or of a snapshot has a wrong value")
    return updates


def _results(entries: Any, count: int) -> List[Union[Delivery, PresenceError]]:
    try:
        results: List[Union[Delivery, PresenceError]] = [
            Delivery(entry["puid"], entry["id"], entry["queue_size"], entry["delivered"]) if entry["result"] == "OK" else refusal(entry)
            for entry in entries
        ]
    except (KeyError, TypeError, AttributeError):
        raise ProtocolError("an answer to notify is incomplete") from None
    if len(results) != count:
        raise ProtocolError(f"an answer to {count} notifications has {len(results)} results")
    return results
