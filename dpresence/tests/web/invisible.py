"""A person who is shown as offline or has no device, and an application that may see them."""

from __future__ import annotations

import json
import re
from typing import Any

from dpresence.tests.support import FakeConnection
from dpresence.tests.web.support import App, Browser, World

ANN = "ann@example.org"


class Scene:
    """A service, an application that follows, and a person who was online until now and has got two notifications."""

    def __init__(self, world: World, ack: bool) -> None:
        self.world = world
        self.app: App = world.application()
        self.puid = world.grant(ANN, self.app)
        self.ann: Browser = world.person(ANN)
        self.service = world.followed(self.app)
        self.device: FakeConnection = world.device(ANN, ack=ack, device="phone")
        self.acknowledges = ack
        self.notify(2)
        world.advance(10)
        self.service.take()

    def notify(self, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        return self.world.notify(self.app, *[{"puid": self.puid, **fields}] * count)

    def say(self, status: str) -> None:
        self.device.receive({"email": ANN, "status": status})
        self.world.settle()

    def pause(self, paused: bool) -> None:
        assert self.ann("PATCH", f"/grant/{self.app.id}", {"paused": paused}).status_int == 200
        self.world.settle()

    def get(self, path: str, browser: Browser | None = None) -> Any:
        asked = browser or self.world.browser()
        return asked("GET", f"/myapps/{self.app.id}/{path}", **({} if browser else {"Authorization": f"Bearer {self.app.key}"})).json

    def acknowledge(self) -> None:
        """Let the device acknowledge all it ever got, if it is there and does so."""
        self.world.settle()
        frames = [frame for frame in self.device.sent if "notifications" in frame]
        if self.acknowledges and self.device.code is None and frames:
            ids = [item["id"] for frame in frames for item in frame["notifications"]]
            assert self.device.receive({"action": "ack", "notifications": ids}) == {"result": "OK"}

    def plain(self, seen: object) -> str:
        """Return what was seen without what is different in every service."""
        text = json.dumps(seen, sort_keys=True).replace(self.puid, "PUID")
        return re.sub(r'"n_[\w-]+"|"[0-9a-f]{16}:', '"', text)
