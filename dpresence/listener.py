"""The listening socket: accepts connections, as many as there is room for, and serves each until it ends or becomes a channel."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gevent
from gevent.pool import Pool
from geventwebsocket.server import WebSocketServer

from .channels.handshake import Gate, Handler, Keeper
from .errors import SettingError
from .private import warn_of_readers
from .settings import ServerSettings
from .worker import not_free

log = logging.getLogger("dpresence.server")

UNSENT_BYTES = 65536
"""What the kernel takes for a peer beyond what is on its way; the rest waits where it is counted, in the outbox."""
ACCEPT_PAUSE_SECONDS = 0.5
"""How long nobody is accepted after the system had no file for somebody."""
FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
DRAIN_SECONDS = 4.0
"""How long a stop waits for the channels."""


class Server(WebSocketServer):
    """HTTP and websockets on one port.

    :param gate: which sockets come in; it has the settings.
    :param listener: file number of a listening socket, shared with other processes; None to bind one.
    """

    handler_class = Handler
    backlog = 1024
    max_accept = 8  # at once: in a storm, those who are in go before those who come

    def __init__(self, settings: ServerSettings, application: Any, gate: Gate, listener: int | None = None) -> None:
        tls = {"ssl_context": tls_context(settings)} if settings.certfile else {}
        pool = Pool(gate.most + gate.spare + 2 * self.max_accept)  # more than ``handle`` lets stay
        where = (settings.host, settings.port) if listener is None else socket.socket(fileno=listener)
        super().__init__(where, application, spawn=pool, log=None, error_log=log, **tls)
        self.gate = gate
        self.keeper = Keeper(gate)
        self._say_full_at = 0.0

    def init_socket(self) -> None:
        """Listen; accepted sockets inherit the options.

        :raises SettingError: the address cannot be bound.
        """
        try:
            super().init_socket()
        except OSError as error:
            raise not_free(self.address[0], self.address[1], error) from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def start(self) -> None:
        """Start to accept and to keep the deadlines."""
        super().start()
        self.keeper.start()
        host = f"[{self.server_host}]" if ":" in self.server_host else self.server_host
        log.info("Listening on %s://%s:%d", "https" if self.ssl_enabled else "http", host, self.server_port)

    def do_read(self) -> Any:
        """Accept; with no file left, pause and say so once a minute, while those who are in go on."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in _NO_FILES:
                raise
            self._say_full(f"nobody can be accepted: {error.strerror}")
            self.stop_accepting()
            self._timer = self.loop.timer(ACCEPT_PAUSE_SECONDS)
            self._timer.start(self._start_accepting_if_started)
        return None

    def _say_full(self, what: str) -> None:
        if (now := self.gate.clock.monotonic()) >= self._say_full_at:
            self._say_full_at = now + 60
            log.warning("%s; %d sockets are open, channels.sockets = %d", what, self.gate.sockets, self.gate.settings.channels.sockets)

    @contextmanager
    def _entered(self, sock: Any, address: str) -> Iterator[bool]:
        """Count a connection while it lasts; False when there is no room for it."""
        entered = self.gate.enter(sock, address)
        try:
            yield entered
        finally:
            if entered:
                self.gate.plain.leave(sock)

    def handle(self, sock: Any, address: Any) -> None:
        """Serve one connection until it ends or becomes a channel."""
        with self._entered(sock, address[0]) as entered:
            if entered:
                super().handle(sock, address)
            else:
                self._say_full("there is no room for a connection")
                with suppress(OSError):
                    sock._sock.send(FULL)
                    sock._sock.shutdown(socket.SHUT_WR)

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> None:
        """Serve one TLS connection; a failed handshake is the client's affair, and it must be over in time."""
        sock = self.wrap_socket(client_socket, **self.ssl_args, do_handshake_on_connect=False)
        with sock, self._entered(sock, address[0]) as entered:
            if entered and self._shake_hands(sock, address):
                super().handle(sock, address)

    def _shake_hands(self, sock: Any, address: Any) -> bool:
        try:
            with gevent.Timeout(self.gate.settings.channels.handshake_seconds, TimeoutError):
                sock.do_handshake()
        except OSError as error:
            log.info("TLS handshake with %s failed: %s", address[0], error)
            return False
        return True

    def drain(self) -> None:
        """Stop: accept no more, tell every channel when to come back, wait for their ends, at most ``DRAIN_SECONDS``."""
        self.gate.draining = True
        self.close()
        self.gate.close_all()
        with gevent.Timeout(DRAIN_SECONDS, False):
            while self.gate.connections:
                gevent.sleep(0.02)
        for connection in list(self.gate.connections):
            connection.abort()
        self.keeper.stop()
        self.stop(timeout=1)
        if self.gate.connections:
            log.warning("%d channels did not end in time", len(self.gate.connections))


def tls_context(settings: ServerSettings) -> ssl.SSLContext:
    """Return the TLS context of ``certfile`` and ``keyfile``.

    :raises SettingError: they cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    warn_of_readers(settings.keyfile, "the TLS key")
    try:
        context.load_cert_chain(settings.certfile, settings.keyfile)
    except OSError as error:
        raise SettingError(f"certfile: must be a PEM chain whose key is in keyfile ({error.strerror})") from None
    return context
