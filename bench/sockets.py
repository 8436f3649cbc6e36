"""Thousands of websockets in one thread: raw sockets over epoll, so that the load costs less than the server it loads."""

from __future__ import annotations

import heapq
import itertools
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_TEXT, _CLOSE, _PING = 1, 8, 9
_MASK = b"\x5a\xa5\x3c\xc3"
"""One mask for all: what it must be is fixed per frame, not secret (the peer is ours)."""
RECEIVE_BYTES = 65536
LOST = 1006


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


class Loop:
    """One epoll and a heap of timers."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, Socket | Control] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function in so many seconds."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), function))

    def run(self, until: Callable[[], bool], seconds: float) -> bool:
        """Turn until a condition holds or the time is over; return whether it holds."""
        end = time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            if now >= end:
                return until()
            self._turn(min(0.05, end - now))
        return True

    def _turn(self, seconds: float) -> None:
        if self._timers:
            seconds = min(seconds, max(0.0, self._timers[0][0] - time.monotonic()))
        for number, events in self._poll.poll(seconds, 4096):
            found = self._sockets.get(number)
            if found is not None:
                found.ready(events)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def add(self, item: Socket | Control, events: int) -> None:
        self._sockets[item.number] = item
        self._poll.register(item.number, events)

    def change(self, item: Socket | Control, events: int) -> None:
        self._poll.modify(item.number, events)

    def remove(self, item: Socket | Control) -> None:
        if self._sockets.pop(item.number, None):
            self._poll.unregister(item.number)


class Socket:
    """One websocket, client side. Subclasses say what happens in ``opened``, ``message`` and ``ended``."""

    __slots__ = ("_buffer", "_sock", "loop", "number", "open")

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.open = False
        self.number = -1
        self._sock: socket.socket | None = None
        self._buffer = b""

    # -- what a subclass says

    def opened(self) -> None:
        """The 101 is here."""

    def message(self, payload: bytes) -> None:
        """A text message is here."""

    def ended(self, code: int, reason: str) -> None:
        """The socket is gone: with a close code, an HTTP status, or ``LOST``."""

    # -- life

    def connect(self, port: int, path: str, source: str = "127.0.0.1") -> None:
        """Begin to connect to a port of loopback, from any address of it."""
        self._buffer, self.open = b"", False
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
        self._buffer = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        self.loop.add(self, select.EPOLLOUT)

    def send(self, frame: bytes) -> None:
        """Send a ready frame; one the socket does not take whole ends it, as we never fill it."""
        if self._sock is None:
            return
        try:
            whole = self._sock.send(frame) == len(frame)
        except BlockingIOError:
            whole = False
        except OSError:
            whole = self.open  # the peer is gone: what came before, perhaps a close frame that says why, is read first
        if not whole:
            self.drop("cannot send")

    def drop(self, reason: str = "dropped", code: int = LOST) -> None:
        """End without a close frame."""
        if self._sock is None:
            return
        self.loop.remove(self)
        self._sock.close()
        self._sock, self.open = None, False
        self.ended(code, reason)

    # -- events

    def ready(self, events: int) -> None:
        """Called by the loop."""
        if events & select.EPOLLOUT:
            self._ask()
        elif self._sock is not None:
            self._receive(self._sock)

    def _ask(self) -> None:
        assert self._sock is not None
        failed = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self.drop(os.strerror(failed))
            return
        request, self._buffer = self._buffer, b""
        self.send(request)
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
        self._buffer = self._buffer + data if self._buffer else data
        if not self.open:
            self._answered()
        if self.open:
            self._frames()

    def _answered(self) -> None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101"):
            lines = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:])
            self.drop(f"retry_after={lines.get('Retry-After', '1')}", int(head[9:12]))
            return
        self._buffer, self.open = rest, True
        self.opened()

    def _frames(self) -> None:
        sock, buffer, at = self._sock, self._buffer, 0
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
        if self._sock is sock:
            self._buffer = buffer[at:] if at else buffer

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT:
            self.message(payload)
        elif opcode == _PING:
            self.send(masked_frame(10, payload))
        elif opcode == _CLOSE and self._sock is not None:
            with suppress(OSError):  # whether it can be answered or not, the peer's code counts
                self._sock.send(masked_frame(_CLOSE, payload[:2]))
            self.drop(payload[2:].decode("utf-8", "replace"), int.from_bytes(payload[:2], "big") or 1005)


class Control:
    """Lines of standard input, read by the loop like any socket."""

    number = 0

    def __init__(self, loop: Loop) -> None:
        self.lines: list[bytes] = []
        self.ended = False
        self._rest = b""
        self._loop = loop
        loop.add(self, select.EPOLLIN)

    def ready(self, events: int) -> None:
        """Called by the loop."""
        data = os.read(self.number, RECEIVE_BYTES)
        if not data:
            self.ended = True
            self._loop.remove(self)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += lines


def percentiles(seconds: list[float]) -> dict[str, Any]:
    """Return p50, p99 and the worst of some times, in milliseconds."""
    if not seconds:
        return {"p50_ms": None, "p99_ms": None, "max_ms": None}
    ordered = sorted(seconds)
    picked = {"p50_ms": ordered[len(ordered) // 2], "p99_ms": ordered[int(len(ordered) * 0.99)], "max_ms": ordered[-1]}
    return {name: round(value * 1000, 2) for name, value in picked.items()}
