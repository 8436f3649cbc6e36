"""The part of both cores that connects, signs in, waits and comes back. It does no I/O: the shell passes events and the time.

Each event may add outputs, which the shell takes with ``take`` and carries out, in order. ``deadline`` is the time at which the shell
calls ``tick``, unless another event comes first.
"""

from __future__ import annotations

import enum
import json
import logging
from abc import ABC, abstractmethod
from typing import Any, Callable, Dict, List, Mapping

from .errors import PresenceError, ProtocolError, Refused, closing, refusal
from .outputs import Connect, Connected, Disconnect, Output, Stopped
from .retry import Retry, RetrySchedule, after_close, retry_after

log = logging.getLogger("dpresence_client")

ANSWER_SECONDS = 15.0
"""Limit for opening the websocket and signing in, and for an answer; after it the connection is treated as dead."""
TRANSIENT = (117, 201, 999)
"""Errnos of a refused sign-in after which the client tries again."""
STOPPED = "the client stopped: %s"
_NO_UPGRADE = 108
_TRANSIENT_HTTP = (408, 425, 429)
_BLOCKED = "a proxy on the way does not pass the websocket's Upgrade and Connection headers on"


class Phase(enum.Enum):
    """The phase of a connection that a client is in."""

    IDLE = "idle"
    ASKING = "asking for credentials"
    CONNECTING = "connecting"
    SIGNING_IN = "signing in"
    CONNECTED = "connected"
    WAITING = "waiting"
    STOPPED = "stopped"


