"""Pausing: an application sees a user as offline until they end the pause (docs/protocol.md, sections 1 and 6)."""

from __future__ import annotations

from collections.abc import Callable

from dpresence.tests.web.support import App, World, snapshot, updates

ANN, BOB = "ann@example.org", "bob@example.org"


# -- pausing


def test_a_pause_looks_like_offline_and_nothing_tells_it_from_the_real_one(world: World, app: App) -> None:
    ann, service, device = world.person(ANN), world.followed(app), world.device(ANN)
    puid = world.grant(ANN, app)
    world.settle(), service.take()
    paused = ann("PATCH", f"/grant/{app.id}", {"paused": True}).json
    assert (paused["puid"], paused["paused"]) == (puid, True)
    world.settle()
    assert updates(service) == [(puid, "offline", "explicit")]
    device.receive({"email": ANN, "status": "unavailable"})
    device.receive({"email": ANN, "status": "online"})
    world.settle()
    assert updates(service) == []
    assert snapshot(world, app)[0]["status"] == "offline"
    ann("PATCH", f"/grant/{app.id}", {"paused": False})
    world.settle()
    assert updates(service) == [(puid, "online", "explicit")]


def test_pausing_who_is_offline_is_seen_by_nobody(world: World, app: App) -> None:
    ann, service = world.person(ANN), world.followed(app)
    puid = world.grant(ANN, app)
    world.settle(), service.take()
    for paused in (True, True, False, False):
        assert ann("PATCH", f"/grant/{app.id}", {"paused": paused}).json["paused"] is paused
    world.settle()
    assert updates(service) == [] and snapshot(world, app)[0]["puid"] == puid


def test_a_pause_hides_from_one_application_only(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    seen = world.grant(ANN, other)
    world.grant(ANN, app)
    service = world.followed(other)
    world.person(ANN)("PATCH", f"/grant/{app.id}", {"paused": True})
    world.device(ANN)
    world.settle()
    assert updates(service) == [(seen, "online", "explicit")]


def test_a_pause_outlives_a_restart(make_world: Callable[..., World], tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/restarted.db"
    world = make_world(directory__url=url)
    app = world.application()
    world.grant(ANN, app)
    world.person(ANN)("PATCH", f"/grant/{app.id}", {"paused": True})
    world.close()
    again = make_world(directory__url=url)
    again.clock.advance(60)
    again.device(ANN)
    assert snapshot(again, app)[0]["status"] == "offline"
