"""The tracker of two processes is split: statuses, overrides, pauses and waiting notifications stay as they were."""

from __future__ import annotations

import pytest

from dpresence.backends.partitions import open_named
from dpresence.backends.splitting import Splitter
from dpresence.backends.tracker.split_keys import SplitKeys
from dpresence.settings import RedisSettings
from dpresence.settings.allowed import redis_name
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import App, World, say, snapshot, updates

ANN, BOB, CY, DAN = (f"{name}@example.org" for name in ("ann", "bob", "cy", "dan"))


@pytest.fixture(params=[1], ids=[""])
def pair(pair):
    """Two services that share a tracker of one partition."""
    return pair


@pytest.fixture
def split(one: World, two: World, redis_server):
    """Split the tracker, and wait until both processes have followed."""

    def run() -> None:
        redis = RedisSettings(redis_server.url)
        directory, name = one.registry.backends.directory, redis_name(redis_server.url)
        assert Splitter(directory, name, lambda server, mover: SplitKeys(open_named(redis, server), mover)).split(3).keys > 1
        for world in (one, two):
            eventually(lambda world=world: len(world.registry.backends.tracker._parts) == 3)
            eventually(lambda world=world: not world.services.recovery.running())
            world.settle()

    return run


@pytest.fixture
def app(one: World) -> App:
    return one.application()


def status_of(world: World, app: App, puid: str) -> object:
    return {entry["puid"]: entry["status"] for entry in snapshot(world, app)}[puid]


def test_an_application_goes_on_with_a_snapshot_in_which_nobody_is_missing(one, two, app, split):
    ann, bob = one.grant(ANN, app), one.grant(BOB, app)
    phone = two.device(ANN)
    one.device(BOB, "unavailable")
    service = one.followed(app)
    assert say(phone, "unavailable") == {"result": "OK"}
    eventually(lambda: updates(service) == [(ann, "unavailable", "explicit")])
    cursor = one.service(app).sent[-1]["cursor"]
    before = sorted(map(str, snapshot(one, app)))
    split()
    eventually(lambda: service.closed)
    again = two.service(app, since=cursor)
    assert again.sent[0]["recovery"] == "snapshot"
    assert sorted(map(str, snapshot(two, app))) == before
    again.take()
    assert say(phone, "online") == {"result": "OK"}
    eventually(lambda: updates(again) == [(ann, "online", "explicit")])
    assert {entry["puid"] for entry in snapshot(one, app)} == {ann, bob}


def test_people_stay_invisible_and_notifications_wait_as_before(one, two, app, split):
    ann, bob, cy, dan = (one.grant(email, app) for email in (ANN, BOB, CY, DAN))
    phone, hidden = two.device(ANN), one.device(BOB)
    assert one.person(BOB)("PUT", "/status", {"status": "offline"}).status_int == 200
    assert one.person(DAN)("PATCH", f"/grant/{app.id}", {"paused": True}).status_int in (200, 204)
    paused = one.device(DAN)
    (waits,) = one.notify(app, {"puid": cy, "message": "later", "ttl": 3600})
    split()
    assert [status_of(two, app, puid) for puid in (ann, bob, cy, dan)] == ["online", "offline", "offline", "offline"]
    answers = two.notify(app, *({"puid": puid, "message": "now", "ttl": 0} for puid in (ann, bob, cy, dan)))
    assert [answer["delivered"] for answer in answers] == [True, False, False, False]
    eventually(lambda: [item["message"] for frame in phone.take() for item in frame["notifications"]] == ["now"])
    tablet = one.channel()
    tablet.receive({"email": CY, "assertion": one.assertion(CY), "status": "online"})
    eventually(lambda: [item["message"] for frame in tablet.sent for item in frame.get("notifications", ())] == ["later"])
    assert waits["delivered"] is False
    assert say(hidden, "unavailable", email=BOB) == say(paused, "unavailable", email=DAN) == {"result": "OK"}
    assert [status_of(one, app, puid) for puid in (bob, dan)] == ["offline", "offline"]
    assert one.person(BOB)("DELETE", "/status").status_int in (200, 204)
    eventually(lambda: status_of(two, app, bob) == "unavailable")
