"""A connection without a socket for a request that is answered later, and the events of an event stream."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dpresence.tests.contract_check import check_answer
from dpresence.tests.support import FakeConnection
from dpresence.tests.web.support import App, Browser, World


@dataclass
class Event:
    """One event of a stream. ``retry`` lines alone are no event."""

    name: str
    id: str | None
    data: Any


class FakeStream(FakeConnection):
    """Stands in for ``channels.stream_connection.StreamConnection``.

    :ivar written: all bytes of the answer.
    """

    head = b"X-Accel-Buffering: no\r\n"

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__(address)
        self.written = b""

    def send_frame(self, frame: bytes) -> None:
        if self.code is None:
            self.written += frame

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self.code is None and code != 1006:
            self.written += self.channel.last_bytes(code, reason)
        super().close(code, reason)

    @property
    def answer(self) -> tuple[int, Any]:
        """Status and body of an answer that has come completely."""
        head, _, body = self.written.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}\r\n".encode() in head
        status = int(head.split()[1])
        check_answer("GET", "/myapps/appid/feed", status, "application/json", body)
        return status, json.loads(body)

    def take_events(self) -> list[Event]:
        """Return the events since the last time."""
        text = self.written.decode().rpartition("\r\n")[2]
        self.written = b""
        events = []
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "data" in fields:
                events.append(Event(fields.get("event", ""), fields.get("id"), json.loads(fields["data"])))
        return events


def stream(world: World, app: App, query: str = "", **headers: str) -> FakeStream:
    """Return the answer to a call of the feed that is written later, after its beginning."""
    connection = FakeStream()
    world.connections.append(connection)
    given = {"Authorization": f"Bearer {app.key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    browser = Browser(world.app)
    answer = browser.web.get(f"/myapps/{app.id}/feed{query}", headers=given, extra_environ={"wsgi.stream": lambda: connection})
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert connection.channel is not None, answer.body
    connection.start()
    world.settle()
    return connection


def poll(world: World, app: App, query: str) -> Any:
    """Return the body of a long poll that is answered at once."""
    answer = world.browser()("GET", f"/myapps/{app.id}/feed{query}", Authorization=f"Bearer {app.key}")
    assert answer.status_int == 200, answer.json
    return answer.json
