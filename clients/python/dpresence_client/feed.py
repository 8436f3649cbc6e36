"""The feed of an application without a websocket, where a proxy does not pass the upgrade on: events over HTTP, notifications by REST.

It takes and reports the frames of the websocket, so that the core knows no difference (docs/protocol.md, section 5).
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from typing import Any, Awaitable, Callable, Dict, Set, Tuple
from urllib.parse import urlencode

from .errors import ProtocolError
from .http_calls import FAILURES, LOST, MAX_BYTES, READ_SECONDS, HttpConnection, answer_object, error_object, json_object

_TRANSIENT_HTTP = (408, 425, 429)
_FOREIGN = "an answer that is not from dpresence"


class Feed(HttpConnection):
    """One event stream."""

    def __init__(self, url: str, context: ssl.SSLContext | None, events: Any, may_read: Callable[[], Awaitable[None]]) -> None:
        super().__init__(url, context, events, may_read)
        self._posts: Set[asyncio.Future[None]] = set()
        self._signed_in: asyncio.Future[Dict[str, Any]] = asyncio.get_running_loop().create_future()

    def send(self, text: str) -> None:
        """Carry out a frame: sign in, or send notifications. A ``ping`` is answered by the stream itself."""
        frame = json.loads(text)
        if frame["action"] == "auth" and not self._signed_in.done():
            self._signed_in.set_result(frame)
        elif frame["action"] == "notify":
            post = asyncio.ensure_future(self._notify(frame))
            self._posts.add(post)
            post.add_done_callback(self._posts.discard)

    async def _serve(self) -> None:
        await self._follow(await self._signed_in)

    async def _finish(self) -> None:
        if self._posts:
            await asyncio.wait(self._posts)

    async def _follow(self, auth: Dict[str, Any]) -> None:
        """Report the events of the stream as frames, until it ends."""
        self._calls.headers["Authorization"] = f"Bearer {auth['key']}"
        query = urlencode([(name, auth[name]) for name in ("since", "outcomes") if name in auth])
        answer = await self._calls.run(self._calls.get, f"/feed?{query}")
        if answer.status != http.client.OK:
            self._refused(answer.status, await self._calls.run(answer.read, MAX_BYTES), auth["id"])
            return
        while await self._is_read():
            name, data = await self._calls.run(_next_event, answer)
            if name in ("auth", "current"):
                self._received({**_answer(data), "id": auth["id"] if name == "auth" else "ping"})
            elif name == "close":
                self._report("closed", *_end(data))
            elif data:
                self._report("received", data)
            else:
                self._report("closed", LOST, "the stream ended")

    async def _is_read(self) -> bool:
        """Wait until the program has room for a message; return False if the connection has ended.

        After a minute without room, the connection is ended: its socket is not read meanwhile, so its end could go unnoticed.
        """
        try:
            await asyncio.wait_for(self._may_read(), READ_SECONDS)
        except asyncio.TimeoutError:
            self._report("closed", LOST, f"the program has taken nothing for {READ_SECONDS:g} s")
        return self._active

    def _refused(self, status: int, body: bytes, frame_id: Any) -> None:
        """Report the refusal of a call as the answer to its frame, or the end of the connection if a proxy did not reach the service."""
        error = error_object(body)
        if error is None and (status >= 500 or status in _TRANSIENT_HTTP):
            self._report("closed", LOST, f"HTTP {status}")
        else:
            error = error or {"result": "KO", "errno": 0, "error": f"HTTP {status}, not from dpresence"}
            self._received({**error, "id": frame_id})

    async def _notify(self, frame: Dict[str, Any]) -> None:
        try:
            status, body = await self._calls.run(self._calls.post, "/notifications", json.dumps(frame["notifications"]).encode())
        except FAILURES as error:
            self._failed(error)
            return
        answer = answer_object(body) if status == http.client.OK else None
        if answer is not None:
            self._received({**answer, "id": frame["id"]})
        elif status == http.client.OK:
            self._report("closed", LOST, _FOREIGN)
        else:
            self._refused(status, body, frame["id"])


def _answer(data: str) -> Dict[str, Any]:
    """Return the answer in an event.

    :raises ProtocolError: the event comes from something else than the service.
    """
    if (answer := answer_object(data)) is None:
        raise ProtocolError(_FOREIGN)
    return answer


def _end(data: str) -> Tuple[int, str]:
    """Return the close code and the reason in the last event.

    :raises ProtocolError: the event comes from something else than the service.
    """
    end = json_object(data) or {}
    code, reason = end.get("code"), end.get("reason")
    if not (isinstance(code, int) and isinstance(reason, str)):
        raise ProtocolError(_FOREIGN)
    return code, reason


def _next_event(answer: http.client.HTTPResponse) -> Tuple[str, str]:
    """Read the next event of a stream; return its name and data, both empty at the end."""
    name = data = ""
    while line := answer.readline(MAX_BYTES):
        field, _, value = line.decode(errors="replace").rstrip("\r\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = value
        elif not field and (name or data):
            return name, data
    return "", ""