class Core(ABC):
    """One channel over all its connections.

    :param random: returns a number from 0 to 1, for the backoff.
    :ivar phase: where the client is.
    :ivar error: the last problem, or None while connected.
    :ivar blocked: a proxy did not pass a websocket on; the shell connects without one.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self.phase = Phase.IDLE
        self.error: PresenceError | None = None
        self.reason = ""
        self.blocked = False
        self._retries = RetrySchedule(random)
        self._deadline: float | None = None
        self._outputs: List[Output] = []

    # -- for the shell

    def take(self) -> List[Output]:
        """Return the new outputs, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    @property
    def deadline(self) -> float | None:
        """Time of the next ``tick``; None if there is none."""
        return self._deadline

    @property
    def settled(self) -> bool:
        """True if a client that closes now has nothing left to send and no answer to wait for."""
        return True

    # -- events

    def start(self, now: float) -> None:
        """Begin to connect."""
        if self.phase is Phase.IDLE:
            self._begin(now)

    def stop(self, error: PresenceError | None = None) -> None:
        """Disconnect and stop for good."""
        if self.phase is Phase.STOPPED:
            return
        self._end_connection()
        self.phase, self._deadline, self.error = Phase.STOPPED, None, error
        if error is not None:
            log.error(STOPPED, error)
        self._ended()
        self._put(Stopped(error))

    def opened(self, now: float) -> None:
        """Handle an open websocket."""
        if self.phase is Phase.CONNECTING:
            self.phase, self._deadline = Phase.SIGNING_IN, now + ANSWER_SECONDS
            self._sign_in()

    def received(self, data: str | bytes, now: float) -> None:
        """Handle a message. One that is not understood ends the connection; unknown fields and unknown frames are ignored."""
        if self.phase not in (Phase.SIGNING_IN, Phase.CONNECTED):
            return
        try:
            self._frame(_parse(data), now)
        except ProtocolError as error:
            log.error("the service sent a bad frame: %s", error)
            self._wait(Retry.LATER, 0, str(error), now, code=1002)

    def closed(self, code: int, reason: str, now: float) -> None:
        """Handle the end of the connection, or of an attempt; without a close frame, the code is 1006."""
        if self.phase not in (Phase.CONNECTING, Phase.SIGNING_IN, Phase.CONNECTED):
            return
        retry = after_close(code)
        if self.phase is not Phase.CONNECTING:
            self._connection_ended()
        self.phase = Phase.IDLE  # there is no connection that would have to be closed
        if retry is Retry.STOP:
            self.stop(closing(code, reason))
        else:
            self._wait(retry, retry_after(reason), reason or f"the connection ended ({code})", now)

    def refused(self, status: int, body: str | bytes, retry_after: int, now: float) -> None:
        """Handle an HTTP answer to the handshake other than 101.

        :param body: the error object of section 7, or what a proxy sent.
        :param retry_after: seconds of the header ``Retry-After``; 0 without it.
        """
        if self.phase is not Phase.CONNECTING:
            return
        error = _handshake_error(status, body)
        self.phase, self.error = Phase.IDLE, error
        if error.errno == _NO_UPGRADE:
            self.blocked, self.reason = True, _BLOCKED
            log.warning("connecting without a websocket: %s", _BLOCKED)
            self._connect(now)
        elif status >= 500 or status in _TRANSIENT_HTTP:
            self._wait(Retry.SLOT if error.retry_after else Retry.LATER, error.retry_after or retry_after, str(error), now)
        else:
            self.stop(error)

    def tick(self, now: float) -> None:
        """Handle the time."""
        if self._deadline is None or now < self._deadline:
            return
        if self.phase is Phase.WAITING:
            self._begin(now)
        elif self.phase in (Phase.CONNECTING, Phase.SIGNING_IN):
            self._wait(Retry.SOON, 0, "no answer", now)

    # -- for the two cores

    def _put(self, output: Output) -> None:
        self._outputs.append(output)

    def _begin(self, now: float) -> None:
        """Begin an attempt."""
        self._connect(now)

    def _connect(self, now: float) -> None:
        self.phase, self._deadline = Phase.CONNECTING, now + ANSWER_SECONDS
        self._put(Connect())

    def _signed_in(self, now: float) -> None:
        self.phase, self._deadline, self.error, self.reason = Phase.CONNECTED, None, None, ""
        self._retries.connected(now)
        log.info("connected")
        self._put(Connected())

    def _sign_in_refused(self, error: Refused, transient: bool, now: float) -> None:
        """Wait and try again after a transient refusal, otherwise stop."""
        if transient:
            self._wait(Retry.LATER, error.retry_after or 0, str(error), now)
        else:
            self.stop(error)

    def _wait(self, retry: Retry, least: float, reason: str, now: float, code: int = 1000) -> None:
        """End the connection, if there is one, and wait for the next attempt."""
        self._end_connection(code)
        self.phase, self.reason = Phase.WAITING, reason
        self._deadline = self._retries.failed(retry, least, now)
        log.warning("not connected: %s; next attempt in %.1f s", reason, self._deadline - now)

    def _end_connection(self, code: int = 1000) -> None:
        if self.phase in (Phase.SIGNING_IN, Phase.CONNECTED):
            self._connection_ended()
        if self.phase in (Phase.CONNECTING, Phase.SIGNING_IN, Phase.CONNECTED):
            self._put(Disconnect(code))

    @abstractmethod
    def _sign_in(self) -> None:
        """Send the frame that signs in."""

    @abstractmethod
    def _frame(self, frame: Dict[str, Any], now: float) -> None:
        """Handle a frame.

        :raises ProtocolError: a known field has a value that the protocol does not allow.
        """

    @abstractmethod
    def _connection_ended(self) -> None:
        """Reset the state of one connection."""

    @abstractmethod
    def _ended(self) -> None:
        """Handle the final stop."""


def _parse(data: str | bytes) -> Dict[str, Any]:
    if not isinstance(data, str):
        raise ProtocolError("a binary message")
    try:
        frame = json.loads(data)
    except (ValueError, RecursionError):
        raise ProtocolError("not JSON") from None
    if not isinstance(frame, dict):
        raise ProtocolError("not a JSON object")
    return frame


def _handshake_error(status: int, body: str | bytes) -> Refused:
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    known: Mapping[str, Any] = answer if isinstance(answer, dict) and isinstance(answer.get("errno"), int) else {}
    return refusal(known or {"error": f"the handshake was answered with HTTP {status}"}, status)
