"""A service with partitions on two servers, of which one is away: everything goes on for the users of the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.settings.allowed import redis_name
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import App, World, say, updates
from dpresence.tests.web.test_metrics import samples

HERE, AWAY = 0, 1


@pytest.fixture
def world(make_world, redis_server, lost_redis):
    lost_redis.start()
    urls = f"{redis_server.url} {lost_redis.url}"
    return make_world(tracker="redis", mailbox="sql", redis__urls=urls, redis__partitions="2", redis__timeout_seconds="1")


def emails_in(world: World, app: App, partition: int, first: int = 0) -> Iterator[tuple[str, str]]:
    """Return the e-mails and PUIDs of people whose users are in a partition, one after the other."""
    tracker = world.registry.backends.tracker
    for number in count(first):
        email = f"person{number}of{partition}@example.org"
        puid = world.grant(email, app)
        user = world.registry.backends.directory.grants_by_puid(app.id, [puid])[puid].user
        if tracker._part(user) is tracker._parts[partition]:
            yield email, puid


@pytest.fixture
def here(world, app) -> tuple[str, str]:
    return next(emails_in(world, app, HERE))


@pytest.fixture
def gone(world, app, lost_redis) -> tuple[str, str]:
    """Somebody who is online, and whose server is away then."""
    email, puid = next(emails_in(world, app, AWAY))
    world.device(email)
    return email, puid


def presence(world: World, app: App, *puids: str) -> tuple[int, object]:
    path = f"/myapps/{app.id}/presence?" + "&".join(f"puid={puid}" for puid in puids)
    answer = world.browser()("GET", path, Authorization=f"Bearer {app.key}")
    return answer.status_int, [entry["status"] for entry in answer.json["presence"]] if answer.status_int == 200 else answer.json["errno"]


def test_updates_and_sign_ins_of_the_others_reach_applications(world, app, here, gone, lost_redis):
    email, puid = here
    device, service = world.device(email), world.followed(app)
    lost_redis.kill()
    assert say(device, "unavailable", email=email) == {"result": "OK"}
    world.device(email, device="tablet")
    seen: list[tuple[str, str, str]] = []
    eventually(lambda: seen.extend(updates(service)) or len(seen) == 2)
    assert seen == [(puid, "unavailable", "explicit"), (puid, "online", "explicit")]


def test_a_notification_that_may_not_wait_reaches_the_others(world, app, here, gone, lost_redis):
    device = world.device(here[0])
    lost_redis.kill()
    answers = world.notify(app, *({"puid": puid, "message": "now", "ttl": 0} for puid in (gone[1], here[1])))
    assert [answer["delivered"] for answer in answers] == [False, True]
    eventually(lambda: [item["message"] for frame in device.take() for item in frame["notifications"]] == ["now"])


def test_the_presence_of_the_others_is_read(world, app, here, gone, lost_redis):
    world.device(here[0])
    assert presence(world, app, here[1], gone[1]) == (200, ["online", "online"])
    lost_redis.kill()
    assert presence(world, app, here[1]) == (200, ["online"])
    assert presence(world, app, here[1], gone[1]) == (503, 201)


def test_grants_pauses_and_revocations_of_the_others_are_published(world, app, here, gone, lost_redis):
    email, puid = here
    world.device(email)
    service = world.followed(app)
    lost_redis.kill()
    browser = world.person(email)
    for method, body in (("PATCH", {"paused": True}), ("PATCH", {"paused": False}), ("DELETE", None)):
        assert browser(method, f"/grant/{app.id}", body).status_int in (200, 204)
    seen: list[tuple[str, str, str]] = []
    eventually(lambda: seen.extend(updates(service)) or len(seen) == 3)
    assert seen == [(puid, "offline", "explicit"), (puid, "online", "explicit"), (puid, "offline", "revoked")]


def test_the_pages_and_devices_of_the_others_are_shown(world, app, here, gone, lost_redis):
    world.device(here[0])
    lost_redis.kill()
    person = world.person(here[0])
    for path in ("/devices", "/account", "/grants"):
        assert person("GET", path).status_int == 200, path


def test_feeds_of_the_others_lose_users_whose_grants_have_ended_unnoticed(world, app, here, gone, lost_redis, monkeypatch):
    people, backends = [here, next(emails_in(world, app, HERE, 1000))], world.registry.backends
    for email, _ in people:
        world.device(email)
    service, directory = world.followed(app), backends.directory
    grants = directory.grants_by_puid(app.id, [puid for _, puid in people])
    lost_redis.kill()
    for grant in grants.values():
        directory.revoke(app.id, grant.user)
    directory.clear_outbox(directory.outbox(None, 0, 100))
    monkeypatch.setattr(backends.tracker, "claim", lambda task, seconds: True)
    world.services.reconciliation.request()
    with pytest.raises(BackendUnavailable):
        world.services.reconciliation.sweep()
    seen: list[tuple[str, str, str]] = []
    eventually(lambda: seen.extend(updates(service)) or len(seen) == 2)
    assert sorted(seen) == sorted((puid, "offline", "revoked") for puid in grants)


def test_one_comparison_reaches_the_feeds_of_the_others_of_all_applications(world, here, app, gone, lost_redis, monkeypatch):
    email, puid = here
    apps, backends = [app, *(world.application(name=f"App {number}") for number in range(4))], world.registry.backends
    puids = [puid, *(world.grant(email, other) for other in apps[1:])]
    world.device(email)
    services = [world.followed(each) for each in apps]
    user = backends.directory.grants_by_puid(app.id, [puid])[puid].user
    lost_redis.kill()
    for each in apps:
        backends.directory.revoke(each.id, user)
    backends.directory.clear_outbox(backends.directory.outbox(None, 0, 100))
    monkeypatch.setattr(backends.tracker, "claim", lambda task, seconds: True)
    world.services.reconciliation.request()
    with pytest.raises(BackendUnavailable):
        world.services.reconciliation.sweep()
    for service, shown in zip(services, puids, strict=True):
        seen: list[tuple[str, str, str]] = []
        eventually(lambda seen=seen, service=service: seen.extend(updates(service)) or seen)
        assert seen == [(shown, "offline", "revoked")]


def test_the_others_are_compared_once_while_a_server_is_away_and_at_each_request(world, app, here, gone, lost_redis, monkeypatch):
    tracker, reconciliation, compared = world.registry.backends.tracker, world.services.reconciliation, list[str]()
    view = tracker.view
    monkeypatch.setattr(tracker, "claim", lambda task, seconds: True)
    monkeypatch.setattr(tracker, "view", lambda appid: compared.append(appid) or view(appid))
    lost_redis.kill()
    for times in (1, 2):
        reconciliation.request()
        for _ in range(3):
            with pytest.raises(BackendUnavailable):
                reconciliation.sweep()
        assert compared == [app.id] * times
    lost_redis.start()
    eventually(lambda: reconciliation.sweep() or True, also=(BackendUnavailable,))
    assert len(compared) > 2, "the part that is back is compared"


def test_the_metrics_name_the_server_that_is_away(world, redis_server, lost_redis, monkeypatch):
    tracker = world.registry.backends.tracker
    monkeypatch.setattr(tracker, "_first", tracker._parts[AWAY])
    lost_redis.kill()
    found = samples(world)
    assert [found[f"redis_server_up {redis_name(server.url)}"] for server in (redis_server, lost_redis)] == [1, 0]
