"""Updates for an application that reconnects: by its cursor, by a snapshot, and after a restart of this service (section 5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpresence.tests.support import FakeClock, FakeConnection
from dpresence.tests.web.support import App, World, ko, refusal, updates

ANN, BOB = "ann@example.org", "bob@example.org"


def statuses(channel: FakeConnection) -> dict[str, str]:
    """Return the status by PUID of a snapshot, and forget it."""
    return {entry["puid"]: entry["status"] for frame in channel.take() for entry in frame.get("snapshot", [])}


# -- resuming


def test_missed_updates_are_replayed_after_the_cursor_and_none_twice(world: World, app: App) -> None:
    puid, service = world.grant(ANN, app), world.followed(app)
    device = world.device(ANN)
    world.settle()
    cursor = service.take()[-1]["cursor"]
    service.lose()
    for status in ("unavailable", "online", "offline"):
        device.receive({"email": ANN, "status": status})
    again = world.service(app, since=cursor)
    assert again.sent[0] == {"result": "OK", "action": "auth", "recovery": "replayed"}
    again.sent = again.sent[1:]
    assert [entry[1] for entry in updates(again)] == ["unavailable", "online", "offline"]
    device.receive({"email": ANN, "status": "online"})
    world.settle()
    assert updates(again) == [(puid, "online", "explicit")]


def test_a_service_that_missed_nothing_is_sent_nothing(world: World, app: App) -> None:
    cursor = world.service(app).sent[1]["cursor"]
    assert world.service(app, since=cursor).sent == [{"result": "OK", "action": "auth", "recovery": "replayed"}]


def test_a_ping_is_answered_after_what_was_missed_and_only_after_auth(world: World, app: App) -> None:
    world.grant(ANN, app)
    cursor = world.service(app).sent[-1]["cursor"]
    world.device(ANN)
    channel = world.service_channel(app)
    assert channel.receive({"action": "ping", "id": 1}) == ko(104, "action: auth comes first", id=1)
    channel.receive({"action": "auth", "key": app.key, "since": cursor})
    channel.receive({"action": "ping", "id": 2})
    _, auth, missed, pong = channel.sent
    assert (auth["recovery"], list(missed)) == ("replayed", ["updates", "cursor"])
    assert pong == {"result": "OK", "id": 2}
    assert channel.receive({"action": "ping"}) == {"result": "OK"}


@pytest.mark.parametrize("since", ["", "nonsense", "0:0", ":", "1", "\u0661:\u0661", "x" * 128])
def test_a_cursor_nobody_can_read_leads_to_a_snapshot(shared: World, shared_app: App, since: str) -> None:
    channel = shared.service(shared_app, since=since)
    assert [channel.sent[0]["recovery"], "snapshot" in channel.sent[1]] == ["snapshot", True]
    channel.lose()


def test_a_cursor_of_the_future_leads_to_a_snapshot(world: World, app: App) -> None:
    epoch, _, offset = world.service(app).sent[1]["cursor"].partition(":")
    assert world.service(app, since=f"{epoch}:{int(offset) + 1}").sent[0]["recovery"] == "snapshot"


def test_an_application_that_was_away_for_too_long_gets_a_snapshot(make_world: Callable[..., World]) -> None:
    world = make_world(presence__feed_seconds="100")
    app = world.application()
    puid = world.grant(ANN, app)
    cursor = world.service(app).sent[1]["cursor"]
    device = world.device(ANN)
    world.clock.advance(99)
    assert world.service(app, since=cursor).sent[0]["recovery"] == "replayed"
    world.clock.advance(3)
    channel = world.service(app, since=cursor)
    assert channel.sent[0]["recovery"] == "snapshot" and statuses(channel) == {puid: "online"}
    assert device.code is None


def test_a_resume_over_many_updates_comes_in_frames_of_500(make_world: Callable[..., World]) -> None:
    world = make_world(presence__status_burst="10000")
    app = world.application()
    world.grant(ANN, app)
    cursor = world.service(app).sent[1]["cursor"]
    device = world.device(ANN)
    for number in range(1001):
        device.receive({"email": ANN, "status": "unavailable" if number % 2 == 0 else "online"})
    frames = world.service(app, since=cursor).sent[1:]
    assert [len(frame["updates"]) for frame in frames] == [500, 500, 2]


def test_a_revoked_puid_leaves_nothing_but_its_end_in_the_log(world: World, app: App) -> None:
    kept = world.grant(BOB, app)
    cursor = world.service(app).sent[1]["cursor"]
    puid = world.grant(ANN, app)
    world.device(ANN), world.device(BOB)
    world.person(ANN)("DELETE", f"/grant/{app.id}")
    channel = world.service(app, since=cursor)
    channel.sent = channel.sent[1:]
    assert updates(channel) == [(kept, "online", "explicit"), (puid, "offline", "revoked")]
    assert statuses(world.service(app)) == {kept: "online"}


# -- a restart


@pytest.fixture
def restarted(make_world: Callable[..., World], tmp_path: object) -> tuple[World, App, str]:
    """A service that started just now, an application older than it, and Ann's PUID there."""
    url = f"sqlite:///{tmp_path}/restarted.db"
    before = make_world(directory__url=url)
    app = before.application()
    puid = before.grant(ANN, app)
    before.close()
    return make_world(FakeClock(before.clock.now() + 60_000), directory__url=url), app, puid


