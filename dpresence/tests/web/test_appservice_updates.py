"""The updates and the notifications on the AppService Presence Channel (section 5)."""

from __future__ import annotations

from collections.abc import Callable

from dpresence.tests.web.support import App, World, ko

ANN, BOB = "ann@example.org", "bob@example.org"


# -- updates


def test_updates_come_in_order_each_with_a_whole_second_and_a_reason(world: World, app: App) -> None:
    puid, service = world.grant(ANN, app), world.followed(app)
    world.clock.advance(1.9)
    device = world.device(ANN)
    at = world.clock.now() // 1000 * 1000
    device.receive({"email": ANN, "status": "unavailable"})
    world.settle()
    frames = service.take()
    assert [entry for frame in frames for entry in frame["updates"]] == [
        {"puid": puid, "status": "online", "at": at, "reason": "explicit"},
        {"puid": puid, "status": "unavailable", "at": at, "reason": "explicit"},
    ]
    assert all(set(frame) == {"updates", "cursor"} and isinstance(frame["cursor"], str) for frame in frames)


def test_two_people_who_change_at_once_are_distinguished_by_nothing_but_their_puids(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    mine, theirs = world.grant(ANN, app), world.grant(ANN, other)
    here, there = world.followed(app), world.followed(other)
    world.clock.advance(0.4)
    world.device(ANN)
    world.settle()
    (first,), (second,) = here.take(), there.take()
    assert {**first["updates"][0], "puid": ""} == {**second["updates"][0], "puid": ""}
    assert (first["updates"][0]["puid"], second["updates"][0]["puid"]) == (mine, theirs)


def test_no_email_and_no_account_ever_reaches_an_application(world: World, app: App) -> None:
    world.grant(ANN, app)
    service = world.service(app)
    world.device(ANN, device="phone")
    world.settle()
    shown = str(service.sent)
    assert "ann" not in shown and "example.org" not in shown and "phone" not in shown


# -- notify


def test_notify_answers_for_each(world: World, app: App) -> None:
    puid, channel = world.grant(ANN, app), world.followed(app)
    items = [{"puid": puid, "message": "hi", "action": "open", "source": "Bob", "ttl": 60}, {"puid": "unknown"}]
    answer = channel.receive({"action": "notify", "id": 1, "notifications": items})
    assert answer == {
        "result": "OK",
        "action": "notify",
        "id": 1,
        "notifications": [
            {"puid": puid, "id": answer["notifications"][0]["id"], "result": "OK", "queue_size": 1, "delivered": False},
            {"puid": "unknown", **ko(110, "not found")},
        ],
    }


def test_a_frame_over_the_rate_is_refused_whole(make_world: Callable[..., World]) -> None:
    world = make_world(presence__notification_rate="1", presence__notification_burst="100")
    app = world.application()
    puid, channel = world.grant(ANN, app), world.followed(app)
    items = [{"puid": puid}] * 60
    assert channel.receive({"action": "notify", "notifications": items})["result"] == "OK"
    refused = channel.receive({"action": "notify", "notifications": items, "id": 2})
    assert refused == ko(117, "notifications: too many of this application", retry_after=20, id=2)
    assert channel.code is None
    assert world.notify(app, {"puid": puid})[0]["queue_size"] == 61


def test_a_new_key_leaves_open_channels_alone(world: World, app: App) -> None:
    puid, channel = world.grant(ANN, app), world.followed(app)
    app.owner("POST", f"/myapps/{app.id}/key")
    world.clock.advance(90000)
    assert channel.receive({"action": "notify", "notifications": [{"puid": puid}]})["result"] == "OK"
