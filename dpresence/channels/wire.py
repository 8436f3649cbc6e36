"""The sending half of a websocket connection: writing, the outbox, the close handshake and the end of the socket."""

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
"""Close code of a connection that ended without a close frame; never sent (RFC 6455, 7.4.1)."""


class State(enum.Enum):
    """State of a connection. Transitions go only from an earlier member to a later one."""

    NEW = "the 101 has not been sent"
    OPEN = "open"
    CLOSING = "our close frame is queued or sent"
    CLOSED = "the socket is closed"


class Wire(WebSocket):
    """The sending half of a websocket. The subclass ``Connection`` adds reading.

    :ivar id: unguessable id, unique in this process.
    :ivar address: IP address of the client.
    """

    __slots__ = (  # saves memory: a process has thousands of connections
        *("_clean", "_code", "_deadline", "_gate", "_sock_file", "_inbox", "_outbox", "_send", "_sock", "_state", "_watcher"),
        *("address", "id"),
    )

    environ = stream = handler = None  # frees the request; the base class expects these attributes

    def __init__(self, gate: Gate, address: str) -> None:
        self.id = gate.new_id()
        self.address = address
        self._gate = gate
        self._state = State.NEW
        self._code = LOST
        self._clean = False
        self._deadline = math.inf  # of the close handshake
        self._inbox: Inbox | None = None  # None before the start, and once input is discarded
        self._outbox: Outbox | None = None
        self._sock: Any = None
        self._send: Callable[[bytes], int]
        self._sock_file: Any = None
        self._watcher: Any = None

    def __del__(self) -> None:
        """Do nothing. The inherited destructor would write to the socket."""

    @property
    def started(self) -> bool:
        """True if ``Connection.start`` was called. From then on, the connection calls ``Gate.leave`` itself."""
        return self._state is not State.NEW

    @property
    def closed(self) -> bool:
        """True if the connection is closing or closed, so that nothing can be sent."""
        return self._state is State.CLOSING or self._state is State.CLOSED

    @property
    def idle(self) -> bool:
        """True if the outbox is empty."""
        return self._outbox is None

    @property
    def outbox_half_full(self) -> bool:
        """True if more than half of the outbox is in use."""
        return self._outbox is not None and not self._outbox.half_free

    # What channels and the hub call

    def send(self, payload: bytes) -> None:
        """Send or queue one text message (UTF-8). Does not block; does nothing if the connection is closing or closed."""
        self.send_frame(frames.text_frame(payload))

    def send_frame(self, frame: bytes) -> None:
        """Send or queue an encoded frame (``frames.text_frame``), so that callers can encode once for many connections."""
        if self._state is not State.OPEN:
            return
        try:
            if self._outbox is None or self._outbox.fits(frame):
                self._write(frame)
            else:
                self._close_slow_reader()
        except BaseException:
            self.fail()  # the caller may have other connections to send to

    def when_sent(self, function: Callable[[], None]) -> None:
        """Call ``function``, which must neither block nor raise, once the kernel has accepted all sent frames.

        The call happens at once or in the hub. It does not happen if the connection is closing, or ends or discards frames before.
        """
        if self.closed:
            return
        if self._outbox is None:
            function()
        else:
            self._outbox.when_sent(function)

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Queue the close frame after the waiting frames; the close handshake finishes in the background. Does not block."""
        if self._state is State.OPEN:
            try:
                self._start_closing(code, frames.close_frame(code, reason))
            except BaseException:
                self._log_failure()
                self._drop(CloseCode.INTERNAL_ERROR)

    def abort(self) -> None:
        """Close the socket at once, without a close frame."""
        if self._state is not State.NEW:
            self._end()

    def fail(self) -> None:
        """Log the exception that is being handled, an internal error, and end the connection.

        The peer receives 1011 unless a frame is partly sent or the connection is closing already.
        """
        self._log_failure()
        self._inbox = None
        if self._state is State.OPEN and self._outbox is None:
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
        else:
            self._drop(CloseCode.INTERNAL_ERROR)
        self._schedule_finish()

    def _log_failure(self) -> None:
        with suppress(Exception):
            log.exception("internal error on connection %s", self.id)

    def _call_from_hub(self, function: Callable[[], None]) -> None:
        """Call ``function`` from a watcher and handle all its exceptions, which gevent's hub would only print."""
        try:
            function()
        except BaseException:
            self.fail()

    def drain(self) -> None:
        """Block until half of the outbox is free. Only for deferred functions.

        After ``channels.send_seconds`` the connection is closed with 4102. Returns at once if the connection is closed.
        """
        if self._outbox is not None and not self._outbox.wait_until_half_free():
            self._close_slow_reader()

    def _now(self) -> float:
        return self._gate.clock.monotonic()

    def _ended(self) -> bool:
        return self._state is State.CLOSED

    # Writing: to the socket first; bytes that it does not accept go to the outbox

    def _write(self, frame: bytes) -> None:
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
            self._queue_rest(frame, sent)

    def _queue_rest(self, frame: bytes, sent: int) -> None:
        """Create the outbox for a frame that the socket did not accept completely."""
        limits, clock = self._gate.settings.channels, self._gate.clock
        try:
            self._outbox = Outbox(self._sock, frame, sent, limits, clock, self._emptied, self._end, self._call_from_hub)
        except BaseException:
            self._drop(CloseCode.INTERNAL_ERROR)  # no frame can follow a partly sent one
            raise

    def _emptied(self) -> None:
        self._outbox = None
        if self._state is State.CLOSING:
            self._close_frame_sent()

    # Closing

    def _close_slow_reader(self) -> None:
        """Discard the queued frames and close with 4102."""
        if self._outbox is not None:
            self._outbox.discard_queued()
        self.close(CloseCode.SLOW_READER, "too slow")

    def _drop(self, code: int) -> None:
        """Close the socket without a close frame; report ``code`` to the channel unless it was closing already."""
        if self._state is State.OPEN:
            self._code = code
        self._end()

    def _start_closing(self, code: int, frame: bytes) -> None:
        self._state, self._code = State.CLOSING, code
        self._write(frame)
        self._deadline = self._now() + self._gate.settings.channels.send_seconds
        if self._outbox is None and not self._ended():
            self._close_frame_sent()

    def _close_frame_sent(self) -> None:
        """Close the socket if the peer's close frame has come, else wait for it for ``channels.close_seconds``.

        After a protocol violation, input cannot be parsed. The socket is then half-closed and its input is discarded: closing it
        with unread bytes would send RST, and the peer could lose the close frame.
        """
        if self._clean:
            self._end()
            return
        self._deadline = self._now() + self._gate.settings.channels.close_seconds
        if self._inbox is None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def _peer_closed(self, event: frames.Close) -> None:
        """Answer the peer's close frame with its code, or finish the handshake that we began (RFC 6455, 5.5.1)."""
        self._inbox, self._clean = None, True
        if self._state is State.OPEN:
            self._start_closing(event.code, frames.close_frame(event.code))
        elif self._outbox is None:
            self._end()

    def _end(self) -> None:
        """Close the socket. ``Channel.closed`` is called after the current run of this connection."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        outbox, self._outbox, self._inbox = self._outbox, None, None
        with ExitStack() as steps:  # runs all steps, last added first, even if one of them raises
            steps.callback(self._schedule_finish)
            for closable in (self._sock, self._sock_file, self._watcher):
                if closable is not None:
                    steps.callback(closable.close)
            if self._watcher is not None:
                steps.callback(self._watcher.stop)
            if outbox is not None:
                steps.callback(outbox.stop)

    @abstractmethod
    def _schedule_finish(self) -> None:
        """Schedule a run that finishes the connection if it has ended. Idempotent; may be called from any greenlet."""
