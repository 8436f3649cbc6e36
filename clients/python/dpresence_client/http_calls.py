"""A connection without a websocket, and its HTTP calls, which run in threads and end when the connection does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Awaitable, Callable, Dict, Set, Tuple
from urllib.parse import SplitResult, unquote, urlsplit
from weakref import WeakSet

from .core import ANSWER_SECONDS, log
from .errors import ProtocolError

READ_SECONDS = 60.0
"""Limit for the next line of a stream: the service sends a comment after 25 s without an event."""
MAX_BYTES = 4 * 2**20
LOST = 1006
FAILURES = (OSError, http.client.HTTPException)
"""Errors of a call."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class HttpCalls:
    """Makes calls.

    :param url: URL of the channel, ``wss`` or ``ws``.
    :param context: TLS settings; None for the default ones.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        self._url, self._context = urlsplit(url), context
        self._closables = contextlib.ExitStack()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._interrupted, self._lock = False, threading.Lock()
        self._running: Set[asyncio.Future[Any]] = set()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="dpresence-client")
        self.headers: Dict[str, str] = {"User-Agent": "dpresence-client"}

    async def run(self, function: Callable[..., Any], *values: Any) -> Any:
        """Run a function in a thread, which goes on if the caller is cancelled."""
        call = asyncio.get_running_loop().run_in_executor(self._threads, function, *values)
        self._running.add(call)
        call.add_done_callback(self._running.discard)
        return await asyncio.shield(call)

    def interrupt(self) -> None:
        """End the calls of the threads; one that looks a name up or negotiates TLS ends after that, or after ``ANSWER_SECONDS``."""
        with self._lock:
            self._interrupted = True
            for sock in self._sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Return when no thread is left."""
        if self._running:
            await asyncio.wait(self._running)
        self._threads.shutdown()  # at once, as nothing runs in them
        self._closables.close()

    # -- in a thread

    def get(self, path: str) -> http.client.HTTPResponse:
        """Make a call and return its answer, which is read later.

        :param path: what follows the path of the channel.
        """
        connection = self._connection()
        self._closables.callback(connection.close)
        answer = self._call(connection, READ_SECONDS, "GET", path, None)
        self._closables.callback(answer.close)
        return answer

    def post(self, path: str, body: bytes) -> Tuple[int, bytes]:
        """Make a call with a JSON body; return the status and the body of its answer."""
        with contextlib.closing(self._connection()) as connection:
            answer = self._call(connection, ANSWER_SECONDS, "POST", path, body)
            with answer:
                return answer.status, answer.read(MAX_BYTES)

    def _call(
        self, connection: http.client.HTTPConnection, seconds: float, method: str, path: str, body: bytes | None
    ) -> http.client.HTTPResponse:
        """Make a call; no redirect is followed.

        :param seconds: limit for each read, once the connection is open.
        """
        connection._create_connection = self._dial  # type: ignore[attr-defined]  # as the library offers to tests
        try:
            connection.connect()
        except OSError as error:  # in Python 3.9 its frames have the answer of a proxy that refuses, which keeps the socket open
            raise error.with_traceback(None) from None
        connection.sock.settimeout(seconds)
        self._add(connection.sock)
        headers = {**self.headers, "Connection": "close", **({"Content-Type": "application/json"} if body else {})}
        connection.request(method, self._url.path + path, body, headers)
        return connection.getresponse()

    def _add(self, sock: socket.socket) -> None:
        """Have ``interrupt`` end what a thread does with a socket."""
        with self._lock:
            if self._interrupted:
                raise ConnectionAbortedError("the connection has ended")
            self._sockets.add(sock)

    def _dial(self, address: Tuple[str, int], seconds: float, _source: Any = None) -> socket.socket:
        """Connect as ``socket.create_connection`` does, unless it is interrupted."""
        error = OSError("the name has no address")
        for family, kind, protocol, _, where in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                self._add(sock)
                sock.settimeout(seconds)
                sock.connect(where)
                return sock
            except OSError as failed:
                sock.close()
                error = failed
        raise error

    def _connection(self) -> http.client.HTTPConnection:
        """Return a connection, through the proxy of the environment for a service that is not on this machine."""
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "ws":
            return http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        context = self._context or ssl.create_default_context()
        proxy = "" if host in _LOOPBACK or urllib.request.proxy_bypass(host) else urllib.request.getproxies().get("https", "")
        if not proxy:
            return http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=context)
        through = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        near = through.port or http.client.HTTP_PORT
        connection = http.client.HTTPSConnection(through.hostname or "", near, timeout=ANSWER_SECONDS, context=context)
        connection.set_tunnel(host, port, _authorization(through))
        return connection


def _authorization(proxy: SplitResult) -> Dict[str, str]:
    """Return the header for a proxy whose address has a user and a password."""
    if proxy.username is None:
        return {}
    credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


class HttpConnection:
    """Takes and reports the frames of a websocket, and has the interface of ``Websocket``. Subclasses carry the frames.

    :param url: URL of the channel, ``wss`` or ``ws``.
    :param events: the events of the core; each is called in the event loop.
    :param may_read: returns at once, or when the program has room for another message.
    :ivar task: runs until no call and no thread is left.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None, events: Any, may_read: Callable[[], Awaitable[None]]) -> None:
        self._calls = HttpCalls(url, context)
        self._events, self._may_read = events, may_read
        self._active = True
        self._serving = asyncio.ensure_future(self._run())
        self.task = asyncio.ensure_future(self._close_at_end())

    def disconnect(self, code: int) -> None:
        """Close, and report nothing more."""
        self._active = False
        self._serving.cancel()

    async def _serve(self) -> None:
        """Carry frames until the connection ends."""
        raise NotImplementedError

    async def _finish(self) -> None:
        """Wait for what is under way, after its calls were interrupted."""

    async def _run(self) -> None:
        try:
            self._report("opened")
            await self._serve()
        except asyncio.CancelledError:
            if self._active:  # not by ``disconnect``: the event loop ends
                raise
        except (*FAILURES, ProtocolError) as error:
            self._failed(error)
        except Exception:
            log.exception("an error in the client ended the connection")
            self._report("closed", LOST, "an error in the client")

    async def _close_at_end(self) -> None:
        """Close after the connection has ended. What cancels the connection does not cancel this."""
        try:
            await asyncio.wait({self._serving})
        finally:
            self._active = False
            self._calls.interrupt()
            await self._finish()
            await self._calls.close()

    def _failed(self, error: Exception) -> None:
        self._report("closed", LOST, f"{error or type(error).__name__}")

    def _received(self, frame: Dict[str, Any]) -> None:
        self._report("received", json.dumps(frame))

    def _report(self, event: str, *values: Any) -> None:
        if not self._active:
            return
        self._active = event != "closed"
        self._events(event, *values)
        if event == "closed":
            self._serving.cancel()


def answer_object(body: bytes | str) -> Dict[str, Any] | None:
    """Return the answer of the service to a frame, accepted or refused; None if it comes from something else."""
    answer = json_object(body)
    return answer if answer is not None and answer.get("result") == "OK" else error_object(body)


def error_object(body: bytes | str) -> Dict[str, Any] | None:
    """Return the error object of the service in the body of a refusal; None if it comes from something else."""
    answer = json_object(body)
    return answer if answer is not None and isinstance(answer.get("errno"), int) else None


def json_object(body: bytes | str) -> Dict[str, Any] | None:
    """Return the object in a body; None without one."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
