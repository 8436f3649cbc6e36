"""Updates of devices with the tracker in Redis: no greenlet waits for the answer, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from dpresence.backends.tracker import StaleGrants
from dpresence.channels.device import DeviceChannel
from dpresence.errors import BackendUnavailable
from dpresence.model import GrantSet
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import World, say, updates
from dpresence.tests.web.test_small_updates import AWAY, ONLINE, SCRIPTS, Device, update
from dpresence.tests.web.test_small_updates import runs as runs
from dpresence.tests.web.test_two_processes import ANN, REPLACED, app, puid  # noqa: F401 fixtures


@pytest.fixture
def begun(one, monkeypatch):
    """The statuses of the updates that were started without waiting."""
    tracker, statuses = one.registry.backends.tracker, []
    real = tracker.begin_update
    monkeypatch.setattr(tracker, "begin_update", lambda *arguments: statuses.append(arguments[3]) or real(*arguments))
    return statuses


def user_of(world: World) -> str:
    return world.services.hub.devices()[0][0]


def test_an_update_is_made_without_waiting(one, app, puid, begun):  # noqa: F811
    service, device = one.followed(app), one.device(ANN)
    assert say(device, "unavailable") == {"result": "OK"}
    assert begun == ["unavailable"]
    seen = []
    eventually(lambda: seen.extend(updates(service)) or len(seen) == 2)
    assert seen == [(puid, "online", "explicit"), (puid, "unavailable", "explicit")]


def test_an_update_that_changes_nothing_is_not_sent_to_the_tracker(one, app, puid, begun):  # noqa: F811
    device = one.device(ANN)
    assert say(device, "online") == {"result": "OK"}
    assert begun == []


def test_an_update_with_outdated_grants_is_repeated_with_the_new_ones(one, app, puid, begun):  # noqa: F811
    device, user = one.device(ANN), user_of(one)
    other = one.application(name="Go")
    one.grant(ANN, other)
    service = one.followed(other)
    counted = one.services.metrics.updates
    one.services.grants._cache._grants[user] = GrantSet(0, ())  # as if the signal of the grant were still on its way
    assert say(device, "unavailable") == {"result": "OK"}
    assert begun == ["unavailable"]
    seen = []
    eventually(lambda: seen.extend(updates(service)) or seen)
    assert [status for _, status, _ in seen] == ["unavailable"]
    assert one.services.metrics.updates == counted + 1


def test_an_update_while_redis_is_away_is_refused_and_made_when_it_is_repeated(one, app, puid, monkeypatch):  # noqa: F811
    device, tracker = one.device(ANN), one.registry.backends.tracker
    real = tracker.begin_update

    def away(*arguments):
        gevent.get_hub().loop.run_callback(arguments[-1], BackendUnavailable())

    def away_at_once(*arguments):
        raise BackendUnavailable

    for fault in (away, away_at_once):
        monkeypatch.setattr(tracker, "begin_update", fault)
        answer = say(device, "unavailable")
        assert (answer["result"], answer["errno"]) == ("KO", 201)
    monkeypatch.setattr(tracker, "begin_update", real)
    assert tracker.status(user_of(one)) == "online"
    assert say(device, "online") == {"result": "OK"}  # its result is unknown, so the same status is sent too
    assert say(device, "unavailable") == {"result": "OK"}
    assert tracker.status(user_of(one)) == "unavailable"


def test_grants_that_stay_outdated_are_refused(one, app, puid, monkeypatch):  # noqa: F811
    device, tracker = one.device(ANN), one.registry.backends.tracker

    def stale(*arguments):
        raise StaleGrants

    monkeypatch.setattr(tracker, "begin_update", lambda *arguments: gevent.get_hub().loop.run_callback(arguments[-1], StaleGrants()))
    monkeypatch.setattr(tracker, "update", stale)
    assert say(device, "unavailable")["errno"] == 201


def test_an_update_of_a_replaced_device_closes_it(one, two, app, puid):  # noqa: F811
    device = one.device(ANN, device="phone")
    two.registry.backends.tracker.connect(user_of(one), "phone", "other", "online", GrantSet(10**6, ()), 20, 10**6)
    say(device, "unavailable")
    eventually(lambda: device.code == REPLACED)


# -- ordinary updates, which are handled in the event loop's callback


@pytest.fixture
def world(make_world, redis_server) -> World:
    rates = {"channels__device_frame_burst": "25", "presence__status_burst": "8", "channels__device_frame_rate": "2"}
    return make_world(tracker="redis", redis__url=redis_server.url, **rates)


@pytest.fixture
def device(world) -> Iterator[Device]:
    made = Device(world)
    yield made
    made.close()


def test_ordinary_updates_start_no_greenlet(device, runs):
    del runs[:]
    for step in (AWAY, ONLINE, update(id="a"), update("offline"), ONLINE, update("unavailable", device="phone")):
        assert b'"OK"' in device.play(step)
    assert not runs


@pytest.mark.parametrize("name", SCRIPTS)
def test_both_paths_answer_the_same_bytes(world, monkeypatch, name):
    answers = []
    for _ in range(2):
        device = Device(world)
        answers.append([device.play(step) for step in SCRIPTS[name]])
        device.close()
        world.advance(3600)
        monkeypatch.setattr(DeviceChannel, "try_message", lambda self, payload, now: None)
    assert answers[0] == answers[1]
    assert any(answers[0]), "the script is answered"
