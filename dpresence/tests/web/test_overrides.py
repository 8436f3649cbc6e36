"""The status of the whole person: above all devices, until a time or until it is taken back (sections 3, 4 and 6)."""

from __future__ import annotations

from typing import Any

import pytest

from dpresence.tests.support import FakeConnection
from dpresence.tests.waiting import eventually
from dpresence.tests.web.races import Away
from dpresence.tests.web.support import App, Browser, World, ko, refusal, say, seen, updates

ANN = "ann@example.org"
OK = {"result": "OK"}
FUTURE = "until: a time in the future, in milliseconds since the epoch"
HOUR = 3_600_000


@pytest.fixture
def ann(world: World) -> Browser:
    return world.person(ANN)


def override(channel: FakeConnection, status: str | None, **fields: Any) -> Any:
    return channel.receive({"email": ANN, "override": status, **fields})


def body(status: str, merged: str, override: str | None = None, until: int | None = None) -> dict[str, Any]:
    return {"status": status, "merged": merged, "override": override, "until": until}


def due(world: World, seconds: float) -> None:
    world.clock.advance(seconds)
    world.services.schedule.run()
    world.settle()


def test_a_status_of_the_person_counts_above_all_devices_until_it_is_taken_back(world: World, ann: Browser, app: App, puid: str) -> None:
    phone, _ = world.device(ANN, "online", device="phone"), world.device(ANN, "online", device="laptop")
    service = world.followed(app)
    assert ann("GET", "/status").json == body("online", "online")
    assert ann("PUT", "/status", {"status": "unavailable"}).json == body("unavailable", "online", "unavailable")
    assert say(phone, "offline") == OK
    assert ann("GET", "/status").json == body("unavailable", "online", "unavailable")
    assert ann("DELETE", "/status").status_int == 204
    assert ann("GET", "/status").json == body("online", "online")
    world.settle()
    assert updates(service) == [(puid, "unavailable", "explicit"), (puid, "online", "explicit")]


def test_it_ends_at_its_time_within_a_run_and_what_was_there_before_comes_back(world: World, ann: Browser, app: App, puid: str) -> None:
    world.device(ANN)
    until = world.clock.now() + HOUR
    assert ann("PUT", "/status", {"status": "offline", "until": until}).json == body("offline", "online", "offline", until)
    due(world, 3599)
    assert seen(world, app) == "offline"
    due(world, 1)
    assert (seen(world, app), ann("GET", "/status").json) == ("online", body("online", "online"))


def test_it_ends_while_nobody_is_connected(world: World, ann: Browser, app: App, puid: str) -> None:
    ann("PUT", "/status", {"status": "online", "until": world.clock.now() + HOUR})
    assert seen(world, app) == "offline", "an override makes nobody reachable"
    due(world, 3600)
    assert ann("GET", "/status").json == body("offline", "offline")
    world.device(ANN, "unavailable")
    assert seen(world, app) == "unavailable"


def test_a_device_sets_it_for_everything_by_a_frame(world: World, ann: Browser, app: App, puid: str) -> None:
    phone = world.device(ANN, device="phone")
    until = world.clock.now() + HOUR
    assert override(phone, "unavailable", until=until, id=1) == {**OK, "id": 1}
    assert ann("GET", "/status").json == body("unavailable", "online", "unavailable", until)
    assert override(phone, None) == OK
    assert (ann("GET", "/status").json, seen(world, app)) == (body("online", "online"), "online")


@pytest.mark.parametrize(
    ("frame", "refused"),
    [
        ({"override": "away"}, ko(107, "override: one of online, unavailable, offline, or null")),
        ({"override": "online", "until": 1}, ko(107, f"{FUTURE}, and only with a status")),
        ({"override": None, "until": 4_000_000_000_000}, ko(107, f"{FUTURE}, and only with a status")),
        ({"override": "online", "until": -1}, ko(107, FUTURE)),
        ({"override": "online", "status": "online"}, ko(108, "status: is not known here")),
        ({"override": "online", "email": "bob@example.org"}, ko(133, "email: differs from the address that the assertion proves")),
    ],
)
def test_a_frame_that_is_wrong_changes_nothing(world: World, ann: Browser, frame: dict[str, Any], refused: dict[str, Any]) -> None:
    assert world.device(ANN).receive({"email": ANN, **frame}) == refused
    assert ann("GET", "/status").json["override"] is None


