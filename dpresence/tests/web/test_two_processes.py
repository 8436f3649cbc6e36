"""Two processes on one database and one Redis: what happens at one is seen at the other, and nothing stays missed."""

from __future__ import annotations

from functools import partial

import gevent
import pytest

from dpresence.backends.tracker.redis import RedisTracker
from dpresence.errors import CloseCode
from dpresence.model import ERASED, GrantSet
from dpresence.tests.support import view_and_head
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually
from dpresence.tests.web.races import Away, Held
from dpresence.tests.web.support import App, World, say, updates

ANN = "ann@example.org"
NOT_SIGNED_IN, REPLACED = CloseCode.NOT_SIGNED_IN, CloseCode.REPLACED


@pytest.fixture
def app(one) -> App:
    return one.application()


@pytest.fixture
def puid(one, app) -> str:
    return one.grant(ANN, app)


def parts(world: World) -> list[RedisTracker]:
    """Return the trackers of the partitions."""
    tracker = world.registry.backends.tracker
    return tracker._parts


def deaf(world: World) -> None:
    """Have a process receive no signals of others until it ``recovers``."""
    for part in parts(world):
        part._pubsub._on_message = lambda message: None


def recovers(world: World, forgotten: bool = False) -> None:
    """Have a process notice that it may have missed signals of each partition, as after a reconnection."""
    for part in parts(world):
        part._signals.dispatch(["forgotten " if forgotten else "missed "])
    eventually(lambda: not world.services.recovery.running())


# -- what happens at one is seen at the other


def test_an_application_at_one_process_sees_a_device_at_the_other(one, two, app, puid):
    service = one.followed(app)
    device = two.device(ANN)
    say(device, "unavailable")
    seen: list[tuple[str, str, str]] = []
    eventually(lambda: seen.extend(updates(service)) or len(seen) == 2)
    assert seen == [(puid, "online", "explicit"), (puid, "unavailable", "explicit")]


def test_a_cursor_of_one_is_good_at_the_other(one, two, app, puid):
    two.device(ANN)
    service = one.service(app)
    cursor = service.sent[-1]["cursor"]
    service.leave()
    say(two.connections[0], "unavailable")
    again = two.service(app, since=cursor)
    assert again.sent[0]["recovery"] == "replayed"
    assert [entry["status"] for entry in again.sent[1]["updates"]] == ["unavailable"]


def test_a_newer_connection_at_the_other_replaces_the_older(one, two, app, puid):
    service = one.followed(app)
    older = one.device(ANN, device="phone")
    newer = two.device(ANN, device="phone")
    eventually(lambda: older.code == REPLACED)
    assert newer.code is None
    assert say(newer, "online") == {"result": "OK"}
    one.advance(20)
    assert [status for _, status, _ in updates(service)] == ["online"]


def test_a_device_signed_out_at_one_is_closed_at_the_other(one, two):
    device = two.device(ANN, device="phone")
    ann = one.person(ANN)
    assert ann("DELETE", "/devices/phone", X_CSRF_Token=ann.csrf).status_int == 204
    eventually(lambda: device.code == NOT_SIGNED_IN)


def test_a_revoke_is_seen_by_the_other_at_once(one, two, app, puid):
    device = two.device(ANN)
    service = one.followed(app)
    ann = one.person(ANN)
    assert ann("DELETE", f"/grant/{app.id}", X_CSRF_Token=ann.csrf).status_int == 204
    eventually(lambda: two.services.grants.cached(two.services.hub.devices()[0][0]) is None)
    say(device, "unavailable")
    eventually(lambda: service.sent)
    one.settle()
    assert updates(service) == [(puid, "offline", "revoked")]


@pytest.mark.parametrize("paused", [True, False])
def test_of_changes_of_a_grant_at_both_at_once_the_one_that_was_stored_last_is_seen(one, two, app, puid, monkeypatch, paused):
    two.device(ANN)
    user, tracker = two.services.hub.devices()[0][0], two.registry.backends.tracker
    one.services.grants.change(user, app.id, {"paused": not paused})
    held = Held(monkeypatch, one.registry.backends.tracker, "append_current_status")
    sides = ((one, paused), (two, not paused))
    edits = [partial(side.services.grants.change, user, app.id, {"paused": value}) for side, value in sides]
    held.overtake(*edits)
    assert two.services.grants.find(user, app.id).paused is not paused
    eventually(lambda: tracker.latest(app.id, [puid])[puid].status == ("online" if paused else "offline"))


