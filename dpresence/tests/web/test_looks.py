"""A person sees what each application sees, why, and when it looked; the application learns nothing of it (section 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.model.looks import day_of
from dpresence.service import looks as looks_module
from dpresence.tests.web.support import App, Browser, World, say, seen
from dpresence.tests.web.webhook_endpoint import Endpoint

ANN, BOB = "ann@example.org", "bob@example.org"
DAY_SECONDS = 86_400


@pytest.fixture
def ann(world: World) -> Browser:
    return world.person(ANN)


def granted(browser: Browser) -> dict[str, Any]:
    """Return the only grant of a person."""
    (grant,) = browser("GET", "/grants").json["grants"]
    return dict(grant)


def looks(world: World, browser: Browser) -> list[dict[str, Any]]:
    world.services.looks.store()
    listed: list[dict[str, Any]] = granted(browser)["looks"]
    assert listed == browser("GET", "/account").json["grants"][0]["looks"]
    return listed


def on(world: World, channel: int = 0, rest: int = 0, webhook: int = 0) -> dict[str, Any]:
    return {"day": day_of(world.clock.now()), "channel": channel, "rest": rest, "webhook": webhook}


def read(world: World, app: App, *puids: str) -> None:
    query = "&".join(f"puid={puid}" for puid in puids)
    assert world.browser()("GET", f"/myapps/{app.id}/presence?{query}", Authorization=f"Bearer {app.key}").status_int == 200


def test_each_way_to_look_is_counted_for_those_it_shows(world: World, ann: Browser, app: App, puid: str) -> None:
    bob, other = world.person(BOB), world.grant(BOB, app)
    assert (looks(world, ann), granted(ann)["last_looked"]) == ([], None)
    world.followed(app)
    world.services.looks.record(app.id, "webhook")
    read(world, app), read(world, app, other), read(world, app, other, puid)
    for _ in range(3):
        app.owner("GET", f"/myapps/{app.id}/now")  # by the developer's page, which counts once a day
    assert looks(world, ann) == [on(world, channel=1, rest=3, webhook=1)]
    assert looks(world, bob) == [on(world, channel=1, rest=4, webhook=1)]
    assert granted(ann)["last_looked"] == day_of(world.clock.now())


def test_messages_to_a_webhook_and_long_polls_are_looks(world: World, ann: Browser, app: App, puid: str) -> None:
    assert [message["type"] for message in Endpoint(world, app).take()] == ["presence.snapshot"]
    assert world.browser()("GET", f"/myapps/{app.id}/feed?wait=0", Authorization=f"Bearer {app.key}").status_int == 200
    assert looks(world, ann) == [on(world, rest=1, webhook=1)]


def test_an_open_channel_looks_on_each_day(world: World, ann: Browser, app: App, puid: str) -> None:
    service = world.followed(app)
    first = on(world, channel=1)
    read(world, app)
    for _ in range(2):
        world.advance(DAY_SECONDS / 2)
    service.close(1000)
    world.advance(DAY_SECONDS)
    days = looks(world, world.person(ANN))
    assert days == [{**first, "day": days[0]["day"]}, {**first, "rest": 1}] and days[0]["day"] > first["day"]


def test_sending_a_notification_is_no_look(world: World, ann: Browser, app: App, puid: str) -> None:
    world.notify(app, {"puid": puid, "message": "hi"})
    assert (looks(world, ann), granted(ann)["last_looked"]) == ([], day_of(world.clock.now()))


def test_counts_wait_for_the_directory(world: World, ann: Browser, app: App, puid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object) -> None:
        raise BackendUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(world.registry.backends.directory, "add_looks", unavailable)
        read(world, app, puid), read(world, app)
        with pytest.raises(BackendUnavailable):
            world.services.looks.store()
        read(world, app, puid)
    assert looks(world, ann) == [on(world, rest=3)]


def test_too_many_users_count_as_all_users(world: World, ann: Browser, app: App, puid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and nobody sees fewer looks than there were."""
    monkeypatch.setattr(looks_module, "_MAX_USERS", 1)
    other = world.grant(BOB, app)
    read(world, app, other), read(world, app, other), read(world, app, other, puid)
    assert looks(world, ann) == [on(world, rest=2)]
    assert looks(world, world.person(BOB)) == [on(world, rest=3)]
    read(world, app, other)
    assert looks(world, ann) == [on(world, rest=2)], "what was stored does not count against the bound"


def test_counts_are_stored_at_the_end_of_the_process(world: World, ann: Browser, app: App, puid: str) -> None:
    read(world, app)
    world.services.finish()
    assert granted(ann)["looks"] == [on(world, rest=1)]


def test_counts_are_stored_at_the_end_of_the_process_whatever_else_cannot_be(world: World, ann: Browser, app: App, puid: str) -> None:
    def away() -> None:
        raise BackendUnavailable

    world.services.retries.later("a device that leaves", away)
    read(world, app)
    world.services.finish()
    assert granted(ann)["looks"] == [on(world, rest=1)]


def test_the_chain_says_why_an_application_sees_what_it_sees(world: World, ann: Browser, app: App, puid: str) -> None:
    def why() -> list[tuple[str, str]]:
        grant = granted(ann)
        assert grant["sees"] == grant["why"][-1]["status"] == seen(world, app)
        return [(link["link"], link["status"]) for link in grant["why"]]

    assert why() == [("devices", "offline")]
    device = world.device(ANN)
    assert why() == [("devices", "online")]
    ann("PUT", "/status", {"status": "unavailable"})
    assert why() == [("devices", "online"), ("override", "unavailable")]
    ann("PATCH", f"/grant/{app.id}", {"shows": "reachable"})
    assert why() == [("devices", "online"), ("override", "unavailable"), ("shows", "offline")]
    ann("DELETE", "/status"), ann("PATCH", f"/grant/{app.id}", {"paused": True})
    say(device, "unavailable")
    assert why() == [("devices", "unavailable"), ("pause", "offline"), ("shows", "offline")]


def test_a_change_that_waits_for_the_rate_is_said(make_world: Callable[..., World]) -> None:
    world = make_world(presence__status_burst="2")  # the grant and the first status
    app, ann = world.application(), world.person(ANN)
    world.grant(ANN, app)
    world.device(ANN)
    for paused in (True, False):
        ann("PATCH", f"/grant/{app.id}", {"paused": paused})
    grant = granted(ann)
    assert seen(world, app) == "offline"
    assert (grant["sees"], grant["why"]) == ("offline", [{"link": "devices", "status": "online"}, {"link": "sent", "status": "offline"}])
    world.advance(2)
    assert (granted(ann)["sees"], granted(ann)["why"]) == ("online", [{"link": "devices", "status": "online"}])


def test_without_the_tracker_the_list_is_there_and_says_nothing_of_it(
    world: World, ann: Browser, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object) -> None:
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.tracker, "latest_of", unavailable)
    grant = granted(ann)
    assert (grant["appid"], grant["sees"], grant["why"]) == (app.id, None, [])
