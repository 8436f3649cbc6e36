"""Grants that show only whether their user is online (sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.tests.web.support import App, Browser, World, ko, refusal, say, seen, updates

ANN = "ann@example.org"


@pytest.fixture
def ann(world: World) -> Browser:
    return world.person(ANN)


def test_an_application_sees_only_online_and_another_one_everything(world: World, ann: Browser, app: App, puid: str) -> None:
    go = world.application(name="Go")
    world.grant(ANN, go)
    answer = ann("PATCH", f"/grant/{app.id}", {"shows": "reachable"})
    assert (answer.json["shows"], answer.json["paused"]) == ("reachable", False)
    device, service = world.device(ANN), world.followed(app)
    say(device, "unavailable")
    assert (seen(world, app), seen(world, go)) == ("offline", "unavailable")
    assert ann("PATCH", f"/grant/{app.id}", {"shows": "status"}).json["shows"] == "status"
    world.settle()
    assert updates(service) == [(puid, "offline", "explicit"), (puid, "unavailable", "explicit")]


def test_a_grant_says_what_it_shows(world: World, ann: Browser, app: App, puid: str) -> None:
    ann("PATCH", f"/grant/{app.id}", {"shows": "reachable", "paused": True})
    assert [(grant["shows"], grant["paused"]) for grant in ann("GET", "/grants").json["grants"]] == [("reachable", True)]
    assert [grant["shows"] for grant in ann("GET", "/account").json["grants"]] == ["reachable"]


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"shows": "everything"}, ko(107, "shows: one of status, reachable")),
        ({"shows": None}, ko(107, "shows: one of status, reachable")),
        ({"shown": "status"}, ko(108, "shown: is not known here")),
    ],
)
def test_a_wrong_change_changes_nothing(ann: Browser, app: App, puid: str, change: dict[str, Any], refused: dict[str, Any]) -> None:
    assert refusal(ann("PATCH", f"/grant/{app.id}", change)) == (400, refused)
    assert ann("GET", "/grants").json["grants"][0]["shows"] == "status"


def test_a_postponed_change_does_not_reveal_a_delivery(make_world: Callable[..., World]) -> None:
    """The user looks offline to this application at once, while another one is still shown online."""
    world = make_world(presence__status_burst="3")  # two grants and a device that is online
    app, go = world.application(), world.application(name="Go")
    puid = world.grant(ANN, app)
    world.grant(ANN, go)
    world.person(ANN)("PATCH", f"/grant/{app.id}", {"shows": "reachable"})
    device = world.device(ANN, ack=True, device="phone")
    say(device, "unavailable")
    assert (seen(world, app), seen(world, go)) == ("offline", "online")
    assert world.notify(app, {"puid": puid})[0]["delivered"] is False
    world.settle()
    ids = [item["id"] for frame in device.take() for item in frame.get("notifications", ())]
    device.receive({"action": "ack", "notifications": ids})
    assert world.notify(app, {"puid": puid})[0]["queue_size"] == 2
