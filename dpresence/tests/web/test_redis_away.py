"""A service whose Redis is unavailable for a while: what devices and applications receive meanwhile and afterwards."""

from __future__ import annotations

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.tests.waiting import eventually
from dpresence.tests.web.races import Away
from dpresence.tests.web.support import say

ANN = "ann@example.org"


@pytest.fixture
def alone(make_world, tmp_path, lost_redis):
    lost_redis.start()
    return make_world(tracker="redis", mailbox="redis", redis__url=lost_redis.url, redis__timeout_seconds="0.3")


def test_an_update_is_refused_while_redis_is_away_and_taken_when_it_is_back(alone, lost_redis):
    device = alone.device(ANN)
    lost_redis.kill()
    refused = say(device, "unavailable")
    assert (refused["errno"], refused["retry_after"]) == (201, 5)
    assert device.code is None
    lost_redis.start()
    eventually(lambda: alone.registry.backends.tracker.ping() is None)
    assert say(device, "unavailable") == {"result": "OK"}
    assert alone.registry.backends.tracker.status(alone.services.hub.devices()[0][0]) == "unavailable"


def test_a_repetition_after_a_refusal_is_not_taken_for_no_change(alone, lost_redis):
    """The change that was refused may have happened."""
    device = alone.device(ANN)
    user = alone.services.hub.devices()[0][0]
    with lost_redis.stopped():
        assert say(device, "unavailable")["errno"] == 201
    eventually(lambda: alone.registry.backends.tracker.status(user) == "unavailable")
    assert say(device, "online") == {"result": "OK"}
    assert alone.registry.backends.tracker.status(user) == "online"


def test_a_device_that_leaves_while_redis_is_away_is_no_ghost(alone, lost_redis):
    device = alone.device(ANN)
    user = alone.services.hub.devices()[0][0]
    lost_redis.kill()
    device.lose()
    lost_redis.start()
    eventually(lambda: alone.registry.backends.tracker.ping() is None)
    assert alone.registry.backends.tracker.status(user) == "online"
    alone.services.retries.flush()
    alone.advance(16)
    assert alone.registry.backends.tracker.status(user) == "offline"


def test_an_application_that_comes_while_redis_is_away_may_try_again(alone, lost_redis):
    app = alone.application()
    cursor = alone.service(app).sent[-1]["cursor"]
    lost_redis.kill()
    channel = alone.service_channel(app)
    assert channel.receive({"action": "auth", "key": app.key, "since": cursor})["errno"] == 201
    lost_redis.start()
    eventually(lambda: alone.registry.backends.tracker.ping() is None)
    assert channel.receive({"action": "auth", "key": app.key, "since": cursor})["recovery"] == "replayed"


def test_notifications_that_wait_while_redis_is_away_are_sent_when_it_is_back(alone, lost_redis, monkeypatch):
    monkeypatch.setattr("dpresence.service.coalescer.RETRY_SECONDS", 0.1)
    app = alone.application()
    puid = alone.grant(ANN, app)
    alone.notify(app, {"puid": puid, "message": "kept"})
    real = alone.registry.backends.mailbox.pending
    away = [True]

    def pending(*arguments):
        if away[0]:
            raise BackendUnavailable
        return real(*arguments)

    monkeypatch.setattr(alone.registry.backends.mailbox, "pending", pending)
    device = alone.channel()
    device.receive({"email": ANN, "assertion": alone.assertion(ANN), "status": "online"})
    assert device.take() == [{"result": "OK"}]
    away[0] = False
    eventually(lambda: device.sent)
    assert device.sent[0]["notifications"][0]["message"] == "kept"


def test_a_full_redis_refuses_updates_says_so_and_damages_no_feed(alone, lost_redis):
    app = alone.application()
    puid = alone.grant(ANN, app)
    device, service = alone.device(ANN), alone.followed(app)
    frames = len(service.sent)
    lost_redis.client.config_set("maxmemory", "1")
    refused = say(device, "unavailable")
    assert (refused["errno"], refused["retry_after"]) == (201, 5)
    answer = alone.browser()("GET", "/__heartbeat__")
    assert (answer.status_int, answer.json) == (503, {"directory": True, "tracker": False, "mailbox": False, "redis": "full"})
    lost_redis.client.config_set("maxmemory", "0")
    eventually(lambda: alone.registry.backends.tracker.ping() is None)
    eventually(lambda: say(device, "unavailable") == {"result": "OK"})
    eventually(lambda: len(service.sent) > frames)
    received = [(entry["puid"], entry["status"]) for frame in service.sent[frames:] for entry in frame["updates"]]
    assert received == [(puid, "unavailable")] and service.code is None
    assert alone.browser()("GET", "/__heartbeat__").json["redis"] == "ok"


def test_a_first_frame_that_is_repeated_as_it_got_no_answer_keeps_its_channel(alone, monkeypatch):
    away = Away(monkeypatch, alone.registry.backends.tracker, "connect", done=True)
    channel = alone.channel()
    assert say(channel, assertion=alone.assertion(ANN), device="phone")["errno"] == 201
    away.back = True
    assert say(channel, assertion=alone.assertion(ANN), device="phone") == {"result": "OK"}
    alone.settle()
    assert say(channel, "unavailable") == {"result": "OK"} and channel.code is None
