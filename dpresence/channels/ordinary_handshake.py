"""Recognizes an ordinary websocket handshake, which ``first_request`` answers without the handler."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from ..addresses import network
from ..settings import Settings
from .channel import Channel
from .connection import Connection
from .gate import Gate
from .handshake import WEBSOCKET_VERSION, WebsocketHandler, accept_key, asks_for_websocket, origin_allowed
from .http import MAX_UNREAD_BYTES, path_below
from .http_parser import Head, read_head

MAX_HEADS = 100
"""Maximum number of stored heads; beyond it, all are parsed again."""
SWITCHING_PROTOCOLS = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n"
_KEY = re.compile(rb"\r\n(?i:sec-websocket-key):[ \t]*([!-~]+)[ \t]*\r\n")
_EXTRAORDINARY = frozenset(("content-length", "transfer-encoding", "expect"))
"""Headers of a request that has a body."""
_FORWARDING = {
    "x-forwarded-for": "HTTP_X_FORWARDED_FOR",
    "x-forwarded-proto": "HTTP_X_FORWARDED_PROTO",
    "forwarded": "HTTP_FORWARDED",
}


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

    Nothing is counted or admitted yet: the caller calls ``Gate.try_admit``.

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
        if not _may_request(gate, network(address)):
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


def _may_request(gate: Gate, key: str) -> bool:
    """Return whether the limits of requests permit one more of an address."""
    return gate.unread.get(key, 0) <= MAX_UNREAD_BYTES and not gate.requests.wait(key, now=gate.clock.monotonic())
