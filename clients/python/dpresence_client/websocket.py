"""One websocket of a client, with the ``websockets`` library: opens it, reads, writes, closes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Any, Awaitable, Callable, MutableMapping, Tuple
from urllib.parse import SplitResult, quote, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from .core import ANSWER_SECONDS, log

MAX_BYTES = 4 * 2**20
"""Largest message from the service; a frame of 500 entries or 100 notifications takes less than 1 MiB."""
PING_SECONDS = 20.0
PONG_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_NO_CLOSE_FRAME = 1006
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def channel_url(url: str, path: str) -> str:
    """Return the URL of a channel.

    :param url: URL of the service: ``https``, ``wss``, or on loopback ``http`` or ``ws``; it may have a path.
    :param path: path of the channel; its special characters are quoted.
    :raises ValueError: it is no such URL.
    """
    parts = urlsplit(url)
    scheme = {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}.get(parts.scheme)
    if scheme is None or not parts.hostname or not _has_valid_port(parts) or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("url: the URL of the service, such as https://presence.example.org, without user, query and fragment")
    if scheme == "ws" and parts.hostname not in LOOPBACK:
        log.warning("the connection to %s is not encrypted: keys and assertions can be read on the way", parts.hostname)
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{quote(path)}"


def _has_valid_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


class _Log(logging.LoggerAdapter):  # type: ignore[type-arg]  # not subscriptable in Python 3.9
    """The client's log without DEBUG, in which the library would write whole frames, with keys and assertions."""

    def isEnabledFor(self, level: int) -> bool:
        """Return False for DEBUG."""
        return level > logging.INFO and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> Tuple[Any, MutableMapping[str, Any]]:
        """Return the arguments unchanged."""
        return msg, kwargs


class _Connect(connect):
    """Treats a redirect as an error: the channel begins with a key or an assertion, which no other address may get."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return the answer as an error."""
        return exc


class Websocket:
    """One attempt to open a websocket, and the websocket.

    :param events: the events of the core; each is called in the event loop.
    :param may_read: returns at once, or when the program has room for another message.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None, events: Any, may_read: Callable[[], Awaitable[None]]) -> None:
        self._url = url
        self._context = context
        self._events = events
        self._may_read = may_read
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._active, self._paused = True, False
        self._close_code = 1000
        self.task = asyncio.ensure_future(self._run())

    def send(self, text: str) -> None:
        """Send a text frame, in order."""
        self._outbox.put_nowait(text)

    def disconnect(self, code: int) -> None:
        """Close, and report nothing more. The close handshake goes on in ``task``."""
        self._active, self._close_code = False, code
        self.task.cancel()

    async def _run(self) -> None:
        websocket = None
        try:
            websocket = await self._open()
            if websocket is not None:
                await self._serve(websocket)
        except asyncio.CancelledError:
            if self._active:  # not by ``disconnect``: the event loop ends
                raise
        except Exception:
            log.exception("an error in the client ended the connection")
            self._report("closed", _NO_CLOSE_FRAME, "an error in the client")
        finally:
            if websocket is not None:
                with contextlib.suppress(WebSocketException, OSError):
                    await websocket.close(self._close_code)

    async def _open(self) -> ClientConnection | None:
        options: Any = {"ssl": self._context} if self._context is not None else {}
        if urlsplit(self._url).hostname in LOOPBACK:
            options["proxy"] = None  # no proxy reaches this machine
        try:
            return await _Connect(
                self._url,
                compression=None,
                max_size=MAX_BYTES,
                open_timeout=ANSWER_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PONG_SECONDS,
                user_agent_header="dpresence-client",
                logger=_Log(log, {}),
                **options,
            )
        except InvalidStatus as error:
            answer = error.response
            self._report("refused", answer.status_code, answer.body or b"", _seconds(answer.headers.get("Retry-After")))
        except (WebSocketException, OSError, asyncio.TimeoutError, EOFError) as error:
            self._report("closed", _NO_CLOSE_FRAME, f"{error or type(error).__name__}")
        return None

    async def _serve(self, websocket: ClientConnection) -> None:
        self._report("opened")
        others = [asyncio.ensure_future(work(websocket)) for work in (self._write, self._watch)]
        try:
            while True:
                self._paused = True
                await self._may_read()
                self._paused = False
                self._report("received", await websocket.recv())
        except ConnectionClosed as closed:
            self._report("closed", *_end(closed))
        finally:
            for task in others:
                task.cancel()

    async def _watch(self, websocket: ClientConnection) -> None:
        """Report the end of the connection while nothing is read, as the program has no room for another message."""
        await websocket.wait_closed()
        if self._paused:
            self._report("closed", *_end(websocket.protocol.close_exc))
            self.task.cancel()

    async def _write(self, websocket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):  # the reader reports it
            while True:
                await websocket.send(await self._outbox.get())

    def _report(self, event: str, *values: Any) -> None:
        if self._active:
            if event in ("closed", "refused"):
                self._active = False
            self._events(event, *values)


def _end(closed: ConnectionClosed) -> Tuple[int, str]:
    """Return the code and reason of the service's close frame; 1006 if the end was on this side or without one."""
    if closed.rcvd is not None and (closed.sent is None or closed.rcvd_then_sent):
        return closed.rcvd.code, closed.rcvd.reason
    return _NO_CLOSE_FRAME, closed.sent.reason if closed.sent is not None else ""


def _seconds(value: str | None) -> int:
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 7 else 0
