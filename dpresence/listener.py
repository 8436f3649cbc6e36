"""The server on the listening socket: accepts connections within the limits and serves each until it ends or becomes a channel."""

from __future__ import annotations

import _socket
import errno
import logging
import socket
import ssl
from contextlib import suppress
from typing import Any

import gevent
from gevent.pool import Pool
from gevent.socket import socket as GeventSocket
from geventwebsocket.server import WebSocketServer

from .channels.first_request import FirstRequest, FirstRequests
from .channels.handshake import Gate, Ticker, WebsocketHandler
from .errors import SettingError
from .secret_files import warn_of_readers
from .settings import ServerSettings
from .worker import not_free

log = logging.getLogger("dpresence.server")

UNSENT_BYTES = 65536
"""Maximum unsent bytes in the kernel (``TCP_NOTSENT_LOWAT``). Further bytes wait in the outbox, which is bounded and measured."""
ACCEPT_PAUSE_SECONDS = 0.5
"""Pause of accepting after the system had no file descriptor for a connection."""
SERVICE_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
DRAIN_SECONDS = 4.0
"""Maximum time that a stop waits for the channels to close."""


class Server(WebSocketServer):
    """HTTP and websockets on one port.

    :param gate: limits and registry of connections; it has the settings.
    :param listener: file number of a listening socket, shared with other processes; None to bind one.
    """

    handler_class = WebsocketHandler
    backlog = 1024
    max_accept = 8  # per loop iteration, so that open connections have priority over new ones

    def __init__(self, settings: ServerSettings, application: Any, gate: Gate, listener: int | None = None) -> None:
        tls = {"ssl_context": tls_context(settings)} if settings.certfile else {}
        pool = Pool(gate.most + gate.spare + 2 * self.max_accept)  # more than ``gate`` admits
        where = (settings.host, settings.port) if listener is None else socket.socket(fileno=listener)
        super().__init__(where, application, spawn=pool, log=None, error_log=log, **tls)
        self._plain = not tls
        if self._plain:  # a connection has no greenlet before its request, so there is nothing to ask the pool at each one
            self.full = lambda: False
        self.gate = gate
        self.ticker = Ticker(gate)
        self._first_requests = FirstRequests(gate, self._hand_over)
        self._next_full_warning_at = 0.0

    def init_socket(self) -> None:
        """Listen, and set options, which accepted sockets inherit.

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
        """Start to accept connections and to tick open ones."""
        super().start()
        self.ticker.start()
        host = f"[{self.server_host}]" if ":" in self.server_host else self.server_host
        log.info("Listening on %s://%s:%d", "https" if self.ssl_enabled else "http", host, self.server_port)

    def do_read(self) -> Any:
        """Accept connections. Without free file descriptors, pause accepting and log a warning once a minute."""
        try:
            return self._accept() if self._plain else super().do_read()
        except OSError as error:
            if error.errno not in _NO_FILES:
                raise
            self._warn_full(f"connections cannot be accepted: {error.strerror}")
            self.stop_accepting()
            self._timer = self.loop.timer(ACCEPT_PAUSE_SECONDS)
            self._timer.start(self._start_accepting_if_started)
        return None

    def _accept(self) -> Any:
        """Accept a plain connection with the C module's socket, which costs a third of gevent's. Return None if there is none."""
        try:
            number, address = self.socket._accept()
        except BlockingIOError:
            return None
        sock = _socket.socket(self.socket.family, self.socket.type, self.socket.proto, number)
        sock.setblocking(False)
        return sock, address

    def do_handle(self, sock: Any, *arguments: Any) -> None:
        """Register a new connection, and wait for its first request. A TLS connection needs a greenlet already for its handshake."""
        address = arguments[0]
        if not self._plain:
            super().do_handle(sock, address)
        elif self.gate.enter(sock, address[0]):
            self._first_requests.add(sock, address)
        else:
            self._warn_full("a connection was refused: too many connections")
            with suppress(OSError):
                sock.send(SERVICE_UNAVAILABLE)
                sock.shutdown(socket.SHUT_WR)
            sock.close()

    def _hand_over(self, first: FirstRequest) -> None:
        """Have the handler read a request that is not an ordinary handshake, in a greenlet."""
        sock = GeventSocket(first.sock.family, first.sock.type, first.sock.proto, first.sock.detach())
        self.gate.plain.replace(first.sock, sock)
        try:  # without ``do_handle``: a server that is draining has none any more, and the hub must not wait for the pool
            self.pool.start(gevent.Greenlet(self._handle_and_close, sock, first.address, first.waited), blocking=False)
        except BaseException:
            self.gate.plain.leave(sock)
            sock.close()
            raise

    def _handle_and_close(self, sock: Any, address: Any, waited: float) -> None:
        try:
            self.handle(sock, address, waited)
        finally:
            sock.close()

    def _warn_full(self, what: str) -> None:
        if (now := self.gate.clock.monotonic()) >= self._next_full_warning_at:
            self._next_full_warning_at = now + 60
            log.warning("%s; %d sockets are open, channels.sockets = %d", what, self.gate.sockets, self.gate.settings.channels.sockets)

    def handle(self, sock: Any, address: Any, waited: float = 0.0) -> None:
        """Serve a registered connection until it ends or becomes a channel.

        :param waited: seconds since it was accepted.
        """
        try:
            self._serve(sock, address, waited)
        finally:
            self.gate.plain.leave(sock)

    def _serve(self, sock: Any, address: Any, waited: float = 0.0) -> None:
        handler = self.handler_class(sock, address, self)
        handler.waited = waited
        handler.handle()

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> None:
        """Serve one TLS connection. A handshake that fails or takes too long is logged, not raised."""
        try:
            wrapped = self.wrap_socket(client_socket, **self.ssl_args, do_handshake_on_connect=False)
        except OSError as error:  # the peer has reset the connection already, as checks of load balancers do
            _log_failed_handshake(address, error)
            return
        with wrapped as sock:
            if not self.gate.enter(sock, address[0]):
                return
            try:
                if self._shake_hands(sock, address):
                    self._serve(sock, address)
            finally:
                self.gate.plain.leave(sock)

    def _shake_hands(self, sock: Any, address: Any) -> bool:
        try:
            with gevent.Timeout(self.gate.settings.channels.handshake_seconds, TimeoutError):
                sock.do_handshake()
        except OSError as error:
            _log_failed_handshake(address, error)
            return False
        return True

    def drain(self) -> None:
        """Stop accepting, close every channel with a ``retry_after``, and wait at most ``DRAIN_SECONDS`` for their ends."""
        self.gate.draining = True
        self.close()
        self.gate.close_all()
        with gevent.Timeout(DRAIN_SECONDS, False):
            while self.gate.connections:
                gevent.sleep(0.02)
        for connection in list(self.gate.connections):
            connection.abort()
        self.ticker.stop()
        self._first_requests.close()
        self.stop(timeout=1)
        if self.gate.connections:
            log.warning("%d channels did not end in time", len(self.gate.connections))


def _log_failed_handshake(address: Any, error: OSError) -> None:
    log.info("TLS handshake with %s failed: %s", address[0], error)


def tls_context(settings: ServerSettings) -> ssl.SSLContext:
    """Return the TLS context of ``certfile`` and ``keyfile``.

    :raises SettingError: the files are missing, unreadable or do not match.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    warn_of_readers(settings.keyfile, "the TLS key")
    for key, file in (("certfile", settings.certfile), ("keyfile", settings.keyfile)):  # the error of OpenSSL does not name the file
        try:
            open(file, "rb").close()
        except OSError as error:
            raise SettingError(f"{key}: must be a readable file, PEM ({error.strerror})") from None
    try:
        context.load_cert_chain(settings.certfile, settings.keyfile)
    except OSError as error:
        raise SettingError(f"certfile: must be a PEM chain whose key is in keyfile ({error.strerror})") from None
    return context
