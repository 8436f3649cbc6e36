"""Devices without a websocket: heartbeats with a lease (section 3, Heartbeats)."""

from __future__ import annotations

from typing import Any

import pytest

from dpresence.tests.waiting import eventually
from dpresence.tests.web.pairing import paired
from dpresence.tests.web.races import Held
from dpresence.tests.web.support import App, World, ko, refusal, seen, updates

ANN = "ann@example.org"


def beat(world: World, assertion: str, status: str = "online", **fields: Any) -> Any:
    """Send a heartbeat of Ann's desk; return its answer."""
    body = {"email": ANN, "assertion": assertion, "status": status, "device": "desk", "lease": 60, **fields}
    return world.browser()("POST", "/presence", body)


def first(world: World, status: str = "online", **fields: Any) -> str:
    """Send the first heartbeat; return the ticket for the next."""
    answer = beat(world, world.assertion(ANN), status, ticket=True, **fields)
    assert answer.status_int == 200, answer.json
    return str(answer.json["ticket"])


def devices(world: World) -> list[tuple[str, str, bool]]:
    found = world.browser()("GET", "/devices", **world.authorization(ANN)).json["devices"]
    return [(item["device"], item["status"], item["connected"]) for item in found]


def test_a_heartbeat_makes_a_device_that_each_further_one_keeps(world: World, app: App, puid: str) -> None:
    service = world.followed(app)
    answer = beat(world, world.assertion(ANN), ticket=True)
    assert answer.json == {"result": "OK", "ticket": answer.json["ticket"], "lease": 60, "notifications": []}
    world.settle()
    assert updates(service) == [(puid, "online", "explicit")]
    ticket = answer.json["ticket"]
    for status in ("online", "unavailable", "unavailable"):
        world.clock.advance(50)
        tick(world)
        ticket = beat(world, ticket, status, ticket=True).json["ticket"]
    world.settle()
    assert updates(service) == [(puid, "unavailable", "explicit")]
    assert devices(world) == [("desk", "unavailable", True)]


def tick(world: World) -> None:
    """Do a round of the ticker, and the sweep for devices whose grace is over."""
    gate = world.registry.gate
    now = world.clock.monotonic()
    for connection in gate.connections.due(now):
        gate.connections.settle(connection, connection.tick(now))
    world.settle()
    world.services.devices.sweep()
    world.settle()


