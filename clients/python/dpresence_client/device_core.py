"""The core of a device: signs in, keeps its ticket, sets its status, acknowledges notifications (docs/protocol.md, section 3)."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Mapping

from .acknowledgements import Acknowledgements, inbox_event, parsed
from .core import ANSWER_SECONDS, TRANSIENT, Core, Phase, log
from .errors import Refused, SignedOut, refusal
from .outputs import AskCredentials, Notified, SaveTicket, Send
from .retry import Retry

MAX_REFUSED = 3
"""Number of refused assertions in a row after which the client stops."""
_SIGN_IN, _STATUS, _RENEWAL, _ACK, _READ, _OVERRIDE = "sign-in", "status", "renewal", "ack", "read", "override"
_INVALID, _SLOW_DOWN, _ENDED = 34, 117, 130
_UNAVAILABLE = (201, 999)
_LEAST_SECONDS = 1
_SIGNED_OUT = 4009


class DeviceCore(Core):
    """One device of a user, over all its connections. At most one status and one acknowledgement wait for an answer at any time.

    :param email: e-mail address of the user.
    :param status: first status.
    :param ticket: stored ticket; None without one.
    :param random: returns a number from 0 to 1, for the backoff.
    :param first: optional fields of the first frame: ``device``, ``inbox``, ``clears``, ``label``, ``kind``; None and False are left out.
    :ivar status: the status that this device has or will have.
    """

    def __init__(self, email: str, status: str, ticket: str | None, random: Callable[[], float], first: Mapping[str, Any]) -> None:
        super().__init__(random)
        self.status = status
        self._email, self._ticket = email, ticket
        self._first = {name: value for name, value in first.items() if value not in (None, False)}
        self._assertion: str | None = None
        self._asking = self._renewing = False
        self._refused = 0
        self._receipts = {action: Acknowledgements() for action in (_ACK, _READ, "shown", "opened")}
        self._confirmed: str | None = None  # the status that the service has, or applies by itself
        self._in_flight: str | None = None
        self._status_not_before = 0.0
        self._repeat_at: float | None = None  # after errno 201
        self._override: Dict[str, Any] | None = None  # fields of the change that the service has not answered yet; the latest one
        self._override_sent: Dict[str, Any] | None = None
        self._override_not_before = 0.0
        self._answer_by: Dict[str, float] = {}

    # -- for the program

    def set_status(self, status: str, now: float) -> None:
        """Set the status, now or once signed in. The latest one wins."""
        self.status = status
        self._flush(now)

    def set_override(self, status: str | None, until: int | None, now: float) -> None:
        """Set or end the status of the whole person, now or once signed in. The latest change wins."""
        self._override = {"override": status} if until is None else {"override": status, "until": until}
        self._flush(now)

    def acknowledge(self, ids: Iterable[str], now: float) -> None:
        """Acknowledge notifications that the program has processed."""
        self.report(_ACK, ids, now)

    def mark_read(self, ids: Iterable[str], now: float) -> None:
        """Mark notifications as read."""
        self.report(_READ, ids, now)

    def report(self, action: str, ids: Iterable[str], now: float) -> None:
        """Send ``ack``, ``read``, ``shown`` or ``opened`` for notifications."""
        self._receipts[action].processed(ids)
        self._flush(now)

    def failed(self, ids: Iterable[str]) -> None:
        """Note that the program could not process notifications; the next connection shows them again."""
        self._receipts[_ACK].failed(ids)

    def credentials(self, assertion: str | None, now: float) -> None:
        """Handle an assertion or ticket from ``AskCredentials``; None means that nobody is signed in."""
        self._asking = False
        if assertion is None and self.phase in (Phase.ASKING, Phase.CONNECTED):
            self.stop(SignedOut(_SIGNED_OUT, "the credentials say that nobody is signed in"))
        elif assertion is not None and self.phase is Phase.ASKING:
            self._assertion = assertion
            self._connect(now)
        elif assertion is not None and self._renewing:
            self._send_update(_RENEWAL, now, assertion=assertion, ticket=True)

    def credentials_failed(self, text: str, least: float, now: float) -> None:
        """Handle credentials that could not be obtained now.

        :param least: least number of seconds until the next attempt.
        """
        self._asking = False
        if self.phase is Phase.ASKING or self._renewing:
            self._wait(Retry.LATER, least, text, now)

    @property
    def deadline(self) -> float | None:
        """Time of the next ``tick``; None if there is none."""
        if self.phase is not Phase.CONNECTED:
            return self._deadline
        times: List[float] = list(self._answer_by.values())
        if self._repeat_at is not None:
            times.append(self._repeat_at)
        elif self._status_differs:
            times.append(self._status_not_before)
        if self._override_waits and self._repeat_at is None:
            times.append(self._override_not_before)
        return min(times, default=None)

    @property
    def settled(self) -> bool:
        """True if a client that closes now has nothing left to send and no answer to wait for."""
        done = self._override is None and all(ids.settled for ids in self._receipts.values())
        return self.phase is not Phase.CONNECTED or (self._confirmed == self.status and done)

    def tick(self, now: float) -> None:
        """Handle the time."""
        super().tick(now)
        if self.phase is not Phase.CONNECTED:
            return
        if any(now >= until for until in self._answer_by.values()):
            self._wait(Retry.SOON, 0, "no answer", now)
            return
        if self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = None
        self._flush(now)

    # -- connecting

    def _begin(self, now: float) -> None:
        if self._ticket is not None:
            self._connect(now)
            return
        self.phase, self._deadline = Phase.ASKING, None  # a person may have to do something
        self._ask()

    def _ask(self) -> None:
        if not self._asking:
            self._asking = True
            self._put(AskCredentials())

    def _sign_in(self) -> None:
        self._in_flight = self.status
        frame = {"email": self._email, "assertion": self._ticket or self._assertion, "status": self.status, **self._first}
        self._put(Send({**frame, "ack": True, "ticket": True, "id": _SIGN_IN}))

    def _frame(self, frame: Dict[str, Any], now: float) -> None:
        if isinstance(frame.get("ticket"), str):
            self._save_ticket(frame["ticket"])
        if "notifications" in frame:
            new = self._receipts[_ACK].add(parsed(frame["notifications"]))
            self._flush(now)
            if new:
                self._put(Notified(new))
            return
        if about_inbox := inbox_event(frame):
            self._put(about_inbox)
            return
        id_ = frame.get("id")
        error = None if frame.get("result") == "OK" else refusal(frame)
        if id_ == _SIGN_IN:
            self._sign_in_answered(error, now)
        elif isinstance(id_, str) and self._answer_by.pop(id_, None) is not None:
            answered = {_STATUS: self._status_answered, _RENEWAL: self._renewal_answered}
            answered |= {action: partial(self._ids_answered, ids) for action, ids in self._receipts.items()}
            answered[_OVERRIDE] = self._override_answered
            answered[id_](error, now)

    def _sign_in_answered(self, error: Refused | None, now: float) -> None:
        if error is None:
            self._refused, self._confirmed, self._in_flight = 0, self._in_flight, None
            self._signed_in(now)
            self._flush(now)
        elif error.errno == _INVALID:
            self._credentials_refused(error, now)
        else:
            self._sign_in_refused(error, error.errno in TRANSIENT, now)

    def _credentials_refused(self, error: Refused, now: float) -> None:
        """Try again with new credentials; stop after ``MAX_REFUSED`` in a row."""
        self._save_ticket(None)
        self._refused += 1
        if self._refused < MAX_REFUSED:
            self._wait(Retry.SOON, error.retry_after or 0, str(error), now)
        else:
            self.stop(error)

    # -- connected

    def _status_answered(self, error: Refused | None, now: float) -> None:
        status, self._in_flight = self._in_flight, None
        if error is None:
            self._confirmed = status
        elif error.errno == _SLOW_DOWN:  # the service applies the status by itself when the time is over
            self._confirmed, self._status_not_before = status, now + (error.retry_after or _LEAST_SECONDS)
        elif error.errno == _ENDED:
            self._renew()
        elif error.errno in _UNAVAILABLE:
            self._repeat_at = now + (error.retry_after or _LEAST_SECONDS)
        else:
            self._wait(Retry.LATER, 0, str(error), now)
        self._flush(now)

    def _renew(self) -> None:
        if not self._renewing:
            self._renewing = True
            self._save_ticket(None)
            self._ask()

    def _override_answered(self, error: Refused | None, now: float) -> None:
        sent, self._override_sent = self._override_sent, None
        if error is not None and error.errno == _ENDED:
            self._renew()
        elif error is not None and error.errno in TRANSIENT:
            self._override_not_before = now + (error.retry_after or _LEAST_SECONDS)
        else:
            self._override = None if self._override is sent else self._override
            if error is not None:
                log.warning("a status of the person was refused: %s", error)
        self._flush(now)

    def _renewal_answered(self, error: Refused | None, now: float) -> None:
        status, self._in_flight, self._renewing = self._in_flight, None, False
        if error is None or error.errno == _SLOW_DOWN:
            self._confirmed = status
            self._flush(now)
        else:
            self._wait(Retry.RENEW, error.retry_after or 0, str(error), now)

    def _ids_answered(self, ids: Acknowledgements, error: Refused | None, now: float) -> None:
        transient = error is not None and error.errno in (*TRANSIENT, _ENDED)
        ids.answered(discard=not transient)
        if error is not None:
            log.warning("an acknowledgement was refused: %s", error)
        if error is not None and transient:
            self._repeat_at = now + (error.retry_after or _LEAST_SECONDS)
        self._flush(now)

    @property
    def _status_differs(self) -> bool:
        return self.status != self._confirmed and self._in_flight is None and not self._renewing

    @property
    def _override_waits(self) -> bool:
        return self._override is not None and self._override_sent is None and not self._renewing

    def _flush(self, now: float) -> None:
        """Send what has yet to be sent and may be sent now."""
        if self.phase is not Phase.CONNECTED or self._repeat_at is not None:
            return
        if self._status_differs and (now >= self._status_not_before or self.status == "offline"):
            self._send_update(_STATUS, now)
        if self._override is not None and self._override_waits and now >= self._override_not_before:
            self._override_sent = self._override
            self._send(_OVERRIDE, now, {"email": self._email, **self._override})
        for action, queue in self._receipts.items():
            ids = queue.next() if action not in self._answer_by else ()
            if ids:
                self._send(action, now, {"action": action, "notifications": list(ids)})

    def _send_update(self, id_: str, now: float, **fields: Any) -> None:
        self._in_flight = self.status
        self._send(id_, now, {"email": self._email, "status": self.status, **fields})

    def _send(self, id_: str, now: float, frame: Dict[str, Any]) -> None:
        self._answer_by[id_] = now + ANSWER_SECONDS
        self._put(Send({**frame, "id": id_}))

    # -- the end of a connection

    def closed(self, code: int, reason: str, now: float) -> None:
        """Handle the end of the connection; a session that has ended, and a sign-out, end the ticket as well."""
        if code in (4202, _SIGNED_OUT):
            self._save_ticket(None)
        super().closed(code, reason, now)

    def _connection_ended(self) -> None:
        for ids in self._receipts.values():
            ids.answered(discard=False)
        self._answer_by = {}
        self._confirmed = self._in_flight = self._repeat_at = self._override_sent = None
        self._renewing = False
        self._status_not_before = self._override_not_before = 0.0

    def _ended(self) -> None:
        self._asking = False

    def _save_ticket(self, ticket: str | None) -> None:
        if ticket != self._ticket:
            self._ticket = ticket
            self._put(SaveTicket(ticket))
