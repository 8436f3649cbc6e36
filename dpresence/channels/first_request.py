"""The first request of a connection: an ordinary websocket handshake is answered at once, everything else by ``WebsocketHandler``.

A handshake is ordinary if it came whole, asks for one of ``Gate.direct_channels``, and neither its head nor a limit gives a reason to
refuse it. Such a request needs no greenlet, no pywsgi, no WSGI environ and no view, which together take a third or more of the CPU time
of a connection with its sign-in. Any other request stays unread in the socket, so that refusals, limits and their answers are in the
handler alone (docs/decisions/0022-first-request.md).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from socket import MSG_PEEK
from typing import Any

import gevent

from .gate import Gate
from .http import log_access
from .ordinary_handshake import OrdinaryHandshake, ordinary_handshake
from .send_buffer import WOULD_BLOCK

log = logging.getLogger(__name__)

PEEK_BYTES = 4096
"""Maximum size of an ordinary handshake."""


class FirstRequests:
    """The plain connections that have not sent anything yet. They have no greenlet; everything is called in the event loop.

    :param hand_over: called if a request is not an ordinary handshake, or none came in time. It takes over the socket, with its
        registration in ``gate.plain``.
    """

    def __init__(self, gate: Gate, hand_over: Callable[[FirstRequest], None]) -> None:
        self.gate = gate
        self._hand_over = hand_over
        self._seconds = gate.settings.channels.handshake_seconds
        self._waiting: dict[FirstRequest, None] = {}  # oldest first
        self._timer: Any = None  # runs while connections wait. One for each of them would cost as much as a read of its socket

    def add(self, sock: Any, address: Any) -> None:
        """Wait for the first request of a connection.

        :param sock: a non-blocking socket of the C module, registered in ``gate.plain``.
        :param address: of the peer, as the socket module returns it.
        """
        first = FirstRequest(self, sock, address)
        self._waiting[first] = None
        if self._timer is None:
            self._start_timer(self._seconds)
        first.guarded(first.watch)

    def discard(self, first: FirstRequest) -> None:
        """Forget a connection that has ended, or became a channel. Idempotent."""
        self._waiting.pop(first, None)

    def hand_over(self, first: FirstRequest) -> None:
        """Leave a connection to the handler."""
        self.discard(first)
        self._hand_over(first)

    def close(self) -> None:
        """Close all connections."""
        for first in list(self._waiting):
            first.close()
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _start_timer(self, seconds: float) -> None:
        self._timer = gevent.get_hub().loop.timer(seconds)
        self._timer.start(self._on_timer)

    def _on_timer(self) -> None:
        """Hand over the connections whose time is over: all have the same, so the oldest are the first."""
        self._timer.close()
        self._timer = None
        for first in list(self._waiting):
            left = self._seconds - first.waited
            if left > 0:
                self._start_timer(left)
                break
            first.guarded(first.give_up)


class FirstRequest:
    """A plain connection that has not sent anything yet.

    The socket is watched by ``Readiness``, as that of a channel, so that a handshake changes nothing in the kernel's set.
    """

    __slots__ = ("_all", "_began_at", "_gate", "address", "sock")

    def __init__(self, all_: FirstRequests, sock: Any, address: Any) -> None:
        self.sock = sock
        self.address = address
        self._all = all_
        self._gate = all_.gate
        self._began_at = all_.gate.clock.monotonic()

    def watch(self) -> None:
        """Wait for the first bytes."""
        self._gate.readiness.watch(self.sock.fileno(), self)

    @property
    def waited(self) -> float:
        """Seconds since the connection was accepted."""
        return self._gate.clock.monotonic() - self._began_at

    def close(self) -> None:
        """Close the connection."""
        self._unwatch()
        self._gate.plain.leave(self.sock)
        self.sock.close()
        self._all.discard(self)

    def give_up(self) -> None:
        """Leave the connection to the handler, whose deadline has passed too, so that it answers 408."""
        self._unwatch()
        self._all.hand_over(self)

    def on_readable(self) -> None:
        """Handle that bytes may have arrived, in the event loop."""
        try:
            self._read()
        except BaseException:
            self._fail()

    def guarded(self, function: Callable[[], None]) -> None:
        """Call a function; its exception is an internal error, which ends the connection. gevent's hub would only print it."""
        try:
            function()
        except BaseException:
            self._fail()

    def _fail(self) -> None:
        """Log the exception that is being handled, and end the connection."""
        with suppress(Exception):
            log.exception("internal error at a first request")
        if self.sock in self._gate.plain:
            self.close()

    def _unwatch(self) -> None:
        self._gate.readiness.unwatch(self.sock.fileno())

    def _read(self) -> None:
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
        handshake = ordinary_handshake(self._gate, self.address[0], data)
        if handshake is None or not self._gate.try_admit(handshake.connection):
            self._unwatch()
            self._all.hand_over(self)
        else:
            self._switch(handshake, began)

    def _switch(self, handshake: OrdinaryHandshake, began: float) -> None:
        """Send the 101 and pass the socket to the admitted connection, as ``WebsocketHandler._switch`` does."""
        gate, connection, started = self._gate, handshake.connection, False
        try:
            sent = self._send(handshake)
            if sent == len(handshake.answer):
                connection.start_watched(self.sock)
                started = True
        finally:
            if not started:  # the peer has disconnected, or an internal error occurred
                gate.leave(connection)
                self.close()
        if started:
            gate.plain.leave(self.sock)
            self._all.discard(self)
            log_access(connection.address, handshake.line, "101", sent, time.time() - began, session=connection.id)

    def _send(self, handshake: OrdinaryHandshake) -> int:
        """Read the request and send the response; return how many bytes the socket accepted."""
        try:  # ``suppress`` takes three calls more
            self.sock.recv(handshake.size)
            return int(self.sock.send(handshake.answer))
        except OSError:
            return 0
