"""Plain HTTP on the same port: deadlines and size limits of requests and responses, and logging."""

from __future__ import annotations

import errno
import io
import json
import logging
import math
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from http.client import responses
from typing import Any

import gevent
from gevent import pywsgi
from geventwebsocket.handler import WebSocketHandler
from msgspec import to_builtins

from ..addresses import network, plain_address
from ..errors import Refused, SlowDown, WrongValue
from ..limits import TokenBucket
from ..logs import begin_request
from ..messages import Refusal
from ..service.scheduling import yield_to_loop
from .http_parser import LINE_BYTES, BadRequest, Head, own_cookies, read_body, read_head

access_log = logging.getLogger("dpresence.access")
log = logging.getLogger("dpresence.server")

READ_BYTES = 16384
DISCARD_BYTES = 262144
"""Maximum number of bytes discarded after an early response, so that the client can read it."""
MAX_UNREAD_BYTES = 8 * 1024 * 1024
"""Maximum unread bytes of responses to one address; beyond it, further requests are refused."""
_OWN_COOKIES = ("dpresence", "__Host-dpresence")
pywsgi.MAX_REQUEST_LINE = LINE_BYTES  # which its handler checks as well


class HttpHandler(WebSocketHandler):
    """Reads a request and its body within ``channels.handshake_seconds`` before it calls the application.

    ``channels.idle_seconds`` is the limit between two requests of a connection, and for the client to read a response.

    :ivar waited: seconds for which the first request was waited for before this handler was created.
    """

    environ: Any
    head: Head

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.limits = self.server.gate.settings.channels
        self.waited = 0.0
        self._first = True
        self._deadline: Any = None
        self._bucket = TokenBucket(self.limits.connection_request_rate, self.limits.connection_request_burst)
        self._request_unread = False  # a response is sent before the whole request is read
        self._proxied = False  # the peer is a trusted proxy, which has the requests of many clients

    # Reading

    def handle(self) -> None:
        """Handle the requests of one connection. A client that disconnects is not an error."""
        with suppress(OSError):
            super().handle()

    def handle_one_request(self) -> Any:
        """Read and answer one request; return True, or None to close the connection."""
        self._deadline = gevent.Timeout(max(0.0, self.limits.handshake_seconds - self.waited))
        self.waited = 0.0
        self.requestline, self.environ = "", None
        begin_request()
        try:
            result = super().handle_one_request()
        except gevent.Timeout as timeout:
            if timeout is not self._deadline:
                raise
            result = self._error_response(408)
        finally:
            self._deadline.close()
        if isinstance(result, tuple):
            with gevent.Timeout(self.limits.idle_seconds, TimeoutError):
                self.socket.sendall(result[1])
            self.time_finish = time.time()
            self.log_request()
        if self._request_unread:
            self._close_lingering()
        return result is True or None

    def _close_lingering(self) -> None:
        """Half-close the socket and discard input for a while. Closing it with unread bytes would send RST, and the client could
        lose the response."""
        with gevent.Timeout(self.limits.close_seconds, False), suppress(OSError):
            self.socket._sock.shutdown(socket.SHUT_WR)
            left = DISCARD_BYTES
            while left > 0 and (data := self.socket.recv(READ_BYTES)):
                left -= len(data)
                yield_to_loop()

    def read_requestline(self) -> str:
        """Wait for a request, then start its deadline; return "" if none comes."""
        self.server.gate.plain.mark_waiting(self.socket)
        if not self._first:
            yield_to_loop()  # reading from a socket with data does not switch greenlets
            if not self._next_request_begins():
                return ""
        self._first = False
        self._deadline.start()
        peer = plain_address(self.client_address[0]) or ""
        if self.rfile.peek(1) and not self.server.gate.forwarding.trusts(peer):
            self.server.gate.request_rounds.wait(network(peer))
        return str(super().read_requestline())

    def _next_request_begins(self) -> bool:
        """Wait for the first byte of the next request; return False if none comes in time."""
        with gevent.Timeout(self.limits.idle_seconds, False):
            return bool(self.rfile.peek(1))
        return False

    def read_request(self, raw_requestline: str) -> bool:
        """Read the header lines.

        :raises BadRequest: the head is malformed, ambiguous or too large.
        """
        self.requestline = raw_requestline.rstrip()
        self.head = head = read_head(raw_requestline.encode("latin-1"), self.rfile)
        self.command, self.path, self.request_version = head.method, head.target, head.version
        self.headers = pywsgi.OldMessage()
        for name, value in head.fields:
            self.headers[name] = value
        self.server.gate.plain.mark_busy(self.socket)
        self.content_length = head.length
        self.close_connection = not head.keep_alive
        return True

    def count_request(self) -> None:
        """Count the request against the rates of its connection and its address.

        A trusted proxy's connection has no rate, because it has the requests of many clients.

        :raises SlowDown: a rate is exceeded, or the address has too many unread responses.
        """
        gate, address = self.server.gate, network(self.environ["REMOTE_ADDR"])
        if self._proxied:
            gate.request_rounds.wait(address)
        now = gate.clock.monotonic()
        if gate.unread[address] > MAX_UNREAD_BYTES:
            self.skip_body()
            raise SlowDown("too many answers to this address wait to be read", retry_after=1)
        wait = (not self._proxied and self._bucket.take(now=now)) or gate.requests.take(address, now=now)
        if wait:
            self.skip_body()
            raise SlowDown("too many requests", retry_after=math.ceil(wait))

    def uncount_request(self) -> None:
        """Undo ``count_request``: the request became a channel, which has its own rates."""
        self.server.gate.requests.give(network(self.environ["REMOTE_ADDR"]))

    def buffer_body(self) -> None:
        """Read the whole body, so that no view blocks on a slow client.

        :raises Refused: the body is too large, malformed or late.
        """
        try:
            body = self._read_body()
        except Refused:
            self.skip_body()
            raise
        self._deadline.close()
        self.environ["wsgi.input"] = io.BytesIO(body)
        self.environ["CONTENT_LENGTH"] = str(len(body))
        self.environ.pop("HTTP_TRANSFER_ENCODING", None)

    def _read_body(self) -> bytes:
        most = self.limits.body_bytes
        if self.head.value("expect").lower() == "100-continue" and (self.content_length or 0) <= most:
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return read_body(self.head, self.rfile, most)
        except OSError:
            raise WrongValue("the body is not what its headers say") from None
        except gevent.Timeout as timeout:
            if timeout is not self._deadline:
                raise
            raise WrongValue("the body did not come in time") from None

    def skip_body(self) -> None:
        """Leave the body unread; the connection is closed after the response."""
        self.close_connection = self._request_unread = True

    def get_environ(self) -> dict[str, Any]:
        """Return the WSGI environ, with the client's address and scheme also behind trusted proxies."""
        environ: dict[str, Any] = super().get_environ()
        self.wsgi_input = pywsgi.Input(io.BytesIO(), 0)  # pywsgi would read what is left of a body, without any limit
        environ["HTTP_COOKIE"] = own_cookies(environ.get("HTTP_COOKIE", ""), _OWN_COOKIES)
        forwarding = self.server.gate.forwarding
        self._proxied = forwarding.trusts(environ.get("REMOTE_ADDR"))
        if path := self.server.gate.settings.identity.path:
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = path, path_below(path, environ["PATH_INFO"])
        environ["REMOTE_ADDR"], scheme = forwarding.client(environ)
        environ["wsgi.url_scheme"] = scheme or environ["wsgi.url_scheme"]
        return environ

    # Answering

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Start an HTTP response, not a 101 as the inherited method does."""
        return super(WebSocketHandler, self).start_response(status, headers, exc_info)

    def run_plain(self) -> None:
        """Call the application as pywsgi does."""
        super(WebSocketHandler, self).run_application()

    def refuse(self, refused: Refused, status: int = 0, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer with an error object (docs/protocol.md, section 7) and close the connection; only close it, if a part of a body was sent.

        :param status: HTTP status; 0 for that of the error.
        """
        self._deadline.close()
        self.server.gate.metrics.refused(refused.errno)
        if self.headers_sent:  # the client notices that the rest is missing
            self.close_connection = True
            return
        status = status or refused.status
        body = json.dumps(to_builtins(Refusal.of(refused))).encode()  # with blanks, unlike the bodies of views
        fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close"), *headers]
        fields.append(("Cross-Origin-Resource-Policy", "same-origin"))
        if refused.retry_after is not None:
            fields.append(("Retry-After", str(math.ceil(refused.retry_after))))
        self.start_response(f"{status} {responses[status]}", fields)
        self.write(body)

    def _sendall(self, data: bytes) -> None:
        address, unread = network((self.environ or {}).get("REMOTE_ADDR", "")), self.server.gate.unread
        if unread[address] > MAX_UNREAD_BYTES and len(data) > READ_BYTES:  # small responses, such as errors, are still sent
            raise OSError(errno.EPIPE, "the clients of this address do not read their responses")
        unread[address] += len(data)
        try:
            with gevent.Timeout(self.limits.idle_seconds, TimeoutError):
                super()._sendall(data)
        except OSError as error:
            raise OSError(errno.EPIPE, "the client does not read the response") from error
        finally:
            unread[address] -= len(data)
            if not unread[address]:
                del unread[address]

    # Logging

    def log_request(self) -> None:
        """Write one line for each request to the access log, without its query."""
        address = (self.environ or {}).get("REMOTE_ADDR") or self.client_address[0]
        status = (self._orig_status or "000").split()[0]
        log_access(address, self.requestline or "", status, self.response_length,
                   self.time_finish - self.time_start if self.time_finish else 0)  # fmt: skip

    def log_error(self, msg: str, *args: Any) -> None:
        """Write one line to the server log."""
        log.info("%s", printable(msg % args if args else msg))

    def _handle_client_error(self, ex: BaseException) -> Any:
        self.log_error("bad request from %s: %s", self.client_address[0], ex if isinstance(ex, BadRequest) else type(ex).__name__)
        return self._error_response(ex.status if isinstance(ex, BadRequest) else 400)

    def _error_response(self, status: int) -> tuple[str, bytes]:
        """Return an error response in the form that pywsgi expects, for input without a valid request; the connection is closed."""
        self._request_unread = True
        self.status = self._orig_status = f"{status} {responses[status]}"
        return self.status, f"HTTP/1.1 {self.status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()

    def _log_error(self, t: Any, v: Any, tb: Any) -> None:
        if not issubclass(t, gevent.GreenletExit):
            log.error("unhandled exception in %s", printable(self.requestline.partition("?")[0]), exc_info=(t, v, tb))


def log_access(address: str, line: str, status: str, length: int, seconds: float, **ids: str) -> None:
    """Write one line to the access log.

    :param line: the request line; its query is not logged.
    :param ids: ids that the context of the greenlet does not have.
    """
    if access_log.isEnabledFor(logging.INFO):
        method, _, rest = line.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        fields = {"method": printable(method), "path": printable(path), "code": int(status), "bytes": length, "t": round(1000 * seconds, 1)}
        text = "%s %s %s %s %d bytes %.1f ms"
        access_log.info(text, address, fields["method"], fields["path"], status, length, 1000 * seconds, extra={**fields, **ids})


def path_below(prefix: str, path: str) -> str:
    """Return a path without the prefix ``identity.path``, which a proxy may have removed already."""
    return (path.removeprefix(prefix) or "/") if path == prefix or path.startswith(f"{prefix}/") else path


def printable(text: str) -> str:
    """Return text with control and non-ASCII characters escaped, at most 1000 characters of it, for one log line."""
    return text[:1000].encode("unicode_escape").decode()