def test_of_two_first_heartbeats_at_the_same_time_one_makes_the_device(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, answers = Held(monkeypatch, world.services.devices, "connect"), []
    both = [lambda: answers.append(beat(world, world.assertion(ANN), device="desk"))] * 2
    held.overtake(*both)
    assert [answer.status_int for answer in answers] == [429, 200]
    assert refusal(answers[0]) == (429, ko(117, "a heartbeat of this device is being handled", retry_after=1))
    assert devices(world) == [("desk", "online", True)] and len(world.registry.gate.connections) == 1
    assert beat(world, world.assertion(ANN)).status_int == 200, "the next one is handled"


def test_a_device_whose_lease_has_ended_has_its_grace_and_is_gone(world: World, app: App, puid: str) -> None:
    first(world, lease=30)
    world.clock.advance(29)
    tick(world)
    assert devices(world) == [("desk", "online", True)]
    world.clock.advance(2)
    tick(world)
    assert (devices(world), seen(world, app)) == ([("desk", "online", False)], "online")
    world.clock.advance(16)
    tick(world)
    assert (devices(world), seen(world, app)) == ([], "offline")
    assert not len(world.registry.gate.connections)


@pytest.mark.parametrize(("lease", "last"), [(30, 29), (300, 35)])
def test_a_device_is_silent_when_its_lease_has_ended_or_a_ping_would_have_had_its_pong(world: World, lease: int, last: int) -> None:
    """A process that stood still for longer does not know whether the device has left at another one."""
    first(world, lease=lease)
    ((_, _, channel),) = world.services.hub.devices()
    for seconds, silent in ((last, False), (1, True)):
        world.clock.advance(seconds)
        assert channel.silent is silent


def test_a_heartbeat_in_the_grace_brings_the_device_back_unnoticed(world: World, app: App, puid: str) -> None:
    ticket, service = first(world, lease=30), world.followed(app)
    world.clock.advance(31)
    tick(world)
    world.clock.advance(10)
    beat(world, ticket)
    world.clock.advance(10)
    tick(world)
    assert (devices(world), service.take()) == ([("desk", "online", True)], [])


def test_waiting_notifications_are_in_the_answer_until_they_are_acknowledged(world: World, app: App, puid: str) -> None:
    world.notify(app, {"puid": puid, "message": "one"})
    ticket = first(world)
    answer = beat(world, ticket, ticket=True).json
    assert [item["message"] for item in answer["notifications"]] == ["one"]
    (sent,) = world.notify(app, {"puid": puid, "message": "two"})
    assert sent["delivered"] is False
    answer = beat(world, answer["ticket"], ticket=True, ack=[answer["notifications"][0]["id"]]).json
    assert [item["message"] for item in answer["notifications"]] == ["two"]
    assert set(answer["notifications"][0]) == {"source", "message", "action", "id", "appid", "domain", "site", "sent"}
    ids = [item["id"] for item in answer["notifications"]]
    assert beat(world, answer["ticket"], ack=ids).json["notifications"] == []


def test_notifications_of_a_paused_grant_are_not_in_the_answer(world: World, app: App, puid: str) -> None:
    world.browser()("PATCH", f"/grant/{app.id}", {"paused": True}, **world.authorization(ANN))
    world.notify(app, {"puid": puid, "message": "later"})
    answer = beat(world, world.assertion(ANN), ticket=True).json
    assert answer["notifications"] == []
    world.browser()("PATCH", f"/grant/{app.id}", {"paused": False}, **world.authorization(ANN))
    assert [item["message"] for item in beat(world, answer["ticket"]).json["notifications"]] == ["later"]


def test_a_lost_answer_loses_no_ticket_and_a_copied_one_ends_all(world: World) -> None:
    ticket = first(world)
    lost = beat(world, ticket, ticket=True).json["ticket"]
    again = beat(world, ticket, ticket=True)
    assert again.status_int == 200
    assert refusal(beat(world, lost)) == (401, ko(34, "Invalid assertion"))
    assert refusal(beat(world, again.json["ticket"])) == (401, ko(34, "Invalid assertion"))
    eventually(lambda: devices(world) == [])


def test_a_credential_keeps_its_device_and_no_other(world: World) -> None:
    credential = paired(world, ANN)
    assert beat(world, credential, device="lamp").json == {"result": "OK", "lease": 60, "notifications": []}
    assert beat(world, credential, "unavailable", device="lamp").status_int == 200
    assert devices(world) == [("lamp", "unavailable", True)]
    assert beat(world, credential, device="other").json["errno"] == 122
    assert world.browser()("DELETE", "/devices/lamp", **world.authorization(ANN)).status_int == 204
    world.settle()
    assert devices(world) == []
    assert refusal(beat(world, credential, device="lamp")) == (401, ko(34, "Invalid assertion"))


def test_a_websocket_takes_over_from_heartbeats_and_they_from_it(world: World, app: App, puid: str) -> None:
    ticket, service = first(world), world.followed(app)
    socket = world.device(ANN, device="desk")
    assert devices(world) == [("desk", "online", True)]
    beat(world, ticket)
    assert socket.code == 4010
    world.settle()
    assert (devices(world), service.take()) == ([("desk", "online", True)], [])


def test_a_status_that_changes_too_quickly_is_applied_later(world: World, app: App, puid: str) -> None:
    credential = paired(world, ANN)
    answers = [beat(world, credential, ("online", "unavailable")[n % 2], device="lamp") for n in range(22)]
    assert [answer.status_int for answer in answers] == [200] * 21 + [429]
    assert answers[-1].json == ko(117, "status: changes too quickly", retry_after=1)
    assert devices(world) == [("lamp", "online", True)]
    world.clock.advance(3)
    tick(world)
    assert devices(world) == [("lamp", "unavailable", True)]


def test_signing_out_everywhere_removes_the_device_at_once(world: World, app: App, puid: str) -> None:
    ticket = first(world)
    world.person(ANN)("POST", "/logout", {"everywhere": True})
    world.settle()
    assert (devices(world), seen(world, app)) == ([], "offline")
    assert refusal(beat(world, ticket)) == (401, ko(34, "Invalid assertion"))


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"lease": 4}, 400, ko(107, "lease: whole seconds from 5 to 300")),
        ({"lease": 301}, 400, ko(107, "lease: whole seconds from 5 to 300")),
        ({"email": "bob@example.org"}, 403, ko(133, "email: differs from the address that the assertion proves")),
        ({"status": "busy"}, 400, ko(107, "status: one of online, unavailable, offline")),
        ({"more": 1}, 400, ko(108, "more: is not a known field")),
    ],
)
def test_a_wrong_heartbeat_is_refused_and_makes_no_device(world: World, fields: dict[str, Any], status: int, error: Any) -> None:
    answer = beat(world, world.assertion(ANN), **fields)
    assert (answer.status_int, answer.json["errno"]) == (status, error["errno"])
    if error["errno"] != 108:
        assert answer.json == error
    assert devices(world) == []
    world.settle()
    assert not len(world.registry.gate.connections)


def test_a_page_of_another_origin_sends_no_heartbeat(shared: World) -> None:
    answer = shared.browser()("POST", "/presence", {"email": ANN}, Origin="https://evil.example.org")
    assert refusal(answer) == (403, ko(121, "Origin: not a page of this service"))


def test_heartbeats_at_two_processes_are_one_device(one: World, two: World) -> None:
    app = one.application()
    puid = one.grant(ANN, app)
    service = one.followed(app)
    ticket = first(one)
    eventually(lambda: updates(service) == [(puid, "online", "explicit")])
    ticket = beat(two, ticket, ticket=True).json["ticket"]
    eventually(lambda: not len(one.registry.gate.connections))
    assert devices(one) == devices(two) == [("desk", "online", True)]
    assert beat(one, ticket, "unavailable").status_int == 200
    eventually(lambda: updates(service) == [(puid, "unavailable", "explicit")])
    assert devices(two) == [("desk", "unavailable", True)]


def test_a_heartbeat_that_a_sign_out_overtakes_gets_no_notifications(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.notify(app, {"puid": puid, "message": "hello"})
    confirm = world.services.device_sessions.confirm

    def overtaken(channel: Any, verified: Any) -> None:
        world.person(ANN)("DELETE", "/devices/desk")
        confirm(channel, verified)

    monkeypatch.setattr(world.services.device_sessions, "confirm", overtaken)
    answer = beat(world, world.assertion(ANN))
    assert (answer.status_int, answer.json.get("notifications")) == (401, None)