@pytest.mark.parametrize("paused", [True, False])
def test_an_update_made_with_grants_from_before_a_pause_or_its_end_is_made_with_those_of_now(one, two, app, puid, monkeypatch, paused):
    device = two.device(ANN)
    user = two.services.hub.devices()[0][0]
    one.services.grants.change(user, app.id, {"paused": not paused})
    eventually(lambda: [grant.paused for grant in two.services.grants.of(user).grants] == [not paused])
    deaf(two)
    one.services.grants.change(user, app.id, {"paused": paused})
    for status in ("unavailable", "online"):
        say(device, status)
        assert latest(two, app, puid) == ("offline" if paused else status)


def test_a_notification_sent_at_one_reaches_a_device_at_the_other(one, two, app, puid):
    device = two.device(ANN)
    one.notify(app, {"puid": puid, "message": "hello"})
    eventually(lambda: device.sent)
    assert [item["message"] for item in device.take()[0]["notifications"]] == ["hello"]


def test_a_key_of_a_notification_used_at_both_at_once_makes_one_notification(one, two, app, puid):
    device, item = two.device(ANN), {"puid": puid, "message": "hello", "idempotency": "move-7"}
    calls = [gevent.spawn(side.notify, app, item) for side in (one, two, one, two)]
    gevent.joinall(calls, timeout=PATIENCE_SECONDS, raise_error=True)
    assert len({call.value[0]["id"] for call in calls}) == 1
    eventually(lambda: device.sent)
    one.notify(app, {"puid": puid, "message": "last"})
    eventually(lambda: "last" in str(device.sent))
    assert [entry["message"] for frame in device.sent for entry in frame.get("notifications", [])] == ["hello", "last"]


# -- what was missed


def test_a_sign_out_that_was_missed_is_caught_up_with(one, two):
    device, other = two.device(ANN, device="phone"), two.device(ANN, device="laptop")
    deaf(two)
    ann = one.person(ANN)
    ann("DELETE", "/devices/phone", X_CSRF_Token=ann.csrf)
    two.settle()
    assert device.code is None
    recovers(two)
    assert (device.code, other.code) == (NOT_SIGNED_IN, None)


def test_a_ticket_that_ended_without_a_signal_ends_its_channel(one, two):
    ann = one.person(ANN)
    ticket = ann("POST", "/ticket").json["ticket"]
    device = two.channel()
    device.receive({"email": ANN, "assertion": ticket, "status": "online", "ticket": True})
    deaf(two)
    ann("POST", "/logout")
    recovers(two)
    assert device.code == NOT_SIGNED_IN


def test_a_replacement_that_was_missed_is_caught_up_with(one, two):
    older = one.device(ANN, device="phone")
    deaf(one)
    two.device(ANN, device="phone")
    recovers(one)
    assert older.code == REPLACED


def test_updates_and_notifications_that_were_missed_are_caught_up_with(one, two, app, puid):
    service, device = one.followed(app), two.device(ANN)
    one.settle()
    service.take()
    deaf(one)
    deaf(two)
    say(device, "unavailable")
    one.notify(app, {"puid": puid, "message": "hello"})
    recovers(one)
    recovers(two)
    eventually(lambda: service.sent)
    assert [status for _, status, _ in updates(service)][-1] == "unavailable"
    assert device.sent[-1]["notifications"][0]["message"] == "hello"


def test_a_grant_that_was_missed_is_caught_up_with(one, two, app):
    device = two.device(ANN)
    deaf(two)
    one.grant(ANN, app)
    recovers(two)
    say(device, "unavailable")
    assert history(two, app) == [("online", "granted"), ("unavailable", "explicit")]


def latest(world: World, app: App, puid: str) -> str:
    return world.registry.backends.tracker.latest(app.id, [puid])[puid].status


