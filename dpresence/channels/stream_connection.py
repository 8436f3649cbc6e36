"""The connection of an HTTP request whose answer is written later, without a greenlet: an event stream, or a long poll that waits.

It is a connection without websocket frames: the socket, the send buffer, the runs and the ticks are those of ``Connection``.
"""

from __future__ import annotations

import re
import socket
import time
from typing import Any, Protocol, cast

from ..addresses import network
from ..errors import CloseCode, SlowDown
from .channel import ChannelConnection
from .connection import Connection
from .gate import Gate
from .http import log_access
from .wire import OPEN

_RETRY_AFTER = re.compile(r"retry_after=(\d+)")


class StreamChannel(Protocol):
    """Channel of a ``StreamConnection``.

    :ivar keep_alive: bytes that are sent after ``presence.ping_seconds``; empty for none.
    :ivar status: HTTP status of the answer, for the access log.
    """

    keep_alive: bytes
    status: int

    def last_bytes(self, code: int, reason: str) -> bytes:
        """Return the bytes, at least one, with which the answer ends: the rest of it, and the reason for its end."""


class StreamConnection(Connection):
    """A socket that is only written to. The client sends nothing after its request; bytes that it sends end the answer.

    :ivar head: the header lines of the answer without its status, type and length.
    """

    __slots__ = ("_line", "_size", "_started_at", "head")

    def __init__(self, gate: Gate, address: str) -> None:
        super().__init__(gate, address)
        self.head = b""
        self._line = ""
        self._size = 0
        self._started_at = time.time()

    def attach_answer(self, sock: Any, headers: list[tuple[bytes, bytes]], line: str) -> None:
        """Take over the socket of a request; its answer is written by the channel.

        :param sock: see ``Wire.attach``.
        :param headers: those of the view's response.
        :param line: the request line, for the access log.
        """
        self._line = line
        self._opened = True  # the channel is in the hub already, so ``Channel.closed`` must be called
        fields = [field for field in headers if field[0].lower() not in (b"content-length", b"content-type", b"connection")]
        self.head = b"".join(b"%s: %s\r\n" % field for field in [*fields, (b"Connection", b"close")])
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # the kernel ends the connection if a keep-alive is not acknowledged
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * self._gate.settings.presence.silence_seconds)
        self._gate.connections.add(self)  # it has signed in with its request, so the rates of channels do not apply
        self._gate.plain.hold(self, network(self.address))
        self.start(sock, b"")

    @property
    def _stream(self) -> StreamChannel:
        return cast("StreamChannel", self.channel)

    def on_readable(self) -> None:
        """End the connection: the client has disconnected, or sent bytes that nobody expects. Called in the event loop."""
        try:
            if self.receive():
                self.end()
        except BaseException:
            self.fail()

    def tick(self, now: float) -> float:
        """See ``Connection.tick``; a stream has no pings."""
        return self._tick_busy(now)

    def _check_peer(self, now: float) -> None:
        """Send a keep-alive after ``presence.ping_seconds``."""
        if self.ping_due(now, self._gate.settings):
            self.restart_ping_timer(now)
            if self._stream.keep_alive:
                self.send_frame(self._stream.keep_alive)

    def send_frame(self, frame: bytes) -> None:
        """Send or queue a part of the answer."""
        self._size += len(frame)
        super().send_frame(frame)

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Queue the end of the answer behind the frames that wait; the socket is closed once it is sent."""
        if self.state is OPEN:
            try:
                last = self._stream.last_bytes(code, reason)
                self._size += len(last)
                self._start_closing(code, last)
            except BaseException:
                self.log_failure()
                self.drop(CloseCode.INTERNAL_ERROR)

    def _close_frame_sent(self) -> None:
        self.clean = True
        self.end()

    def _report_end(self) -> None:
        status = self._stream.status if self.channel is not None else 0
        super()._report_end()
        if status:
            log_access(self.address, self._line, str(status), self._size, time.time() - self._started_at, session=self.id)


def new_stream(gate: Gate, address: str) -> StreamConnection:
    """Return the connection of a request that may be answered later.

    :raises BackendUnavailable: see ``Gate.check_room``.
    :raises SlowDown: the address has too many such requests.
    """
    gate.check_room()
    if not gate.plain.may_hold(network(address)):
        raise SlowDown("too many requests of this address wait", retry_after=1)
    return StreamConnection(gate, address)


class StreamOpener(Protocol):
    """Makes the connection of the request's answer; the handler starts it once the view has called its ``open``."""

    def __call__(self) -> StreamConnection:
        """Return a connection.

        :raises Refused: the limits of the gate refuse it.
        """


def answer_head(connection: ChannelConnection, status: str, content_type: str, length: int | None = None) -> bytes:
    """Return the head of an answer.

    :param status: code and phrase.
    :param length: of the body; None if the connection's end ends it.
    """
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
    if length is not None:
        head += f"Content-Length: {length}\r\n"
    return head.encode() + cast("StreamConnection", connection).head + b"\r\n"


def retry_after(reason: str) -> int | None:
    """Return the seconds that a close reason names (docs/protocol.md, section 7)."""
    found = _RETRY_AFTER.search(reason)
    return int(found[1]) if found else None
