"""Requests for the application, and the websocket handshake (RFC 6455, 4.2): checks, admission, and the view, all before the 101."""

from __future__ import annotations

import binascii
import hashlib
import io
import logging
from contextlib import suppress
from typing import Any

from ..errors import Forbidden, MethodNotAllowed, Refused, WrongValue
from ..logs import enter_session
from ..origins import is_extension_origin, without_default_port
from ..settings import Settings
from .connection import Connection
from .gate import Gate
from .http import HttpHandler, printable
from .stream_connection import StreamConnection, new_stream
from .ticker import Ticker

__all__ = ["Gate", "Ticker", "WebsocketHandler"]

WEBSOCKET_VERSION = "13"
UPGRADE_REMOVED = (
    "a websocket handshake came without Upgrade: the proxy in front has to pass Upgrade and Connection on (docs/operations.md)"
)

log = logging.getLogger("dpresence.server")


class WebsocketHandler(HttpHandler):
    """Has the application answer each request, and upgrades one to a channel if its view has called ``environ["wsgi.websocket"].open``.

    If the view answers otherwise, its response is sent as plain HTTP. A view that has called ``environ["wsgi.stream"]()``, and ``open`` of
    the connection that this returns, is answered by that connection.
    """

    socket: Any
    _stream: StreamConnection | None = None

    def run_application(self) -> None:
        """Handle one request, an upgrade or plain HTTP."""
        self._stream = None
        try:
            self.count_request()
            if self._asks_for_websocket():
                self._upgrade()
            else:
                if "HTTP_SEC_WEBSOCKET_KEY" in self.environ:
                    self.server.gate.configuration_warnings.warn(log, UPGRADE_REMOVED)
                self.environ["wsgi.websocket.check"] = self._check_admission
                self.environ["wsgi.stream"] = self._open_stream
                self.buffer_body()
                self.run_plain()
        except Refused as refused:
            self.refuse(refused, headers=[("Allow", refused.allowed)] if isinstance(refused, MethodNotAllowed) else ())

    def _open_stream(self) -> StreamConnection:
        """Return the connection by which this request may be answered later; see ``StreamOpener``."""
        self._stream = new_stream(self.server.gate, self.environ["REMOTE_ADDR"])
        return self._stream

    def process_result(self) -> None:
        """Send the response, or pass the socket to the connection that the view has opened; this greenlet then ends."""
        stream = self._stream
        if stream is None or stream.channel is None:
            super().process_result()
            return
        self.close_connection = True
        sock, self.socket = self.socket, None  # otherwise pywsgi closes it with the request
        try:
            stream.attach_answer(sock, self.response_headers, self.requestline)
        finally:
            self.rfile.close()

    def log_request(self) -> None:
        """Log the request, unless its answer is written later; its connection logs it then."""
        if self._stream is None or self._stream.channel is None:
            super().log_request()

    def _asks_for_websocket(self) -> bool:
        return asks_for_websocket(self.environ.get("HTTP_UPGRADE", ""), self.environ.get("HTTP_CONNECTION", ""))

    def _upgrade(self) -> None:
        version = self.environ.get("HTTP_SEC_WEBSOCKET_VERSION", "")
        self._check_request()
        if version != WEBSOCKET_VERSION:
            self.refuse(WrongValue(f"Sec-WebSocket-Version: {WEBSOCKET_VERSION}"), 426, [("Sec-WebSocket-Version", WEBSOCKET_VERSION)])
            return
        accept = accept_key(self.environ.get("HTTP_SEC_WEBSOCKET_KEY", ""), self.GUID)
        self._check_origin(self.environ.get("HTTP_ORIGIN"))
        self._deadline.close()
        gate = self.server.gate
        gate.check(self.environ["REMOTE_ADDR"])
        connection = Connection(gate, self.environ["REMOTE_ADDR"])
        enter_session(connection.id)
        try:
            self._call_application(connection)
            if connection.channel is not None and self.code < 400:
                gate.admit(connection)
                self.uncount_request()
                self._switch(connection, accept)
        finally:
            if not connection.started:  # refused, or the peer disconnected before the 101
                gate.leave(connection)

    def _check_request(self) -> None:
        has_body = bool(self.content_length) or "HTTP_TRANSFER_ENCODING" in self.environ
        if has_body:
            self.skip_body()
        if self.request_version != "HTTP/1.1":
            raise WrongValue("a websocket needs HTTP/1.1")
        if self.command != "GET":
            raise MethodNotAllowed(allowed="GET")
        if has_body:
            raise WrongValue("a websocket's request has no body")

    def _check_admission(self, origin: str | None) -> None:
        """Raise the error with which a channel of that origin would be refused now. A page cannot read it from a failed handshake."""
        self._check_origin(origin)
        self.server.gate.check(self.environ["REMOTE_ADDR"])

    def _check_origin(self, origin: str | None) -> None:
        """Check that an origin is allowed, or None, as programs send no Origin.

        :raises Forbidden: the origin is not allowed.
        """
        if origin is None or origin_allowed(origin, self.server.gate.settings):
            return
        refused = f"Origin {printable(origin)[:200]}: neither identity.audience nor in channels.origins"
        self.server.gate.configuration_warnings.warn(log, f"a channel was refused: {refused}")
        raise Forbidden(refused)

    def _call_application(self, connection: Connection) -> None:
        """Call the WSGI application; send its response unless the view has opened the channel."""
        self.environ["wsgi.websocket"] = connection
        self.environ["wsgi.input"] = io.BytesIO()
        self.result = self.application(self.environ, self.start_response)
        try:
            if connection.channel is None or self.code >= 400:
                self.process_result()
        finally:
            close = getattr(self.result, "close", None)
            self.result = None
            if close is not None:
                close()

    def _switch(self, connection: Connection, accept: str) -> None:
        """Send the 101 and pass the socket to the connection; this greenlet and the request then end."""
        super(HttpHandler, self).start_response(
            "101 Switching Protocols", [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        )
        self.write(b"")
        received = b""
        self.socket.settimeout(0)
        with suppress(OSError):
            received = self.rfile.peek()
        connection.start(self.socket, received)
        self.rfile.close()
        self.socket = None  # otherwise pywsgi closes it with the request


def asks_for_websocket(upgrade: str, connection: str) -> bool:
    """Return whether these values of ``Upgrade`` and ``Connection`` ask for a websocket."""
    return "websocket" in _tokens(upgrade) and "upgrade" in _tokens(connection)


def _tokens(value: str) -> set[str]:
    return {token.strip().lower() for token in value.split(",")}


def origin_allowed(origin: str, settings: Settings) -> bool:
    """Return whether an origin may open channels: one that the settings name, or that of a browser's extension, as of a program."""
    return is_extension_origin(origin) or without_default_port(origin) in (settings.identity.audience, *settings.channels.origins)


def accept_key(key: str, guid: str) -> str:
    """Return the Sec-WebSocket-Accept of a Sec-WebSocket-Key (RFC 6455, 4.2.2).

    :raises WrongValue: the key is not 16 bytes in base64.
    """
    try:
        valid = len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except ValueError:
        valid = False
    if not valid:
        raise WrongValue("Sec-WebSocket-Key: 16 bytes in base64")
    return binascii.b2a_base64(hashlib.sha1((key + guid).encode()).digest(), newline=False).decode()  # noqa: S324 - RFC 6455 requires SHA-1
