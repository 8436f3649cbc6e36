"""Keys of Redis that are lost or broken, as devices and applications see it: nobody believes what is not so."""

from __future__ import annotations

import pytest

from dpresence.errors import CloseCode
from dpresence.tests.support import view_and_head
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import App, World, say, seen

ANN = "ann@example.org"
T = "dpresence:t:"


@pytest.fixture
def world(make_world, redis_server) -> World:
    return make_world(tracker="redis", mailbox="redis", redis__url=redis_server.url)


@pytest.fixture
def client(redis_server):
    return redis_server.client


@pytest.mark.parametrize("broken", [None, b"garbage"])
def test_a_device_whose_record_is_gone_connects_again_at_its_next_word(world: World, client, app: App, puid: str, broken) -> None:
    device = world.device(ANN)
    user = world.services.hub.devices()[0][0]
    client.delete(f"{T}user:{user}")
    if broken:
        client.set(f"{T}user:{user}", broken)
    assert say(device, "unavailable") == {"result": "OK"}
    eventually(lambda: world.registry.backends.tracker.status(user) == "unavailable")
    assert seen(world, app) == "unavailable"
    assert device.code is None
    device.lose()
    world.advance(20)
    assert seen(world, app) == "offline"


def test_a_device_that_another_connection_has_by_now_is_closed_at_its_next_word(make_world, redis_server, tmp_path) -> None:
    shared = {"tracker": "redis", "redis__url": redis_server.url, "directory__url": f"sqlite:///{tmp_path}/shared.db"}
    one, two = make_world(**shared), make_world(**shared)
    one.registry.backends.tracker._parts[0]._pubsub._on_message = lambda message: None  # it receives no signal of the replacement
    older = one.device(ANN, device="phone")
    newer = two.device(ANN, device="phone")
    say(older, "unavailable")
    eventually(lambda: older.code == CloseCode.REPLACED)
    assert newer.code is None


def test_a_device_that_was_signed_out_without_a_signal_is_not_connected_again_by_its_next_update(
    make_world, redis_server, tmp_path
) -> None:
    shared = {"tracker": "redis", "redis__url": redis_server.url, "directory__url": f"sqlite:///{tmp_path}/shared.db"}
    one, two = make_world(**shared), make_world(**shared)
    one.registry.backends.tracker._parts[0]._pubsub._on_message = lambda message: None
    device = one.device(ANN, device="phone")
    ann = two.person(ANN)
    assert ann("DELETE", "/devices/phone", X_CSRF_Token=ann.csrf).status_int == 204
    say(device, "unavailable")
    eventually(lambda: device.code == CloseCode.NOT_SIGNED_IN)
    assert ann("GET", "/devices").json == {"devices": [], "paired": [], "known": []}


@pytest.mark.slow
@pytest.mark.parametrize("key", ["feed", "view", "log"])
def test_a_damaged_feed_is_rebuilt_and_its_application_gets_a_snapshot(world: World, client, key: str) -> None:
    app, other = world.application(), world.application()
    puid, offline = world.grant(ANN, app), world.grant("joe@example.org", app)
    world.grant(ANN, other)
    device = world.device(ANN)
    service, neighbour = world.followed(app), world.followed(other)
    cursor = world.registry.backends.tracker.cursor(view_and_head(world.registry.backends.tracker, app.id)[1])
    client.set(f"{T}{key}:{app.id}", "garbage")
    assert say(device, "unavailable") == {"result": "OK"}
    eventually(lambda: service.code == CloseCode.SLOW_READER)  # it is to come back with its cursor
    again = world.service(app, since=cursor)
    assert again.sent[0]["recovery"] == "snapshot"
    assert {entry["puid"]: entry["status"] for entry in again.sent[1]["snapshot"]} == {puid: "unavailable", offline: "offline"}
    again.take()
    say(device, "online")
    eventually(lambda: again.sent)
    assert [entry["status"] for entry in again.sent[-1]["updates"]] == ["online"]
    eventually(lambda: neighbour.sent)
    assert neighbour.code is None


def test_an_application_whose_feed_is_broken_is_asked_to_retry(world: World, client, app: App, puid: str) -> None:
    world.device(ANN)
    client.set(f"{T}view:{app.id}", "garbage")
    answer = world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}")
    assert (answer.status_int, answer.json["errno"]) == (503, 201)
    eventually(lambda: client.hget(f"{T}feed:{app.id}", "damaged") is None)
    assert seen(world, app) == "online"
