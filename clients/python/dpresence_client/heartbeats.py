"""The connection of a device without a websocket, where a proxy does not pass the upgrade on: heartbeats over HTTP.

It takes and reports the frames of the websocket, so that the core knows no difference (docs/protocol.md, section 3).
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from typing import Any, Awaitable, Callable, Dict, List

from .http_calls import LOST, HttpConnection, answer_object, error_object

BEAT_SECONDS = 25.0
"""Seconds until a heartbeat without a frame; less than half of the lease of 60 s."""
_FIELDS = ("email", "status", "assertion", "label", "kind")
_NEEDS_WEBSOCKET = {"result": "KO", "errno": 108, "error": "this needs a websocket: the device is connected by heartbeats"}


class Heartbeats(HttpConnection):
    """One device.

    :param device: name of the device.
    """

    def __init__(self, device: str, url: str, context: ssl.SSLContext | None, events: Any, may_read: Callable[[], Awaitable[None]]) -> None:
        super().__init__(url, context, events, may_read)
        self._fields: Dict[str, Any] = {"device": device, "ticket": True}
        self._frames: asyncio.Queue[Dict[str, Any]] = asyncio.Queue()

    def send(self, text: str) -> None:
        """Send a frame with the next heartbeat, which follows at once."""
        self._frames.put_nowait(json.loads(text))

    async def _serve(self) -> None:
        frames = [await self._frames.get()]
        while self._active:
            await self._beat(frames)
            await self._may_read()
            frames = await self._next_frames()

    async def _next_frames(self) -> List[Dict[str, Any]]:
        """Return the frames to send, at the latest when a heartbeat is due."""
        try:
            frames = [await asyncio.wait_for(self._frames.get(), BEAT_SECONDS)]
        except asyncio.TimeoutError:
            return []
        while not self._frames.empty():
            frames.append(self._frames.get_nowait())
        return frames

    async def _beat(self, frames: List[Dict[str, Any]]) -> None:
        """Send one heartbeat for some frames, or for none."""
        others = [frame for frame in frames if frame.get("action") != "ack" and ("action" in frame or "status" not in frame)]
        for frame in others:
            self._received({**_NEEDS_WEBSOCKET, "id": frame["id"]})
        sent = [frame for frame in frames if frame not in others]
        for frame in sent:
            self._fields.update({name: frame[name] for name in _FIELDS if name in frame})
        ack = [number for frame in sent if frame.get("action") == "ack" for number in frame["notifications"]]
        status, body = await self._calls.run(self._calls.post, "", json.dumps({**self._fields, "ack": ack}).encode())
        answer = answer_object(body) if status == http.client.OK else error_object(body)
        if answer is None or (status != http.client.OK and not sent):  # the next sign-in gets the refusal
            self._report("closed", LOST, f"HTTP {status}" if answer is None else answer.get("error", ""))
            return
        self._answered(answer, [frame["id"] for frame in sent])

    def _answered(self, answer: Dict[str, Any], ids: List[Any]) -> None:
        """Report the answer to a heartbeat as those to its frames."""
        if "ticket" in answer:
            self._fields["assertion"] = answer["ticket"]
        notifications = answer.pop("notifications", [])
        for number in ids or [None]:
            self._received({**answer, "id": number})
        if notifications:
            self._received({"notifications": notifications})
