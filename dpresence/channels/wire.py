"""The sending half of a websocket connection, and its end: the outbox, the close handshake, the socket's last moment."""

from __future__ import annotations

import enum
import logging
import math
import socket
from abc import abstractmethod
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from geventwebsocket.websocket import WebSocket

from ..errors import CloseCode
from . import frames
from .gate import Gate
from .inbox import Inbox
from .outbox import WOULD_BLOCK, Outbox

log = logging.getLogger(__name__)

LOST = 1006
"""The peer was lost without a close frame; never sent (RFC 6455, 7.4.1)."""


class State(enum.Enum):
    """Where a connection is in its life; it never goes back."""

    NEW = "the 101 is not out"
    OPEN = "open"
    CLOSING = "a close frame of ours is on its way or sent"
    CLOSED = "the socket is gone"


class Wire(WebSocket):
    """A socket that is written to. What is read from it, and when, is up to ``Connection``.

    :ivar id: unique in this process and not to be guessed.
    :ivar address: IP address of the client.
    """

    __slots__ = (  # lean: there are thousands
        *("_clean", "_code", "_deadline", "_gate", "_hold", "_inbox", "_outbox", "_send", "_sock", "_state", "_watcher"),
        *("address", "id"),
    )

    environ = stream = handler = None  # nothing of the request is kept

    def __init__(self, gate: Gate, address: str) -> None:
        self.id = gate.name()
        self.address = address
        self._gate = gate
        self._state = State.NEW
        self._code = LOST
        self._clean = False
        self._deadline = math.inf  # when to give up waiting for the end of the close handshake
        self._inbox: Inbox | None = None  # None before the start, and when nothing it says matters any more
        self._outbox: Outbox | None = None
        self._sock: Any = None
        self._send: Callable[[bytes], int]
        self._hold: Any = None
        self._watcher: Any = None

    def __del__(self) -> None:
        """Do nothing: a destructor has no business writing to a socket, as the inherited one does."""

    @property
    def started(self) -> bool:
        """Whether the socket was handed over: from then on it leaves the gate by itself."""
        return self._state is not State.NEW

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._state is State.CLOSING or self._state is State.CLOSED

    @property
    def idle(self) -> bool:
        """Whether nothing that was offered waits."""
        return self._outbox is None

    @property
    def behind(self) -> bool:
        """Whether more than half of the outbox is taken."""
        return self._outbox is not None and not self._outbox.half_free

    # What channels and the hub call

    def send(self, payload: bytes) -> None:
        """Offer one text message (UTF-8). Never waits; nothing happens when the connection is closing or closed."""
        self.send_frame(frames.text_frame(payload))

    def send_frame(self, frame: bytes) -> None:
        """Offer a ready-made frame (``frames.text_frame``): encode once, send to many."""
        if self._state is not State.OPEN:
            return
        try:
            if self._outbox is None or self._outbox.fits(frame):
                self._put(frame)
            else:
                self._too_slow()
        except BaseException:
            self.fail()  # it concerns this connection, not whoever sends to many

    def when_sent(self, function: Callable[[], None]) -> None:
        """Call ``function``, which must neither wait nor raise, once the system has taken all that was offered.

        At once, or from the hub; never, if the connection is closing already, or ends or drops what waits before that.
        """
        if self.closed:
            return
        if self._outbox is None:
            function()
        else:
            self._outbox.when_sent(function)

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Send what waits, then the close frame, once; finish the close handshake in the background. Never waits."""
        if self._state is State.OPEN:
            try:
                self._closing(code, frames.close_frame(code, reason))
            except BaseException:
                self._log_failure()
                self._drop(CloseCode.INTERNAL_ERROR)

    def abort(self) -> None:
        """Drop the connection at once, without a close frame."""
        if self._state is not State.NEW:
            self._end()

    def fail(self) -> None:
        """End the connection because of the exception that is being handled, an error of ours.

        The peer is sent 1011 if that is still possible: not behind half a frame, and not when closing has failed as well.
        """
        self._log_failure()
        self._inbox = None
        if self._state is State.OPEN and self._outbox is None:
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
        else:
            self._drop(CloseCode.INTERNAL_ERROR)
        self._ask_for_turn()

    def _log_failure(self) -> None:
        with suppress(Exception):
            log.exception("internal error on connection %s", self.id)

    def _guarded(self, function: Callable[[], None]) -> None:
        """Call ``function``: the outermost call of a watcher, whose exceptions nobody else would handle."""
        try:
            function()
        except BaseException:
            self.fail()

    def drain(self) -> None:
        """Inside a deferred function: wait until half of the outbox is free.

        Waits ``channels.send_seconds`` at most, then the connection is closed with 4102. Returns at once when it is closed.
        """
        if self._outbox is not None and not self._outbox.wait_until_half_free():
            self._too_slow()

    def _now(self) -> float:
        return self._gate.clock.monotonic()

    def _gone(self) -> bool:
        return self._state is State.CLOSED

    # Writing: straight to the socket, what it does not take to the outbox

    def _put(self, frame: bytes) -> None:
        if self._outbox is not None:
            self._outbox.put(frame)
            return
        try:
            sent = self._send(frame)
        except WOULD_BLOCK:
            sent = 0
        except OSError:
            self._end()
            return
        if sent < len(frame):
            self._keep(frame, sent)

    def _keep(self, frame: bytes, sent: int) -> None:
        """Put what the socket did not take into a new outbox."""
        limits, clock = self._gate.settings.channels, self._gate.clock
        try:
            self._outbox = Outbox(self._sock, frame, sent, limits, clock, self._emptied, self._end, self._guarded)
        except BaseException:
            self._drop(CloseCode.INTERNAL_ERROR)  # nothing can follow half a frame
            raise

    def _emptied(self) -> None:
        self._outbox = None
        if self._state is State.CLOSING:
            self._close_is_out()

    # Closing

    def _too_slow(self) -> None:
        """Drop what waits and say why."""
        if self._outbox is not None:
            self._outbox.discard_queued()
        self.close(CloseCode.SLOW_READER, "too slow")

    def _drop(self, code: int) -> None:
        """End without a close frame, remembering why."""
        if self._state is State.OPEN:
            self._code = code
        self._end()

    def _closing(self, code: int, frame: bytes) -> None:
        self._state, self._code = State.CLOSING, code
        self._put(frame)
        self._deadline = self._now() + self._gate.settings.channels.send_seconds
        if self._outbox is None and not self._gone():
            self._close_is_out()

    def _close_is_out(self) -> None:
        """Our close frame is sent: the end if the peer's has come, else it has some time.

        One that broke the protocol cannot be understood any more: it is told to hang up by hanging up on our side only,
        because a socket closed with bytes unread takes the close frame back from the peer.
        """
        if self._clean:
            self._end()
            return
        self._deadline = self._now() + self._gate.settings.channels.close_seconds
        if self._inbox is None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def _peer_closed(self, event: frames.Close) -> None:
        """Answer the peer's close frame with its code, or see ours answered (RFC 6455, 5.5.1)."""
        self._inbox, self._clean = None, True
        if self._state is State.OPEN:
            self._closing(event.code, frames.close_frame(event.code))
        elif self._outbox is None:
            self._end()

    def _end(self) -> None:
        """Close the socket; the channel hears of it when whatever runs for this connection is done."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        outbox, self._outbox, self._inbox = self._outbox, None, None
        with ExitStack() as steps:  # each runs, also when another one raises; the last one added is the first
            steps.callback(self._ask_for_turn)
            for closable in (self._sock, self._hold, self._watcher):
                if closable is not None:
                    steps.callback(closable.close)
            if self._watcher is not None:
                steps.callback(self._watcher.stop)
            if outbox is not None:
                steps.callback(outbox.stop)

    @abstractmethod
    def _ask_for_turn(self) -> None:
        """Have a turn look at what has become of the connection; from anywhere, any number of times."""