@pytest.mark.parametrize("paused", [True, False])
def test_a_device_that_is_lost_at_a_deaf_process_is_lost_to_everybody_who_may_see_it_now(one, two, app, puid, paused):
    """The application of a new grant must receive it, and that of a grant that was paused meanwhile must not."""
    two.device(ANN)
    user, other = two.services.hub.devices()[0][0], one.application(name="Go")
    one.services.grants.change(user, app.id, {"paused": not paused})
    eventually(lambda: [grant.paused for grant in two.services.grants.of(user).grants] == [not paused])
    deaf(two)
    two.connections[-1].lose()
    granted = one.grant(ANN, other)
    one.services.grants.change(user, app.id, {"paused": paused})
    assert latest(one, other, granted) == "online"
    two.advance(16)
    assert (latest(one, app, puid), latest(one, other, granted)) == ("offline", "offline")
    assert history(one, other)[-1] == ("offline", "lost")
    assert history(one, app)[-1] == ("offline", "explicit" if paused else "lost")


def history(world: World, app: App) -> list[tuple[str, str]]:
    """Return the status and reason of each entry of an application's feed, from its beginning."""
    beginning = [view_and_head(part, "no application")[1] for part in parts(world)]
    tracker = world.registry.backends.tracker
    return [(entry.status, entry.reason) for entry in tracker.read(app.id, tuple(beginning), 100)]


def test_a_signed_out_user_is_offline_to_an_application_unknown_to_their_process(one, two, app):
    two.device(ANN, device="phone")
    ann = two.person(ANN)
    deaf(two)
    puid = one.grant(ANN, app)
    assert latest(one, app, puid) == "online"
    assert ann("DELETE", "/devices/phone").status_int == 204
    assert latest(one, app, puid) == "offline"


def test_a_new_grant_is_reported_once_and_before_the_updates_that_follow(one, two, app, monkeypatch):
    device, service = two.device(ANN), two.followed(app)
    user, application = two.services.hub.devices()[0][0], one.registry.backends.directory.application(app.id)
    held = Held(monkeypatch, one.registry.backends.tracker, "append_grant")
    held.overtake(lambda: one.services.grants.grant(user, application), lambda: say(device, "unavailable"))
    eventually(lambda: service.sent)
    assert [(status, reason) for _, status, reason in updates(service)] == [("unavailable", "granted")]
    say(device, "online")
    eventually(lambda: service.sent)
    assert [(status, reason) for _, status, reason in updates(service)] == [("online", "explicit")]


# -- what was forgotten


def test_devices_that_were_forgotten_connect_again(one, two, app, puid, redis_server):
    service = two.service(app)
    phone, laptop = one.device(ANN, device="phone"), one.device(ANN, "unavailable", device="laptop")
    say(phone, "unavailable")
    redis_server.client.flushall()
    say(laptop, "online")
    eventually(lambda: one.registry.backends.tracker.status(one.services.hub.devices()[0][0]) == "online")
    eventually(lambda: not one.services.recovery.running())
    assert [(item.name, item.status) for item in one.services.devices.list(one.services.hub.devices()[0][0])] == [
        ("laptop", "online"),
        ("phone", "unavailable"),
    ]
    assert (phone.code, laptop.code) == (None, None)
    eventually(lambda: service.code == CloseCode.SLOW_READER)  # it comes back with its cursor, and gets a snapshot
    again = two.service(app, since=service.sent[-1].get("cursor"))
    assert again.sent[0]["recovery"] == "snapshot"


def test_a_device_that_was_signed_out_does_not_connect_again(one, two):
    ann = two.person(ANN)
    ticket = ann("POST", "/ticket").json["ticket"]
    device = one.channel()
    device.receive({"email": ANN, "assertion": ticket, "status": "online", "ticket": True})
    user = one.services.hub.devices()[0][0]
    one.registry.backends.tracker.remove_all(user, GrantSet(ERASED, ()))
    deaf(one)
    ann("POST", "/logout")
    recovers(one, forgotten=True)
    assert device.code == NOT_SIGNED_IN
    assert list(one.services.devices.list(user)) == []


def test_a_device_gets_a_notification_whose_signal_could_not_be_sent_at_first(pair, one, app, puid, monkeypatch):
    channel = pair[1].device(ANN)
    away = Away(monkeypatch, one.registry.backends.tracker, "signal")
    assert one.notify(app, {"puid": puid, "message": "hello"})[0]["result"] == "OK"
    away.back = True
    one.services.retries.flush()
    assert eventually(lambda: channel.sent)[0]["notifications"][0]["message"] == "hello"
