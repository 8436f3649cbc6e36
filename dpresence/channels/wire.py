"""The socket of a websocket: writing, the send buffer, the close handshake and the end of the socket."""

from __future__ import annotations

import _socket
import enum
import logging
import math
import socket
import ssl
from abc import abstractmethod
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from ..errors import CloseCode
from . import frames
from .connection_scheduler import ConnectionScheduler
from .gate import Gate
from .send_buffer import WOULD_BLOCK, SendBuffer

log = logging.getLogger(__name__)

LOST = 1006
"""Close code of a connection that ended without a close frame; never sent (RFC 6455, 7.4.1)."""
RECEIVE_BYTES = 16384
"""Maximum size of one read; also the size of a TLS record."""


class State(enum.Enum):
    """State of a connection. Transitions go only from an earlier member to a later one."""

    NEW = "the 101 has not been sent"
    OPEN = "open"
    CLOSING = "the server's close frame is queued or sent"
    CLOSED = "the socket is closed"


OPEN = State.OPEN
"""For the fast path: a member of an enumeration costs as much as a call."""


class Wire(ConnectionScheduler):
    """The part of a connection that has its socket and its state. Its methods do not block, except ``drain``.

    :ivar state: see ``State``.
    :ivar tls_file: a file of a TLS socket, for which the watcher may not fire although decrypted bytes are left; None if it is plain.
    :ivar code: the close code that was sent or received first; 1006 without one.
    :ivar clean: the peer has sent a close frame.
    :ivar discards: received bytes are discarded: the peer has sent a close frame or broken the protocol, or an internal error occurred.
    """

    __slots__ = ("_close_deadline", "_gate", "_send_buffer", "_sock", "clean", "code", "discards", "state", "tls_file")

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.new_id())
        self.state = State.NEW
        self.code = LOST
        self.clean = self.discards = False
        self._gate = gate
        self._close_deadline = math.inf  # of the close handshake
        self._send_buffer: SendBuffer | None = None
        self._sock: Any = None
        self.tls_file: Any = None

    def attach(self, sock: Any) -> None:
        """Take over a non-blocking socket: gevent's, plain or TLS, or the C module's. The caller may close a TLS socket.

        Of a plain socket only the object of the C module remains. gevent's own has two watchers and a hub, which nothing here uses:
        1 KiB per connection.
        """
        if isinstance(sock, ssl.SSLSocket):
            self._sock, self.tls_file = sock, sock.makefile("rb", 0)  # the socket stays open until its last file is closed
        elif isinstance(sock, _socket.socket):
            self._sock = sock
        else:
            self._sock = _socket.socket(sock.family, sock.type, sock.proto, sock.detach())
            self._sock.setblocking(False)

    @property
    def closed(self) -> bool:
        """True if the connection is closing or closed, so that nothing can be sent."""
        return self.state is State.CLOSING or self.state is State.CLOSED

    @property
    def idle(self) -> bool:
        """True if the send buffer is empty."""
        return self._send_buffer is None

    @property
    def backlog(self) -> tuple[int, bool]:
        """Bytes in the send buffer, and whether more than half of it is in use."""
        return (self._send_buffer.size, not self._send_buffer.half_free) if self._send_buffer else (0, False)

    # Reading

    @abstractmethod
    def on_readable(self) -> None:
        """Handle that bytes may have arrived, in the event loop. Must not raise."""

    def watch(self) -> None:
        """Call ``on_readable`` in the event loop whenever bytes have arrived, until ``unwatch``."""
        self._gate.readiness.watch(self._sock.fileno(), self)

    def unwatch(self) -> None:
        """Stop ``watch``. Idempotent."""
        self._gate.readiness.unwatch(self._sock.fileno())

    def receive(self) -> bytes:
        """Read up to ``RECEIVE_BYTES``; return b"" if there are none. At the end of the stream, the socket is closed."""
        try:
            data: bytes = self._sock.recv(RECEIVE_BYTES)
        except WOULD_BLOCK:
            return b""
        except OSError:
            data = b""
        if not data:
            self.end()
        return data

    def may_have_more(self, data: bytes) -> bool:
        """Return whether more bytes than ``data`` may be available, also decrypted ones, for which ``watch`` does not fire."""
        if len(data) == RECEIVE_BYTES:
            return True
        return isinstance(self._sock, ssl.SSLSocket) and self.state is not State.CLOSED and self._sock.pending() > 0

    # Writing: to the socket first; bytes that it does not accept go to the send buffer

    def send_frame(self, frame: bytes) -> None:
        """Send or queue an encoded frame; does nothing if the connection is closing or closed."""
        if self.state is not OPEN:
            return
        try:
            self._write(frame)
        except BaseException:
            self.fail()  # the caller may have other connections to send to

    def when_sent(self, function: Callable[[], None]) -> None:
        """Call ``function`` once the kernel has accepted all sent frames; see ``ChannelConnection``."""
        if self.closed:
            return
        if self._send_buffer is None:
            function()
        else:
            self._send_buffer.when_sent(function)

    def drain(self) -> None:
        """Block until half of the send buffer is free; after ``channels.send_seconds``, close with 4102."""
        if self._send_buffer is not None and not self._send_buffer.wait_until_half_free():
            self._close_slow_reader()

    def _write(self, frame: bytes) -> None:
        """Send or queue a frame; the connection must be open, or have no send buffer."""
        if self._send_buffer is not None:
            if self._send_buffer.fits(frame):
                self._send_buffer.put(frame)
            else:
                self._close_slow_reader()
            return
        try:
            sent = self._sock.send(frame)
        except WOULD_BLOCK:
            sent = 0
        except OSError:
            self.end()
            return
        if sent < len(frame):
            self._queue_rest(frame, sent)

    def _queue_rest(self, frame: bytes, sent: int) -> None:
        """Create the send buffer for a frame that the socket did not accept completely."""
        self.tick_soon()
        try:
            limits, clock = self._gate.settings.channels, self._gate.clock
            self._send_buffer = SendBuffer(self._sock, frame, sent, limits, clock, self._emptied, self.end, self._call_from_loop)
        except BaseException:
            self.drop(CloseCode.INTERNAL_ERROR)  # no frame can follow a partly sent one
            raise

    def _emptied(self) -> None:
        self._send_buffer = None
        if self.state is State.CLOSING:
            self._close_frame_sent()

    # Closing

    def close(self, code: int, reason: str) -> None:
        """Queue the close frame after the waiting frames; the close handshake finishes in the background."""
        if self.state is State.OPEN:
            try:
                self._start_closing(code, frames.close_frame(code, reason))
            except BaseException:
                self.log_failure()
                self.drop(CloseCode.INTERNAL_ERROR)

    def fail(self) -> None:
        """Log the exception that is being handled, an internal error, and end the connection.

        The peer receives 1011 unless a frame is partly sent or the connection is closing already.
        """
        self.log_failure()
        self.discards = True
        if self.state is State.OPEN and self._send_buffer is None:
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
        else:
            self.drop(CloseCode.INTERNAL_ERROR)
        self.schedule_finish()

    def log_failure(self) -> None:
        """Log the exception that is being handled; never raises."""
        with suppress(Exception):
            log.exception("internal error on connection %s", self.id, extra={"session": self.id})

    def drop(self, code: int) -> None:
        """Close the socket without a close frame; report ``code`` to the channel unless it was closing already."""
        if self.state is State.OPEN:
            self.code = code
        self.end()

    def peer_closed(self, event: frames.Close) -> None:
        """Answer the peer's close frame with its code, or finish the handshake that the server began (RFC 6455, 5.5.1)."""
        self.discards = self.clean = True
        if self.state is State.OPEN:
            self._start_closing(event.code, frames.close_frame(event.code))
        elif self._send_buffer is None:
            self.end()

    def close_unresponsive(self, now: float) -> None:
        """Close without waiting for the peer's close frame: the next tick closes the socket."""
        self.close(CloseCode.NO_PONG, "no pong")
        self._close_deadline = now

    @property
    def write_deadline(self) -> float:
        """The time at which ``tick_wire`` may have to end an open connection; never without a send buffer."""
        return math.inf if self._send_buffer is None else self._send_buffer.progress_at + self._gate.settings.channels.send_seconds

    def tick_wire(self, now: float) -> None:
        """End a connection that does not read or does not answer the server's close frame in time.

        :param now: ``Clock.monotonic()``.
        """
        if now >= self.write_deadline:
            self.drop(CloseCode.SLOW_READER)
        elif self.state is State.CLOSING and now >= self._close_deadline:
            self.end()

    def end(self) -> None:
        """Close the socket. ``Channel.closed`` is called after the current run of the connection."""
        if self.state is State.CLOSED:
            return
        self.state, self.discards = State.CLOSED, True
        send_buffer, self._send_buffer = self._send_buffer, None
        with ExitStack() as steps:  # runs all steps, last added first, even if one of them raises
            steps.callback(self.schedule_finish)
            for closable in (self._sock, self.tls_file):
                if closable is not None:
                    steps.callback(closable.close)
            if self._sock is not None:
                steps.callback(self.unwatch)
            if send_buffer is not None:
                steps.callback(send_buffer.stop)

    def _close_slow_reader(self) -> None:
        """Discard the queued frames and close with 4102."""
        if self._send_buffer is not None:
            self._send_buffer.discard_queued()
        self.close(CloseCode.SLOW_READER, "too slow")

    def _start_closing(self, code: int, frame: bytes) -> None:
        self.tick_soon()
        self.state, self.code = State.CLOSING, code
        if self._send_buffer is None:
            self._write(frame)
        else:
            self._send_buffer.put(frame)  # whether it fits or not
        self._close_deadline = self._gate.clock.monotonic() + self._gate.settings.channels.send_seconds
        if self._send_buffer is None and self.state is State.CLOSING:
            self._close_frame_sent()

    def _close_frame_sent(self) -> None:
        """Close the socket if the peer's close frame has come, else wait for it for ``channels.close_seconds``.

        After a protocol violation, input cannot be parsed. The socket is then half-closed and its input is discarded: closing it
        with unread bytes would send RST, and the peer could lose the close frame.
        """
        if self.clean:
            self.end()
            return
        self._close_deadline = self._gate.clock.monotonic() + self._gate.settings.channels.close_seconds
        if self.discards:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def _call_from_loop(self, function: Callable[[], None]) -> None:
        """Call ``function`` in the event loop and handle all its exceptions, which gevent's hub would only print."""
        try:
            function()
        except BaseException:
            self.fail()
