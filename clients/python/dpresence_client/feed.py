"""The feed of an application without a websocket, where a proxy does not pass the upgrade on: events over HTTP, notifications by REST.

It takes and reports the frames of the websocket, so that the core knows no difference (docs/protocol.md, section 5).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Awaitable, Callable, Dict, Set, Tuple
from urllib.parse import quote, urlsplit
from weakref import WeakSet

from .core import ANSWER_SECONDS, log

READ_SECONDS = 60.0
"""Limit for the next line of the stream: the service sends a comment after 25 s without an event."""
_MAX_BYTES = 4 * 2**20
_LOST = 1006
_TRANSIENT_HTTP = (408, 425, 429)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Feed:
    """One event stream. It has the interface of ``Websocket``.

    :param url: URL of the channel, ``wss`` or ``ws``.
    :param events: the events of the core; each is called in the event loop.
    :param may_read: returns at once, or when the program has room for another message.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None, events: Any, may_read: Callable[[], Awaitable[None]]) -> None:
        self._url, self._context = urlsplit(url), context
        self._events, self._may_read = events, may_read
        self._active = True
        self._closables = contextlib.ExitStack()
        self._headers: Dict[str, str] = {}
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._posts: Set[asyncio.Future[None]] = set()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="dpresence-client")
        self._signed_in: asyncio.Future[Dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.task = asyncio.ensure_future(self._run())

    def send(self, text: str) -> None:
        """Carry out a frame: sign in, or send notifications. A ``ping`` is answered by the stream itself."""
        frame = json.loads(text)
        if frame["action"] == "auth" and not self._signed_in.done():
            self._signed_in.set_result(frame)
        elif frame["action"] == "notify":
            post = asyncio.ensure_future(self._notify(frame))
            self._posts.add(post)
            post.add_done_callback(self._posts.discard)

    def disconnect(self, code: int) -> None:
        """Close, and report nothing more."""
        self._active = False
        self.task.cancel()

    async def _run(self) -> None:
        try:
            self._report("opened")
            await self._follow(await self._signed_in)
        except asyncio.CancelledError:
            if self._active:  # not by ``disconnect``: the event loop ends
                raise
        except (OSError, http.client.HTTPException) as error:
            self._report("closed", _LOST, f"{error or type(error).__name__}")
        except Exception:
            log.exception("an error in the client ended the connection")
            self._report("closed", _LOST, "an error in the client")
        finally:
            self._active = False
            for sock in list(self._sockets):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)  # ends the calls of the threads
            if self._posts:
                await asyncio.wait(self._posts)
            self._threads.shutdown()
            self._closables.close()

    async def _in_thread(self, function: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *values)

    async def _follow(self, auth: Dict[str, Any]) -> None:
        """Report the events of the stream as frames, until it ends."""
        self._headers = {"Authorization": f"Bearer {auth['key']}", "User-Agent": "dpresence-client"}
        since = f"?since={quote(auth['since'])}" if "since" in auth else ""
        answer = await self._in_thread(self._get, f"/feed{since}")
        if answer.status != http.client.OK:
            self._refused(answer.status, await self._in_thread(answer.read, _MAX_BYTES), auth["id"])
            return
        while self._active:
            await self._may_read()
            name, data = await self._in_thread(_next_event, answer)
            if name == "auth":
                self._report("received", json.dumps({**json.loads(data), "id": auth["id"]}))
            elif name == "current":
                self._report("received", json.dumps({**json.loads(data), "id": "ping"}))
            elif name == "close":
                end = json.loads(data)
                self._report("closed", end["code"], end["reason"])
            elif data:
                self._report("received", data)
            else:
                self._report("closed", _LOST, "the stream ended")

    def _refused(self, status: int, body: bytes, frame_id: Any) -> None:
        """Report the refusal of a call as the answer to its frame, or the end of the connection if a proxy did not reach the service."""
        error = _error_object(body)
        if error is None and (status >= 500 or status in _TRANSIENT_HTTP):
            self._report("closed", _LOST, f"HTTP {status}")
        else:
            error = error or {"result": "KO", "errno": 0, "error": f"HTTP {status}, not from dpresence"}
            self._report("received", json.dumps({**error, "id": frame_id}))

    async def _notify(self, frame: Dict[str, Any]) -> None:
        try:
            status, body = await self._in_thread(self._post, json.dumps(frame["notifications"]).encode())
        except (OSError, http.client.HTTPException) as error:
            self._report("closed", _LOST, f"{error or type(error).__name__}")
            return
        if status == http.client.OK:
            self._report("received", json.dumps({**json.loads(body), "id": frame["id"]}))
        else:
            self._refused(status, body, frame["id"])

    def _report(self, event: str, *values: Any) -> None:
        if self._active:
            self._active = event != "closed"
            self._events(event, *values)
            if event == "closed":
                self.task.cancel()

    # -- in a thread

    def _get(self, path: str) -> http.client.HTTPResponse:
        connection = self._connection(READ_SECONDS)
        self._closables.callback(connection.close)
        answer = self._call(connection, "GET", path, None)
        self._closables.callback(answer.close)
        return answer

    def _post(self, body: bytes) -> Tuple[int, bytes]:
        with contextlib.closing(self._connection(ANSWER_SECONDS)) as connection:
            answer = self._call(connection, "POST", "/notifications", body)
            with answer:
                return answer.status, answer.read(_MAX_BYTES)

    def _call(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None) -> http.client.HTTPResponse:
        """Make a call; no redirect is followed."""
        connection.connect()
        self._sockets.add(connection.sock)
        headers = {**self._headers, "Connection": "close", **({"Content-Type": "application/json"} if body else {})}
        connection.request(method, self._url.path + path, body, headers)
        return connection.getresponse()

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        """Return a connection, through the proxy of the environment for a service that is not on this machine."""
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "ws":
            return http.client.HTTPConnection(host, port, timeout=seconds)
        context = self._context or ssl.create_default_context()
        proxy = "" if host in _LOOPBACK or urllib.request.proxy_bypass(host) else urllib.request.getproxies().get("https", "")
        if not proxy:
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)
        through = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        connection = http.client.HTTPSConnection(through.hostname or "", through.port, timeout=seconds, context=context)
        connection.set_tunnel(host, port)
        return connection


def _next_event(answer: http.client.HTTPResponse) -> Tuple[str, str]:
    """Read the next event of a stream; return its name and data, both empty at the end."""
    name = data = ""
    while line := answer.readline(_MAX_BYTES):
        field, _, value = line.decode().rstrip("\r\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = value
        elif not field and (name or data):
            return name, data
    return "", ""


def _error_object(body: bytes) -> Dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and isinstance(answer.get("errno"), int) else None
