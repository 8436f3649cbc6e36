"""Refusal of a device that changes its status too quickly (section 3)."""

from __future__ import annotations

from collections.abc import Callable

from dpresence.tests.web.support import World, ko, say, seen, updates

ANN, BOB = "ann@example.org", "bob@example.org"
OK = {"result": "OK"}
SLOW = ko(117, "status: changes too quickly", retry_after=1)
QUICK = {"presence__status_burst": "2"}


def test_a_device_that_changes_too_quickly_is_asked_to_slow_down_and_its_newest_status_is_applied_later(
    make_world: Callable[..., World],
) -> None:
    world = make_world(**QUICK)
    app = world.application()
    puid = world.grant(ANN, app)
    channel, service = world.device(ANN), world.followed(app)
    world.advance(2)  # the grant and the sign-in took both changes that the account may make at once
    assert [say(channel, status) for status in ("unavailable", "online", "unavailable")] == [OK, OK, SLOW]
    assert say(channel, "unavailable", id=1) == {**SLOW, "id": 1}
    world.settle()
    assert [entry[1] for entry in updates(service)] == ["unavailable", "online"]
    world.advance(0.9)
    assert updates(service) == []
    world.advance(0.1)
    assert updates(service) == [(puid, "unavailable", "explicit")]
    assert say(channel, "unavailable") == OK
    world.advance(60)
    assert updates(service) == [] and channel.code is None


def test_repeating_the_present_status_is_never_slowed_and_overtakes_a_kept_one(make_world: Callable[..., World]) -> None:
    world = make_world(**QUICK)
    app = world.application()
    world.grant(ANN, app)
    channel = world.device(ANN)
    for status in ("unavailable", "online", "unavailable"):
        say(channel, status)
    assert [say(channel, "online") for _ in range(30)] == [OK] * 30
    world.advance(10)
    assert seen(world, app) == "online"


def test_offline_is_never_slowed_and_discards_the_kept_status(make_world: Callable[..., World]) -> None:
    world = make_world(**QUICK)
    app = world.application()
    world.grant(ANN, app)
    channel = world.device(ANN)
    assert [say(channel, status) for status in ("unavailable", "online", "unavailable", "offline")] == [OK, OK, SLOW, OK]
    assert seen(world, app) == "offline"
    world.advance(10)
    assert seen(world, app) == "offline"


def test_a_kept_status_is_applied_before_the_grace_begins(make_world: Callable[..., World]) -> None:
    world = make_world(**QUICK)
    app = world.application()
    world.grant(ANN, app)
    channel = world.device(ANN)
    assert [say(channel, status) for status in ("unavailable", "online", "unavailable")] == [OK, OK, SLOW]
    channel.lose()
    world.advance(1)
    assert seen(world, app) == "unavailable"
    world.advance(14)
    assert seen(world, app) == "offline"


def test_twenty_more_refused_updates_close_the_channel(make_world: Callable[..., World]) -> None:
    world = make_world(**QUICK)
    channel = world.device(ANN)
    say(channel, "unavailable"), say(channel, "online")
    assert [say(channel, "unavailable") for _ in range(20)] == [SLOW] * 20
    assert channel.code is None
    say(channel, "unavailable")
    assert channel.sent[-1] == SLOW
    assert (channel.code, channel.reason) == (4101, "the slow-down was ignored, retry_after=1")


def test_a_device_that_waits_as_long_as_assigned_is_not_closed_however_often_it_is_refused(make_world: Callable[..., World]) -> None:
    world = make_world(**QUICK)
    channel = world.device(ANN)
    statuses = ("unavailable", "online")
    refused = 0
    for number in range(100):
        answer = say(channel, statuses[number % 2])
        refused += answer != OK
        world.advance(1 if answer != OK else 0.1)
    assert channel.code is None, refused


def test_a_frame_that_is_refused_for_another_reason_keeps_no_status(make_world: Callable[..., World]) -> None:
    world = make_world(**QUICK)
    app = world.application()
    world.grant(ANN, app)
    channel = world.device(ANN)
    say(channel, "unavailable", device="other")
    world.advance(10)
    assert seen(world, app) == "online"