def test_a_device_that_has_not_signed_in_sets_nothing(world: World) -> None:
    assert override(world.channel(), "online") == ko(104, "credentials are missing")


def test_overrides_of_a_device_count_against_its_rate(world: World) -> None:
    phone = world.device(ANN)
    answers = [override(phone, ("unavailable", None)[number % 2]) for number in range(21)]
    assert answers == [OK] * 20 + [ko(117, "override: changes too quickly", retry_after=1)]


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, ko(108, "status: is missing")),
        ({"status": None}, ko(107, "status: one of online, unavailable, offline")),
        ({"status": "online", "until": 1}, ko(107, f"{FUTURE}, and only with a status")),
        ({"status": "online", "until": 2.5}, ko(107, FUTURE)),
        ({"status": "online", "until": 2**60}, ko(107, FUTURE)),
        ({"status": "online", "for": 2}, ko(108, "for: is not known here")),
    ],
)
def test_a_body_that_is_wrong_changes_nothing(ann: Browser, given: dict[str, Any], refused: dict[str, Any]) -> None:
    assert refusal(ann("PUT", "/status", given)) == (400, refused)
    assert ann("GET", "/status").json == body("offline", "offline")


def test_the_last_device_of_somebody_reachable_may_reconnect_unseen(world: World, ann: Browser, app: App, puid: str) -> None:
    ann("PUT", "/status", {"status": "online"})
    phone = world.device(ANN, "offline", device="phone")
    service = world.followed(app)
    phone.lose()
    world.advance(10)
    world.device(ANN, "offline", device="phone").lose()
    world.advance(10)
    assert updates(service) == []
    world.advance(10)
    assert updates(service) == [(puid, "offline", "lost")]


def test_somebody_reachable_who_logs_out_is_offline_at_once(world: World, ann: Browser, app: App, puid: str) -> None:
    ann("PUT", "/status", {"status": "online"})
    ticket = ann("POST", "/ticket").json["ticket"]
    device = world.channel()
    device.receive({"email": ANN, "assertion": ticket, "status": "unavailable"})
    service = world.followed(app)
    assert ann("POST", "/logout").status_int == 200
    world.settle()
    assert (device.code, updates(service)) == (4009, [(puid, "offline", "explicit")])


def test_somebody_reachable_who_logs_out_is_offline_at_once_with_a_device_at_another_process(one: World, two: World) -> None:
    ann = one.person(ANN)
    ann("PUT", "/status", {"status": "online"})
    ticket = ann("POST", "/ticket").json["ticket"]
    two.channel().receive({"email": ANN, "assertion": ticket, "status": "unavailable"})
    ((user, _, device),) = two.services.hub.devices()
    assert one.registry.backends.tracker.status(user) == "online"
    ann("POST", "/logout")
    eventually(lambda: not two.services.hub.devices_of(user) and one.registry.backends.tracker.status(user) == "offline")
    assert device.connection.code == 4009


def test_the_data_about_a_person_has_the_override(world: World, ann: Browser) -> None:
    until = world.clock.now() + HOUR
    ann("PUT", "/status", {"status": "offline", "until": until})
    account = ann("GET", "/account").json["account"]
    assert (account["override"], account["override_until"]) == ("offline", until)


def test_another_process_follows_at_once(pair: tuple[World, World]) -> None:
    one, two = pair
    app = one.application()
    one.grant(ANN, app)
    phone = one.device(ANN, device="phone")
    service = one.followed(app)
    browser = two.person(ANN)
    browser("PUT", "/status", {"status": "unavailable"})
    assert seen(one, app) == "unavailable"
    assert say(phone, "offline") == OK
    browser("DELETE", "/status")
    found: list[tuple[str, str, str]] = []
    eventually(lambda: found.extend(updates(service)) or len(found) >= 2)
    assert [status for _, status, _ in found] == ["unavailable", "offline"]


def test_it_ends_although_the_tracker_does_not_say_which_process_looks_for_what_is_due(
    world: World, ann: Browser, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.device(ANN)
    ann("PUT", "/status", {"status": "offline", "until": world.clock.now() + HOUR})
    Away(monkeypatch, world.registry.backends.tracker, "claim")
    due(world, 3600)
    assert seen(world, app) == "online"
