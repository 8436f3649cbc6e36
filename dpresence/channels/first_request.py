"""The first request of a connection: an ordinary websocket handshake is answered at once, everything else by ``WebsocketHandler``.

A handshake is ordinary if it came whole, asks for one of ``Gate.direct_channels``, and neither its head nor a limit gives a reason to
refuse it. Such a request needs no greenlet, no pywsgi, no WSGI environ and no view, which together take a third or more of the CPU time
of a connection with its sign-in. Any other request stays unread in the socket, so that refusals, limits and their answers are in the
handler alone (docs/decisions/0022-first-request.md).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from socket import MSG_PEEK
from typing import Any

import gevent

from .addresses import network
from .connection import Connection
from .gate import Gate
from .handshake import WEBSOCKET_VERSION, WebsocketHandler, accept_key, asks_for_websocket, origin_allowed
from .http import MAX_UNREAD_BYTES, log_access, path_below
from .http_parser import Head, read_head
from .send_buffer import WOULD_BLOCK

log = logging.getLogger(__name__)

PEEK_BYTES = 4096
"""Maximum size of an ordinary handshake."""
SWITCHING_PROTOCOLS = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n"
_READ = 1
_EXTRAORDINARY = frozenset(("content-length", "transfer-encoding", "expect"))
"""Headers of a request that has a body."""
_FORWARDING = {
    "x-forwarded-for": "HTTP_X_FORWARDED_FOR",
    "x-forwarded-proto": "HTTP_X_FORWARDED_PROTO",
    "forwarded": "HTTP_FORWARDED",
}


class FirstRequest:
    """A plain connection that has not sent anything yet. It has a watcher and no greenlet; its methods are called in the event loop.

    :param sock: a non-blocking socket of the C module, registered in ``gate.plain``.
    :param address: of the peer, as the socket module returns it.
    :param hand_over: called if the request is not an ordinary handshake, or none came in time. It takes over the socket, with its
        registration in ``gate.plain``.
    :param ended: called if the connection has become a channel or has ended.
    """

    __slots__ = ("_began_at", "_ended", "_gate", "_hand_over", "_timer", "_watcher", "address", "sock")

    def __init__(
        self,
        gate: Gate,
        sock: Any,
        address: Any,
        hand_over: Callable[[FirstRequest], None],
        ended: Callable[[FirstRequest], None],
    ) -> None:
        loop = gevent.get_hub().loop
        self.sock = sock
        self.address = address
        self._gate = gate
        self._hand_over = hand_over
        self._ended = ended
        self._began_at = gate.clock.monotonic()
        self._watcher = loop.io(sock.fileno(), _READ)
        self._timer = loop.timer(gate.settings.channels.handshake_seconds)
        self._watcher.start(self._guarded, self._on_readable)
        self._timer.start(self._guarded, self._on_timeout)

    @property
    def waited(self) -> float:
        """Seconds since the connection was accepted."""
        return self._gate.clock.monotonic() - self._began_at

    def close(self) -> None:
        """Close the connection."""
        self._stop_watching()
        self._gate.plain.leave(self.sock)
        self.sock.close()
        self._ended(self)

    def _stop_watching(self) -> None:
        for watcher in (self._timer, self._watcher):
            watcher.stop()
            watcher.close()

    def _guarded(self, function: Callable[[], None]) -> None:
        """Call a function; its exception is an internal error, which ends the connection. gevent's hub would only print it."""
        try:
            function()
        except BaseException:
            with suppress(Exception):
                log.exception("internal error at a first request")
            if self.sock in self._gate.plain:
                self.close()

    def _on_timeout(self) -> None:
        self._stop_watching()
        self._hand_over(self)  # the handler's deadline has passed too, so it answers 408

    def _on_readable(self) -> None:
        began = time.time()
        try:
            data = self.sock.recv(PEEK_BYTES, MSG_PEEK)
        except WOULD_BLOCK:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._stop_watching()
        handshake = ordinary_handshake(self._gate, self.address[0], data)
        if handshake is None:
            self._hand_over(self)
        else:
            self._switch(handshake, began)

    def _switch(self, handshake: OrdinaryHandshake, began: float) -> None:
        """Send the 101 and pass the socket to the connection, as ``WebsocketHandler._switch`` does."""
        gate, connection, started = self._gate, handshake.connection, False
        try:
            gate.admit(connection)
            sent = self._send(handshake)
            if sent == len(handshake.answer):
                connection.start(self.sock, b"")
                started = True
        finally:
            if not started:  # the peer has disconnected, or an internal error occurred
                gate.leave(connection)
                self.close()
        if started:
            gate.plain.leave(self.sock)
            self._ended(self)
            log_access(connection.address, handshake.line, "101", sent, time.time() - began)

    def _send(self, handshake: OrdinaryHandshake) -> int:
        """Read the request and send the response; return how many bytes the socket accepted."""
        with suppress(OSError):
            self.sock.recv(handshake.size)
            return int(self.sock.send(handshake.answer))
        return 0


