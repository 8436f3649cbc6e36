"""A client of the feed without a websocket: an event stream as ``requests`` reads it, and a long poll."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Self

import requests

from dpresence.tests.contract_check import check_answer
from dpresence.tests.waiting import PATIENCE_SECONDS

from .clients import Application


class Events:
    """An open event stream.

    :param cursor: sent as ``Last-Event-ID``.
    :param options: those of ``requests.get``.
    :ivar cursor: the id of the last event.
    :ivar retry: the last ``retry`` in milliseconds.
    :ivar statuses: the view of the application, by PUID.
    """

    def __init__(self, application: Application, cursor: str | None = None, **options: Any) -> None:
        headers = {"Authorization": f"Bearer {application.key}", **({"Last-Event-ID": cursor} if cursor else {})}
        url = f"{application.origin}/myapps/{application.appid}/feed"
        self._answer = requests.get(url, headers=headers, stream=True, timeout=PATIENCE_SECONDS, **options)
        assert self._answer.status_code == 200, self._answer.text
        assert self._answer.headers["Content-Type"] == "text/event-stream"
        self._lines = self._answer.iter_lines(chunk_size=1)
        self._events = self._read()
        self.cursor = cursor
        self.retry = 0
        self.statuses: dict[str, str] = {}
        name, auth = self.next()
        assert name == "auth"
        self.recovery = auth["recovery"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()

    def _read(self) -> Iterator[tuple[str, Any]]:
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.decode().partition(": ")
            if name:
                fields[name] = value
                continue
            self.retry = int(fields.get("retry", self.retry))
            self.cursor = fields.get("id", self.cursor)
            if "data" in fields:
                yield fields.get("event", ""), json.loads(fields["data"])
            fields = {}

    def next(self) -> tuple[str, Any]:
        """Return name and data of the next event."""
        name, data = next(self._events)
        for entry in data.get("snapshot", []) + data.get("updates", []):
            self.statuses[entry["puid"]] = entry["status"]
        return name, data

    def until(self, name: str) -> Any:
        """Read up to an event of a name; return its data."""
        while True:
            found, data = self.next()
            if found == name:
                return data

    def follow(self, statuses: dict[str, str]) -> None:
        """Read until the view contains these statuses."""
        while not statuses.items() <= self.statuses.items():
            self.next()


def poll(application: Application, query: str) -> tuple[int, Any]:
    """Return status and body of a long poll."""
    path = f"/myapps/{application.appid}/feed"
    headers = {"Authorization": f"Bearer {application.key}"}
    answer = requests.get(f"{application.origin}{path}?{query}", headers=headers, timeout=PATIENCE_SECONDS)
    check_answer("GET", path, answer.status_code, answer.headers["Content-Type"], answer.content)
    return answer.status_code, answer.json()
