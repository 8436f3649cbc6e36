"""Thousands of connections in one thread: raw sockets over epoll, so that the load costs less than the server it loads."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from .loop import RECEIVE_BYTES, Loop

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_TEXT, _CLOSE, _PING = 1, 8, 9
_MASK = b"\x5a\xa5\x3c\xc3"
"""One mask for all: what it must be is fixed per frame, not secret (the peer is ours)."""
NORMAL, LOST = 1000, 1006


def masked_frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame."""
    size = len(payload)
    key = (_MASK * (size // 4 + 1))[:size]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    if size < 126:
        return bytes((0x80 | opcode, 0x80 | size)) + _MASK + body
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size) + _MASK + body
    return struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size) + _MASK + body


def text(payload: str) -> bytes:
    """Return a text frame."""
    return masked_frame(_TEXT, payload.encode())


class Tcp:
    """One connection, client side. Subclasses implement ``connected``, ``received`` and ``ended``."""

    __slots__ = ("_buffer", "_sock", "loop", "number")

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.number = -1
        self._sock: socket.socket | None = None
        self._buffer = b""

    # -- what a subclass implements

    def connected(self) -> None:
        """The connection is established."""

    def received(self, data: bytes) -> bytes:
        """Handle what has arrived so far and return the incomplete rest."""
        raise NotImplementedError

    def ended(self, code: int, reason: str) -> None:
        """The connection has ended: with a close code, an HTTP status, or ``LOST``."""

    # -- life

    def dial(self, port: int, source: str = "127.0.0.1") -> None:
        """Begin to connect to a port of loopback, from any address of it."""
        self._buffer = b""
        self._sock = socket.socket()
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # the port is chosen at connect, so that addresses do not run out of ports
        self._sock.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
        self.number = self._sock.fileno()
        try:
            self._sock.bind((source, 0))
            self._sock.connect_ex(("127.0.0.1", port))
        except OSError:
            self._sock.close()
            self._sock = None
            self.ended(LOST, "cannot connect")
            return
        self.loop.add(self, select.EPOLLOUT)

    def send(self, frame: bytes) -> None:
        """Send a complete frame. The connection ends if the socket does not take all of it, which the load never causes."""
        if self._sock is None:
            return
        try:
            whole = self._sock.send(frame) == len(frame)
        except BlockingIOError:
            whole = False
        except OSError:
            whole = self._may_read_on()
        if not whole:
            self.drop("cannot send")

    def drop(self, reason: str = "dropped", code: int = LOST) -> None:
        """End without a close frame."""
        if self._sock is None:
            return
        self.loop.remove(self)
        self._sock.close()
        self._sock = None
        self.ended(code, reason)

    @property
    def gone(self) -> bool:
        """True if there is no connection and none is being opened."""
        return self._sock is None

    def _may_read_on(self) -> bool:
        """Return whether the peer, which has closed, may have sent something that is worth reading."""
        return False

    # -- events

    def ready(self, events: int) -> None:
        """Called by the loop."""
        if events & select.EPOLLOUT:
            self._connected()
        elif self._sock is not None:
            self._receive(self._sock)

    def _connected(self) -> None:
        assert self._sock is not None
        failed = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self.drop(os.strerror(failed))
            return
        self.connected()
        if self._sock is not None:
            self.loop.change(self, select.EPOLLIN)

    def _receive(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop("the peer is gone")
            return
        rest = self.received(self._buffer + data if self._buffer else data)
        if self._sock is sock:
            self._buffer = rest


class Socket(Tcp):
    """One websocket, client side. Subclasses implement ``opened``, ``message`` and ``ended``.

    :cvar check: called with the path and each message, before ``message``; tests compare the messages with the contract.
    """

    __slots__ = ("_request", "leaving", "open", "path")
    check: ClassVar[Callable[[str, bytes], None] | None] = None

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.open = self.leaving = False
        self._request = b""

    # -- what a subclass implements

    def opened(self) -> None:
        """The 101 has arrived."""

    def message(self, payload: bytes) -> None:
        """A text message has arrived."""

    # -- life

    def connect(self, port: int, path: str, source: str = "127.0.0.1") -> None:
        """Begin to connect to a path."""
        self.open = self.leaving = False
        self.path = path
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        self.dial(port, source)

    def leave(self) -> None:
        """Send a close frame; ``ended`` is called when the service has answered it."""
        if self.open:
            self.leaving = True
            self.send(masked_frame(_CLOSE, NORMAL.to_bytes(2, "big")))
        else:
            self.drop()

    def drop(self, reason: str = "dropped", code: int = LOST) -> None:
        """End without a close frame."""
        if self._sock is not None:
            self.open = False
        super().drop(reason, code)

    def _may_read_on(self) -> bool:
        return self.open  # perhaps a close frame that says why

    # -- events

    def connected(self) -> None:
        request, self._request = self._request, b""
        self.send(request)

    def received(self, data: bytes) -> bytes:
        if not self.open:
            data = self._answered(data)
        return self._frames(data) if self.open else data

    def _answered(self, data: bytes) -> bytes:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return data
        if not head.startswith(b"HTTP/1.1 101"):
            lines = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:])
            self.drop(f"retry_after={lines.get('Retry-After', '1')}", int(head[9:12]))
            return b""
        self.open = True
        self.opened()
        return rest

    def _frames(self, buffer: bytes) -> bytes:
        sock, at = self._sock, 0
        while self._sock is sock and len(buffer) - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < start + size:
                break
            opcode, payload = buffer[at] & 15, buffer[start : start + size]
            at = start + size
            self._frame(opcode, payload)
        return buffer[at:] if at else buffer

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT:
            if Socket.check is not None:
                Socket.check(self.path, payload)
            self.message(payload)
        elif opcode == _PING:
            self.send(masked_frame(10, payload))
        elif opcode == _CLOSE and self._sock is not None:
            if not self.leaving:
                with suppress(OSError):  # whether it can be answered or not, the peer's code counts
                    self._sock.send(masked_frame(_CLOSE, payload[:2]))
            self.drop(payload[2:].decode("utf-8", "replace"), int.from_bytes(payload[:2], "big") or 1005)
