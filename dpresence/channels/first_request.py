"""The first request of a connection: an ordinary websocket handshake is answered at once, everything else by ``WebsocketHandler``.

A handshake is ordinary if it came whole, asks for one of ``Gate.direct_channels``, and neither its head nor a limit gives a reason to
refuse it. Such a request needs no greenlet, no pywsgi, no WSGI environ and no view, which together take a third or more of the CPU time
of a connection with its sign-in. Any other request stays unread in the socket, so that refusals, limits and their answers are in the
handler alone (docs/decisions/0022-first-request.md).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from socket import MSG_PEEK
from typing import Any

import gevent

from ..settings import Settings
from .addresses import network
from .channel import Channel
from .connection import Connection
from .gate import Gate
from .handshake import WEBSOCKET_VERSION, WebsocketHandler, accept_key, asks_for_websocket, origin_allowed
from .http import MAX_UNREAD_BYTES, log_access, path_below
from .http_parser import Head, read_head
from .send_buffer import WOULD_BLOCK

log = logging.getLogger(__name__)

PEEK_BYTES = 4096
"""Maximum size of an ordinary handshake."""
MAX_HEADS = 100
"""Maximum number of stored heads; beyond it, all are parsed again."""
SWITCHING_PROTOCOLS = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n"
_KEY = re.compile(rb"\r\n(?i:sec-websocket-key):[ \t]*([!-~]+)[ \t]*\r\n")
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
            gate.add(connection)
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
            log_access(connection.address, handshake.line, "101", sent, time.time() - began, session=connection.id)

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

    def __init__(self, connection: Connection, line: str, size: int, accept: str) -> None:
        self.connection = connection
        self.line = line
        self.size = size
        self.answer = SWITCHING_PROTOCOLS.format(accept).encode()


@dataclass(frozen=True, slots=True)
class OrdinaryHead:
    """The head of an ordinary handshake without the value of its ``Sec-WebSocket-Key``.

    :ivar line: the request line.
    :ivar forwarding: its forwarding headers, as in a WSGI environ.
    """

    line: str
    make_channel: Callable[[], Channel]
    forwarding: dict[str, str]


def ordinary_handshake(gate: Gate, peer: str, data: bytes) -> OrdinaryHandshake | None:
    """Return the handshake that ``data`` begins with, with the connection that it opens; None if it is not an ordinary one.

    Nothing is counted or admitted yet.

    :param peer: IP address of the peer.
    """
    size = data.find(b"\r\n\r\n") + 4
    if size < 4 or not data.startswith(b"GET "):
        return None
    try:
        found = _find_head(gate, data[:size])
        if found is None:
            return None
        head, accept = found
        address = gate.forwarding.client({**head.forwarding, "REMOTE_ADDR": peer})[0]
        if not _may_open(gate, address):
            return None
        connection = Connection(gate, address)
        connection.open(head.make_channel())
    except Exception:  # the handler meets the same error, and answers it
        return None
    return OrdinaryHandshake(connection, head.line, size, accept)


def _find_head(gate: Gate, data: bytes) -> tuple[OrdinaryHead, str] | None:
    """Return the head of an ordinary handshake with its ``Sec-WebSocket-Accept``; None if it is not ordinary.

    Heads of one kind of client differ in the key alone, so the others are parsed once.
    """
    match = _KEY.search(data)
    if match is None:
        return None
    rest, key = data[: match.start(1)] + data[match.end(1) :], match[1].decode("ascii")
    head: OrdinaryHead | None = gate.ordinary_heads.get(rest)
    if head is None:
        head = _parse(gate, data)
        if head is None:
            return None
        if len(gate.ordinary_heads) >= MAX_HEADS:
            gate.ordinary_heads.clear()
        gate.ordinary_heads[rest] = head
    return head, accept_key(key, WebsocketHandler.GUID)


def _parse(gate: Gate, data: bytes) -> OrdinaryHead | None:
    rfile = BytesIO(data)
    head = read_head(rfile.readline(), rfile)
    make_channel = gate.direct_channels.get(path_below(gate.settings.identity.path, head.target))
    if make_channel is None or not _is_ordinary(head, gate.settings):
        return None
    forwarding = {_FORWARDING[name]: value for name, value in head.fields if name in _FORWARDING}
    return OrdinaryHead(f"{head.method} {head.target} {head.version}", make_channel, forwarding)


def _is_ordinary(head: Head, settings: Settings) -> bool:
    fields = dict(head.fields)
    return (
        head.version == "HTTP/1.1"
        and len(fields) == len(head.fields)
        and fields.keys().isdisjoint(_EXTRAORDINARY)
        and asks_for_websocket(fields.get("upgrade", ""), fields.get("connection", ""))
        and fields.get("sec-websocket-version") == WEBSOCKET_VERSION
        and ("origin" not in fields or origin_allowed(fields["origin"], settings))
    )


def _may_open(gate: Gate, address: str) -> bool:
    """Return whether neither the limits of requests nor those of channels refuse a handshake."""
    key = network(address)
    counted = gate.unread[key] <= MAX_UNREAD_BYTES and not gate.requests.wait(key, now=gate.clock.monotonic())
    return counted and gate.would_admit(address)