def test_after_a_restart_the_snapshot_waits_for_the_grace_so_that_nobody_looks_offline(restarted: tuple[World, App, str]) -> None:
    world, app, puid = restarted
    channel = world.service_channel(app)
    channel.receive({"action": "auth", "key": app.key, "since": "older:7"})
    assert channel.take() == [{"result": "OK", "action": "auth", "recovery": "snapshot"}]
    world.advance(10)
    world.device(ANN)
    world.advance(4.9)
    assert channel.sent == [] and channel.code is None
    world.advance(0.1)
    assert statuses(channel) == {puid: "online"}


@pytest.mark.parametrize("seconds", [-3600, 3600, 13 * 3600])
def test_the_grace_after_a_restart_is_as_long_when_the_clock_is_set_meanwhile(restarted: tuple[World, App, str], seconds: int) -> None:
    world, app, puid = restarted
    channel = held(world, app)
    world.clock.start += 1000 * seconds
    world.advance(14.9)
    assert channel.sent == []
    world.device(ANN)
    world.advance(0.1)
    assert statuses(channel) == {puid: "online"}


def held(world: World, app: App) -> FakeConnection:
    """Return a channel that has signed in and whose snapshot is held back."""
    channel = world.service_channel(app)
    channel.receive({"action": "auth", "key": app.key})
    channel.take()
    return channel


@pytest.mark.parametrize("behind", [30, 3600, 55 * 365 * 86400])
def test_a_board_that_boots_with_its_clock_behind_holds_its_snapshots_back(
    make_world: Callable[..., World], tmp_path: object, behind: int
) -> None:
    url = f"sqlite:///{tmp_path}/restarted.db"
    before = make_world(directory__url=url)
    app = before.application()
    puid = before.grant(ANN, app)
    before.close()
    world = make_world(FakeClock(before.clock.now() - 1000 * behind), directory__url=url)
    channel = held(world, app)
    world.device(ANN)
    world.advance(14.9)
    assert channel.sent == []
    world.advance(0.1)
    assert statuses(channel) == {puid: "online"}


def test_after_a_restart_the_present_is_held_back_by_rest_too(restarted: tuple[World, App, str]) -> None:
    world, app, _ = restarted
    answer = world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}")
    assert refusal(answer) == (503, ko(201, "devices are reconnecting after a restart", retry_after=15))
    world.advance(15)
    assert world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}").status_int == 200


def test_notifying_works_while_the_snapshot_is_held_back(restarted: tuple[World, App, str]) -> None:
    world, app, puid = restarted
    channel = world.service_channel(app)
    channel.receive({"action": "auth", "key": app.key})
    answer = channel.receive({"action": "notify", "notifications": [{"puid": puid}]})
    assert answer["notifications"][0]["result"] == "OK"


def test_a_channel_whose_snapshot_is_held_back_is_closed_with_its_application(restarted: tuple[World, App, str]) -> None:
    world, app, _ = restarted
    channel = world.service_channel(app)
    channel.receive({"action": "auth", "key": app.key})
    world.person("dev@example.org")("POST", f"/myapps/{app.id}/deactivate")
    assert channel.code == 4003


def test_channels_whose_snapshot_is_held_back_count(restarted: tuple[World, App, str]) -> None:
    world, app, _ = restarted
    for _ in range(10):
        world.service_channel(app).receive({"action": "auth", "key": app.key})
    eleventh = world.service_channel(app)
    assert eleventh.receive({"action": "auth", "key": app.key})["errno"] == 122
    assert eleventh.code == 1013


def test_news_come_after_a_snapshot_that_was_held_back_and_never_before(restarted: tuple[World, App, str]) -> None:
    world, app, puid = restarted
    channel = held(world, app)
    world.device(ANN, "unavailable")
    world.settle()
    assert channel.sent == []
    world.advance(15)
    assert statuses(channel) == {puid: "unavailable"}
    world.device(ANN, "online")
    world.settle()
    assert updates(channel) == [(puid, "online", "explicit")]


def test_the_snapshot_waits_for_devices_that_were_asked_to_come_back_later(restarted: tuple[World, App, str]) -> None:
    world, app, puid = restarted
    channel = held(world, app)
    world.advance(10)
    world.registry.gate.on_wait(8)
    world.advance(22.9)
    assert channel.sent == []
    world.device(ANN)
    world.advance(0.1)
    assert statuses(channel) == {puid: "online"}


def test_the_snapshot_waits_while_devices_come_back_in_numbers(restarted: tuple[World, App, str]) -> None:
    world, app, puid = restarted
    channel = held(world, app)
    for _ in range(2):  # a slow machine: each 7 s, 60 devices
        world.advance(7)
        for _number in range(60):
            world.registry.services.feeds.count_connect()
    world.advance(14.9)
    assert channel.sent == []
    world.device(ANN)
    world.advance(0.1)
    assert statuses(channel) == {puid: "online"}


def test_a_few_devices_that_come_do_not_hold_the_snapshot_back(restarted: tuple[World, App, str]) -> None:
    world, app, puid = restarted
    channel = held(world, app)
    world.device(ANN)
    for _ in range(40):
        world.advance(0.36)
        world.registry.services.feeds.count_connect()
    world.advance(0.7)
    assert statuses(channel) == {puid: "online"}


def test_the_snapshot_waits_for_nobody_longer_than_a_lease(restarted: tuple[World, App, str]) -> None:
    world, app, puid = restarted
    channel = held(world, app)
    for _ in range(6):
        world.registry.gate.on_wait(60)
        assert channel.sent == []
        world.advance(10)
    assert statuses(channel) == {puid: "offline"}
