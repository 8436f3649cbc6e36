"""Devices, their grace and what applications see of them (sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpresence.tests.support import FakeConnection
from dpresence.tests.web.races import Away
from dpresence.tests.web.support import NOT_FOUND, App, World, ko, refusal, say, seen, updates

ANN, BOB = "ann@example.org", "bob@example.org"
OK = {"result": "OK"}
INVALID = ko(34, "Invalid assertion")
FIXED = ko(122, "device: is fixed by the first frame of a connection")
QUICK = {"presence__status_burst": "2"}


def test_the_device_is_fixed_by_the_first_frame(world: World) -> None:
    named, nameless = world.device(ANN, device="phone"), world.device(ANN)
    assert say(named, device="phone") == OK and say(named) == OK
    assert say(named, device="tablet") == FIXED
    assert say(nameless, device="phone") == FIXED


def test_a_user_is_as_reachable_as_their_most_reachable_device(world: World, app: App, puid: str) -> None:
    phone, laptop = world.device(ANN, "unavailable", device="phone"), world.device(ANN, "online", device="laptop")
    assert seen(world, app) == "online"
    say(laptop, "offline")
    assert seen(world, app) == "unavailable"
    say(phone, "offline")
    assert seen(world, app) == "offline"


def test_an_application_is_informed_only_when_the_merged_status_changes(world: World, app: App, puid: str) -> None:
    service = world.followed(app)
    phone = world.device(ANN, "online", device="phone")
    laptop = world.device(ANN, "online", device="laptop")
    for status in ("unavailable", "offline", "online"):
        say(laptop, status)
    say(phone, "online")
    world.settle()
    assert updates(service) == [(puid, "online", "explicit")]


def test_a_newer_connection_of_a_device_wins_and_no_application_sees_a_change(world: World, app: App, puid: str) -> None:
    old = world.device(ANN, device="phone")
    service, new = world.followed(app), world.channel()
    assert say(new, device="phone", assertion="nonsense") == INVALID
    assert old.code is None
    assert say(new, device="phone", assertion=world.assertion(ANN)) == OK
    assert (old.code, old.reason, new.code) == (4010, "replaced by a newer connection of this device", None)
    world.advance(60)
    assert updates(service) == [] and say(new, "unavailable") == OK


def test_two_clients_of_one_name_cannot_take_the_device_from_each_other_without_end(make_world: Callable[..., World]) -> None:
    world = make_world(presence__replacements_per_minute="2")
    first, second, third = (world.device(ANN, device="phone") for _ in range(3))
    channel = world.channel()
    refused = say(channel, device="phone", assertion=world.assertion(ANN))
    assert refused == ko(117, "device: its connection is replaced too often", retry_after=30)
    assert (first.code, second.code, third.code, channel.code) == (4010, 4010, None, None)
    world.advance(9)
    assert channel.code is None
    third.lose()
    assert say(channel, device="phone", assertion=world.assertion(ANN)) == OK


def test_the_same_name_of_another_user_is_another_device(world: World) -> None:
    mine, theirs = world.device(ANN, device="phone"), world.device(BOB, device="phone")
    assert (mine.code, theirs.code) == (None, None)


def test_two_nameless_connections_are_two_devices(world: World) -> None:
    first, second = world.device(ANN), world.device(ANN)
    assert (first.code, second.code) == (None, None)
    assert len(world.person(ANN)("GET", "/devices").json["devices"]) == 2


def test_a_nameless_connection_takes_over_a_nameless_device_in_grace(world: World, app: App, puid: str) -> None:
    world.device(ANN).lose()
    service = world.followed(app)
    world.advance(14)
    world.device(ANN)
    assert len(world.person(ANN)("GET", "/devices").json["devices"]) == 1
    world.advance(60)
    assert updates(service) == []


@pytest.mark.parametrize("end", [FakeConnection.leave, FakeConnection.lose])
def test_a_connection_that_ends_leaves_its_status_standing_for_the_grace(
    world: World, app: App, puid: str, end: Callable[[FakeConnection], None]
) -> None:
    channel = world.device(ANN, "unavailable")
    service = world.followed(app)
    end(channel)
    world.advance(14.9)
    assert updates(service) == []
    world.advance(0.1)
    assert updates(service) == [(puid, "offline", "lost")]


def test_a_reconnect_within_the_grace_is_seen_by_nobody(world: World, app: App, puid: str) -> None:
    world.device(ANN, device="phone").lose()
    service = world.followed(app)
    world.advance(10)
    world.device(ANN, device="phone")
    world.advance(60)
    assert updates(service) == []


def test_offline_takes_effect_at_once_and_keeps_the_channel_open(world: World, app: App, puid: str) -> None:
    channel, service = world.device(ANN), world.followed(app)
    assert say(channel, "offline") == OK
    world.settle()
    assert updates(service) == [(puid, "offline", "explicit")] and channel.code is None
    channel.lose()
    assert world.person(ANN)("GET", "/devices").json == {"devices": [], "paired": [], "known": []}
    world.advance(60)
    assert updates(service) == []


def test_twenty_devices_may_be_connected_and_those_in_grace_do_not_count(make_world: Callable[..., World]) -> None:
    world = make_world(presence__devices_per_user="2")
    first, _ = world.device(ANN), world.device(ANN, device="phone")
    channel = world.channel()
    assert say(channel, assertion=world.assertion(ANN)) == ko(114, "device: 2 of this e-mail are connected already")
    assert channel.code is None
    first.lose()
    assert say(channel, assertion=world.assertion(ANN)) == OK
    world.device(ANN, device="phone")
    world.device(BOB)


def test_the_list_of_devices_and_signing_one_out(world: World, app: App, puid: str) -> None:
    ann, service = world.person(ANN), world.followed(app)
    phone = world.channel()
    ticket = say(phone, device="phone", assertion=world.assertion(ANN), ticket=True)["ticket"]
    world.device(ANN, "unavailable", device="tablet").lose()
    since = world.clock.now()
    assert ann("GET", "/devices").json == {
        "devices": [
            {"device": "phone", "status": "online", "connected": True, "since": since},
            {"device": "tablet", "status": "unavailable", "connected": False, "since": since},
        ],
        "paired": [],
        "known": [],
    }
    assert ann("DELETE", "/devices/tablet").status_int == 204
    answer = ann("DELETE", "/devices/phone")
    assert (answer.status_int, answer.body) == (204, b"")
    assert (phone.code, phone.reason) == (4009, "signed out")
    world.settle()
    assert [entry[1:] for entry in updates(service)] == [("online", "explicit"), ("offline", "explicit")]
    assert ann("GET", "/devices").json == {"devices": [], "paired": [], "known": []}
    assert say(world.channel(), device="phone", assertion=ticket) == INVALID


def test_a_device_that_is_unknown_or_anothers_cannot_be_signed_out(world: World) -> None:
    channel = world.device(BOB, device="phone")
    ann = world.person(ANN)
    theirs, nobodys = ann("DELETE", "/devices/phone"), ann("DELETE", "/devices/x")
    assert refusal(theirs) == NOT_FOUND and theirs.body == nobodys.body
    assert channel.code is None


def test_names_of_no_device_signed_out_again_and_again_cost_no_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, written = world.person(ANN), []
    monkeypatch.setattr(world.registry.backends.directory, "sign_out_device", lambda *given: written.append(given))
    assert [ann("DELETE", f"/devices/x{n}").status_int for n in range(20)] == [404] * 20
    assert written == []


def test_a_sign_out_is_stored_while_the_tracker_is_unavailable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, phone = world.person(ANN), world.device(ANN, device="phone")
    away = Away(monkeypatch, world.registry.backends.tracker, "devices")
    assert ann("DELETE", "/devices/phone").status_int == 204
    away.back = True
    world.carry_out()
    assert (phone.code, phone.reason) == (4009, "signed out")


def test_a_status_left_behind_at_a_sign_out_is_not_applied(make_world: Callable[..., World]) -> None:
    world = make_world(**QUICK)
    channel = world.device(ANN, device="phone")
    for status in ("unavailable", "online", "unavailable"):
        say(channel, status)
    world.person(ANN)("DELETE", "/devices/phone")
    assert world.person(ANN)("GET", "/devices").json == {"devices": [], "paired": [], "known": []}
