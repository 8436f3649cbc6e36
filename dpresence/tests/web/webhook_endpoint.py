"""A webhook whose endpoint is the proof server of the web tests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dpresence.service import webhook_sender
from dpresence.tests.support import FakeConnection
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import App, World

ANN = "ann@example.org"
DAY = 86_400


class Endpoint:
    """The webhook of an application, its endpoint, and its owner."""

    def __init__(self, world: World, app: App, *events: str, owner: str = "dev@example.org") -> None:
        self.world, self.app, self.proof, self.owner = world, app, world.proof, owner
        self.proof.posted.clear()
        self.proof.answer = (204, "")
        self.path = f"/myapps/{app.id}/webhook"
        self.url = f"http://{world.proof.domain}/hook"
        made = app.owner("PUT", self.path, {"url": self.url, "events": [*events] or ["presence"]})
        assert made.status_int == 201
        self.secret = made.json["secret"]

    def call(self, method: str, path: str = "", body: Any = None) -> Any:
        """Make a call as the owner, whose session in the browser may have ended."""
        return self.world.browser()(method, self.path + path, body, **self.world.authorization(self.owner))

    def take(self, seconds: float = 2) -> list[Any]:
        """Let time pass, and return the messages that were sent."""
        self.world.advance(seconds)
        sender = self.world.services.webhook_sender
        sender.lease()
        sender.run_due()
        eventually(lambda: not sender._work.running(self.app.id))
        taken = [json.loads(body) for _, body in self.proof.posted]
        self.ids = [headers["webhook-id"] for headers, _ in self.proof.posted]
        self.proof.posted.clear()
        return taken

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.call("GET").json)


def entries(messages: list[Any]) -> list[tuple[str, str]]:
    """Return status and reason of each update."""
    return [(entry["status"], entry["reason"]) for message in messages for entry in message["data"]["updates"]]


def end_leases(world: World) -> None:
    """End the leases of a process that goes on."""
    sender = world.services.webhook_sender
    sender.release()
    sender._ended = False


def report(world: World, device: FakeConnection, *statuses: str) -> None:
    for status in statuses:
        device.receive({"email": ANN, "status": status})


@pytest.fixture(autouse=True)
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have leases last although nothing renews them while the clock advances."""
    monkeypatch.setattr(webhook_sender, "LEASE_SECONDS", 60 * DAY)
    monkeypatch.setattr(webhook_sender, "RENEW_SECONDS", 30 * DAY)
