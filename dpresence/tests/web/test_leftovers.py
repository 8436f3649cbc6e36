"""A deletion also reaches the tracker: no data of an erased person or a deleted application stays anywhere."""

from __future__ import annotations

import pytest

from dpresence.model import Grant
from dpresence.tests.web.support import World, say

HOUR = 3600
PEOPLE = [f"user{number}@example.org" for number in range(5)]
FIXED = {"dpresence:t:meta", "dpresence:t:processes", "dpresence:m:count"}


@pytest.fixture
def on_redis(make_world, redis_server):
    return make_world(tracker="redis", mailbox="redis", redis__url=redis_server.url)


def fill(world: World) -> None:
    """Every kind of thing that is kept of people and applications."""
    apps = [world.application() for _ in range(3)]
    puids = [[world.grant(person, app) for app in apps] for person in PEOPLE]
    devices = [world.device(person, device="phone") for person in PEOPLE]
    world.device(PEOPLE[0])
    for device in devices:
        say(device, "unavailable", email=device.channel.session.email)
    devices[0].lose()
    world.person(PEOPLE[1])("DELETE", f"/grant/{apps[0].id}")
    for own in puids[2:]:
        world.notify(apps[1], {"puid": own[1], "message": "hello"})
    devices[1].lose()


@pytest.mark.slow
def test_of_people_and_applications_that_are_deleted_no_key_is_left(on_redis, redis_server):
    fill(on_redis)
    assert len(redis_server.client.keys()) > 20
    for person in [*PEOPLE, "dev@example.org"]:
        assert on_redis.person(person)("DELETE", "/account").status_int == 204
    on_redis.advance(20)
    on_redis.services.feeds.sweep()
    lasting = {key.decode() for key in redis_server.client.scan_iter() if redis_server.client.ttl(key) < 0}
    assert lasting <= FIXED
    assert on_redis.registry.backends.tracker.applications("", 10) == []


def test_an_erased_person_leaves_the_log_of_an_application_that_is_idle(on_redis, redis_server):
    app = on_redis.application()
    puid = on_redis.grant(PEOPLE[0], app)
    other = on_redis.grant(PEOPLE[1], app)
    say(on_redis.device(PEOPLE[0]), "unavailable", email=PEOPLE[0])
    on_redis.person(PEOPLE[0])("DELETE", "/account")
    on_redis.clock.advance(HOUR + 2)
    on_redis.services.feeds.sweep()
    kept = b"".join(redis_server.client.dump(key) for key in redis_server.client.keys("*t:*:*"))
    assert puid.encode() not in kept and other.encode() in kept


def test_the_history_of_an_idle_application_ends_with_its_hour_also_in_memory(make_world):
    world = make_world()
    app = world.application()
    device = world.device(PEOPLE[0])
    world.grant(PEOPLE[0], app)
    for status in ("unavailable", "online") * 5:
        assert say(device, status, email=PEOPLE[0]) == {"result": "OK"}
    feed = world.registry.backends.tracker._feeds[app.id]
    assert len(feed._log) == 11
    world.clock.advance(HOUR + 2)
    world.services.feeds.sweep()
    assert len(feed._log) == 0
    assert [one.status for one in feed.view.values()] == ["online"]


@pytest.mark.parametrize("backend", ["memory", "redis"])
def test_a_feed_that_came_back_after_its_application_was_deleted_is_dropped(make_world, redis_server, backend):
    world = make_world(tracker=backend, redis__url=redis_server.url)
    tracker, app = world.registry.backends.tracker, world.application()
    tracker.append_grant(Grant("deleted", "p1", "jane", 0, 0), 0)
    tracker.append_grant(Grant(app.id, "p2", "jane", 0, 0), 0)
    world.services.feeds.sweep()
    assert list(tracker.applications("", 10)) == [app.id]


def test_of_two_processes_one_sweeps(make_world, redis_server, monkeypatch):
    shared = {"tracker": "redis", "redis__url": redis_server.url}
    worlds, asked = [make_world(**shared), make_world(**shared)], []
    for world in worlds:
        monkeypatch.setattr(world.registry.backends.tracker, "applications", lambda after, limit, allow_missing: asked.append(after) or [])
        world.services.feeds.sweep()
    assert asked == [""]
