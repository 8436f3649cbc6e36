"""Fixtures of the tests of Web Push, and calls that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dpresence.tests.push_service import PushBrowser, PushService, key_file
from dpresence.tests.web.support import App, Browser, World

ANN, BOB = "ann@example.org", "bob@example.org"
HOUR = 3600


@pytest.fixture(scope="module")
def push_service() -> Iterator[PushService]:
    service = PushService()
    yield service
    service.close()


@pytest.fixture
def world(make_world: Callable[..., World], tmp_path: Any) -> World:
    return make_world(push__key_file=key_file(tmp_path), push__pushes_per_hour="3")


@pytest.fixture
def app(world: World) -> App:
    return world.application()


@pytest.fixture
def puid(world: World, app: App) -> str:
    """The PUID of a grant that allows pushes."""
    puid = world.grant(ANN, app)
    world.person(ANN)("PATCH", f"/grant/{app.id}", {"push": True})
    return puid


@pytest.fixture
def ann(world: World) -> Browser:
    return world.person(ANN)


@pytest.fixture
def browser(ann: Browser, push_service: PushService) -> PushBrowser:
    return subscribe(ann, push_service.browser())


def subscribe(person: Browser, browser: PushBrowser) -> PushBrowser:
    answer = person("PUT", "/push", browser.body(person("GET", "/push").json["key"]))
    assert answer.status_int == 200, answer.json
    return browser


def notify(world: World, app: App, puid: str, *messages: str, **more: Any) -> list[str]:
    return [one["id"] for one in world.notify(app, *[{"puid": puid, "message": message, **more} for message in messages])]


def run(world: World, seconds: float = 3) -> None:
    """Let time pass and send what is due."""
    world.advance(seconds)
    world.services.pushes.run()
    world.services.pushes._pool.join()


def subscriptions(person: Browser) -> list[str | None]:
    return [one["label"] for one in person("GET", "/push").json["subscriptions"]]