class OrdinaryHandshake:
    """A handshake that is answered with 101.

    :ivar line: the request line.
    :ivar size: bytes of the request.
    :ivar answer: the response.
    """

    __slots__ = ("answer", "connection", "line", "size")

    def __init__(self, connection: Connection, head: Head, size: int, accept: str) -> None:
        self.connection = connection
        self.line = f"{head.method} {head.target} {head.version}"
        self.size = size
        self.answer = SWITCHING_PROTOCOLS.format(accept).encode()


def ordinary_handshake(gate: Gate, peer: str, data: bytes) -> OrdinaryHandshake | None:
    """Return the handshake that ``data`` begins with, with the connection that it opens; None if it is not an ordinary one.

    Nothing is counted or admitted yet.

    :param peer: IP address of the peer.
    """
    size = data.find(b"\r\n\r\n") + 4
    if size < 4 or not data.startswith(b"GET "):
        return None
    try:
        rfile = BytesIO(data[:size])
        head = read_head(rfile.readline(), rfile)
        make_channel = gate.direct_channels.get(path_below(gate.settings.identity.path, head.target))
        if make_channel is None:
            return None
        accept = _accept(gate, head)
        address = _client_of(gate, head, peer) if accept else ""
        if not accept or not _may_open(gate, address):
            return None
        connection = Connection(gate, address)
        connection.open(make_channel())
    except Exception:  # the handler meets the same error, and answers it
        return None
    return OrdinaryHandshake(connection, head, size, accept)


def _accept(gate: Gate, head: Head) -> str:
    """Return the ``Sec-WebSocket-Accept``; "" if the head is not that of an ordinary handshake.

    :raises WrongValue: the ``Sec-WebSocket-Key`` is malformed.
    """
    fields = dict(head.fields)
    ordinary = (
        head.version == "HTTP/1.1"
        and len(fields) == len(head.fields)
        and fields.keys().isdisjoint(_EXTRAORDINARY)
        and asks_for_websocket(fields.get("upgrade", ""), fields.get("connection", ""))
        and fields.get("sec-websocket-version") == WEBSOCKET_VERSION
        and ("origin" not in fields or origin_allowed(fields["origin"], gate.settings))
    )
    return accept_key(fields.get("sec-websocket-key", ""), WebsocketHandler.GUID) if ordinary else ""


def _client_of(gate: Gate, head: Head, peer: str) -> str:
    """Return the client's address, which is the peer or stated by it."""
    environ: Mapping[str, str] = {_FORWARDING[name]: value for name, value in head.fields if name in _FORWARDING}
    return gate.forwarding.client({**environ, "REMOTE_ADDR": peer})[0]


def _may_open(gate: Gate, address: str) -> bool:
    """Return whether neither the limits of requests nor those of channels refuse a handshake."""
    key = network(address)
    counted = gate.unread[key] <= MAX_UNREAD_BYTES and not gate.requests.wait(key, now=gate.clock.monotonic())
    return counted and gate.would_admit(address)
