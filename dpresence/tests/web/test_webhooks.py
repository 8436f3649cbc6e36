"""Webhooks: what an endpoint is sent, in which order, again after failures, and no longer (docs/protocol.md, section 6)."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from standardwebhooks import Webhook
from standardwebhooks import webhooks as library

from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import App, World, refusal
from dpresence.tests.web.webhook_endpoint import Endpoint, entries, long_leases, report  # noqa: F401 - a fixture

ANN, BOB = "ann@example.org", "bob@example.org"
DAY = 86_400


@pytest.fixture
def endpoint(world: World, app: App) -> Endpoint:
    return Endpoint(world, app)


@pytest.fixture
def quiet(endpoint: Endpoint) -> Endpoint:
    """An endpoint that has had its first snapshot."""
    assert [message["type"] for message in endpoint.take()] == ["presence.snapshot"]
    return endpoint


# -- what the owner may do


def test_the_secret_is_shown_once_and_a_second_put_changes_the_url(world: World, app: App, endpoint: Endpoint) -> None:
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in endpoint.state
    again = endpoint.call("PUT", "", {"url": f"{endpoint.url}/2", "events": ["presence"]})
    assert (again.status_int, again.json["url"], "secret" in again.json) == (200, f"{endpoint.url}/2", False)


@pytest.mark.parametrize("url", ["https://x.example.org/", "http://127.0.0.1:1/", "ftp://{}/", "http://{}/#x", "http://a@{}/", "/x", ""])
def test_a_url_that_is_not_on_the_domain_is_refused(world: World, app: App, url: str) -> None:
    answer = app.owner("PUT", f"/myapps/{app.id}/webhook", {"url": url.format(world.proof.domain)})
    status, body = refusal(answer)
    text = f"url: an http URL on {world.proof.domain}, without user, other port or fragment"
    assert (status, body) == (400, {"result": "KO", "errno": 107, "error": text})


def test_without_a_validated_domain_there_is_no_webhook(world: World) -> None:
    owner = world.person("dev@example.org")
    appid = world.registered(owner)["appid"]
    assert owner("PUT", f"/myapps/{appid}/webhook", {"url": "https://x.example.org/"}).json["errno"] == 140
    for call in ("GET /webhook", "DELETE /webhook", "POST /webhook/secret", "POST /webhook/test"):
        method, _, path = call.partition(" ")
        assert owner(method, f"/myapps/{appid}{path}").json["errno"] == 110
    assert owner("POST", f"/myapps/{appid}/webhook/replay", {"since": None}).json["errno"] == 110
    assert world.person(ANN)("GET", f"/myapps/{appid}/webhook").json["errno"] == 110


def test_an_event_that_is_not_known_is_refused(app: App, endpoint: Endpoint) -> None:
    for events in (["status"], [], ["presence", "outcome", "presence"]):
        answer = endpoint.call("PUT", "", {"url": endpoint.url, "events": events})
        text = f'{"events[0]" if "status" in events else "events"}: one or both of "presence" and "outcome"'
        assert refusal(answer) == (400, {"result": "KO", "errno": 107, "error": text})


# -- messages


def test_a_snapshot_comes_first_and_then_every_update(world: World, app: App, endpoint: Endpoint) -> None:
    assert endpoint.take()[0]["data"] == {"snapshot": [], "last": True, "cursor": endpoint.state["cursor"], "first": True}
    world.grant(ANN, app)
    device = world.device(ANN)
    report(world, device, "unavailable")
    messages = endpoint.take()
    assert entries(messages) == [("offline", "granted"), ("online", "explicit"), ("unavailable", "explicit")]
    assert endpoint.state["cursor"] == messages[-1]["data"]["cursor"]
    assert endpoint.take() == []


def test_a_message_is_signed_as_standard_webhooks_says(world: World, app: App, endpoint: Endpoint) -> None:
    eventually(lambda: endpoint.proof.posted)
    [(headers, body)] = endpoint.proof.posted
    with at_the_time_of(world.clock):
        assert Webhook(endpoint.secret).verify(body, headers)["type"] == "presence.snapshot"
        with pytest.raises(library.WebhookVerificationError):
            Webhook(endpoint.secret).verify(body + b" ", headers)
    assert headers["content-type"] == "application/json"


def at_the_time_of(clock: FakeClock) -> Any:
    class Now(library.datetime):  # type: ignore[misc,valid-type]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(clock.now() / 1000, tz)

    return patch.object(library, "datetime", Now)


@pytest.mark.slow
def test_a_large_snapshot_comes_in_pages_of_100(world: World, app: App, quiet: Endpoint) -> None:
    for number in range(101):
        world.grant(f"u{number}@example.org", app)
    quiet.take()
    quiet.call("POST", "/replay", {"since": None})
    pages = [message["data"] for message in quiet.take()]
    assert [(len(page["snapshot"]), page["last"], "cursor" in page) for page in pages] == [(100, False, False), (1, True, True)]


def test_many_updates_come_in_messages_of_100_in_order(world: World, app: App, quiet: Endpoint) -> None:
    world.grant(ANN, app)
    device = world.device(ANN)
    quiet.proof.answer = (500, "")
    quiet.take()
    for _ in range(130):
        world.clock.advance(2)
        report(world, device, "unavailable", "online")
    quiet.proof.answer = (204, "")
    messages = quiet.take(400) + quiet.take()
    assert [len(message["data"]["updates"]) for message in messages][1:] == [100, 100, 60]
    assert [status for status, _ in entries(messages)][-4:] == ["unavailable", "online"] * 2


# -- failures


def test_a_failed_request_is_sent_again_with_the_same_id_before_anything_else(world: World, app: App, quiet: Endpoint) -> None:
    puid, quiet.proof.answer = world.grant(ANN, app), (500, "")
    first = quiet.take()
    [message_id] = quiet.ids
    device = world.device(ANN)
    assert quiet.take(2) == []
    assert quiet.take(4) == first and quiet.ids == [message_id]
    state = quiet.state
    assert (state["failures"], state["state"], state["log"][0]["error"]) == (2, "on", "status 500")
    assert 300 <= (state["next_attempt_at"] - world.clock.now()) / 1000 <= 330
    quiet.proof.answer = (200, "")
    report(world, device, "unavailable")
    messages = quiet.take(331) + quiet.take()
    assert messages[0] == first[0] and entries(messages) == [("offline", "granted"), ("online", "explicit"), ("unavailable", "explicit")]
    assert quiet.state["failures"] == 0 and quiet.state["next_attempt_at"] is None and puid


@pytest.mark.parametrize("status", [301, 400, 500])
def test_any_other_answer_is_a_failure_and_no_redirect_is_followed(world: World, app: App, quiet: Endpoint, status: int) -> None:
    world.grant(ANN, app)
    quiet.proof.answer = (status, "")
    quiet.take()
    assert (quiet.state["log"][0]["outcome"], quiet.state["log"][0]["status"]) == ("status", status)


def test_an_endpoint_that_is_gone_gets_nothing_more_until_its_owner_turns_it_on(world: World, app: App, quiet: Endpoint) -> None:
    world.grant(ANN, app)
    quiet.proof.answer = (410, "")
    quiet.take()
    assert (quiet.state["state"], quiet.state["reason"]) == ("off", "gone")
    quiet.proof.answer = (204, "")
    assert quiet.take(DAY) == []
    quiet.call("PUT", "", {"url": quiet.url})
    assert quiet.take() != [] and quiet.state["state"] == "on"


def test_five_days_of_failures_turn_it_off(world: World, app: App, quiet: Endpoint) -> None:
    world.grant(ANN, app)
    quiet.proof.answer = (500, "")
    attempts = sum(len(quiet.take(3600)) for _ in range(24 * 7))
    assert quiet.state["reason"] == "failing"
    assert 5 * DAY * 1000 <= world.clock.now() - quiet.state["failing_since"] < 7 * DAY * 1000
    assert 10 <= attempts <= 13


def test_after_the_hour_of_the_feed_a_snapshot_follows(world: World, app: App, quiet: Endpoint) -> None:
    world.grant(ANN, app)
    quiet.proof.answer = (500, "")
    quiet.take()
    quiet.take(400)
    world.advance(4000)
    world.services.feeds.sweep()
    quiet.proof.answer = (204, "")
    assert [message["type"] for message in quiet.take(4000)] == ["presence.snapshot"]


def test_a_grant_revoked_meanwhile_is_only_sent_as_revoked(world: World, app: App, quiet: Endpoint) -> None:
    puid, quiet.proof.answer = world.grant(ANN, app), (500, "")
    world.device(ANN)
    assert entries(quiet.take())
    world.person(ANN)("DELETE", f"/grant/{app.id}")
    quiet.proof.answer = (204, "")
    messages = quiet.take(10)
    assert [(entry["puid"], entry["reason"]) for message in messages for entry in message["data"]["updates"]] == [(puid, "revoked")]


# -- ends and changes


def test_nothing_is_sent_while_the_application_is_not_active(world: World, app: App, quiet: Endpoint) -> None:
    app.owner("POST", f"/myapps/{app.id}/deactivate")
    assert quiet.take(60) == []
    app.owner("POST", f"/myapps/{app.id}/activate")
    world.grant(ANN, app)
    assert entries(quiet.take(60)) == [("offline", "granted")]


def test_a_deleted_webhook_and_a_new_domain_end_it(world: World, app: App, quiet: Endpoint) -> None:
    world.grant(ANN, app)
    assert quiet.call("DELETE").status_int == 204
    assert quiet.take() == [] and quiet.call("GET").json["errno"] == 110
    again = Endpoint(world, app)
    app.owner("PATCH", f"/myapps/{app.id}", {"domain": world.proof.other_domain})
    assert again.call("GET").json["errno"] == 110


def test_a_new_secret_and_the_previous_one_sign_for_a_day(world: World, app: App, quiet: Endpoint) -> None:
    fresh = quiet.call("POST", "/secret").json["secret"]
    for seconds, keys in ((0, [fresh, quiet.secret]), (DAY + 1, [fresh])):
        world.advance(seconds)
        quiet.call("POST", "/test")
        [(headers, body)] = quiet.proof.posted[-1:]
        assert len(headers["webhook-signature"].split()) == len(keys)
        with at_the_time_of(world.clock):
            for key in keys:
                Webhook(key).verify(body, headers)


def test_a_replay_sends_what_follows_a_cursor_again_under_other_ids(world: World, app: App, quiet: Endpoint) -> None:
    cursor = quiet.state["cursor"]
    world.grant(ANN, app)
    first = quiet.take()
    ids = quiet.ids
    assert quiet.call("POST", "/replay", {"since": cursor}).json["cursor"] == cursor
    assert quiet.take() == first and quiet.ids != ids
    quiet.call("POST", "/replay", {"since": "nonsense"})
    assert [message["type"] for message in quiet.take()] == ["presence.snapshot"]


def test_a_test_says_what_became_of_it_and_brings_what_waits(world: World, app: App, quiet: Endpoint) -> None:
    world.grant(ANN, app)
    quiet.proof.answer = (500, "")
    quiet.take()
    quiet.proof.posted.clear()
    failed = quiet.call("POST", "/test").json
    assert (failed["type"], failed["outcome"], failed["status"], failed["error"]) == ("webhook.test", "status", 500, "status 500")
    quiet.proof.answer = (204, "")
    assert quiet.call("POST", "/test").json["outcome"] == "delivered"
    assert [message["type"] for message in quiet.take(1.1)][-1] == "presence.updates"
    for _ in range(8):
        quiet.call("POST", "/test")
    assert quiet.call("POST", "/test").json["errno"] == 117


def test_updates_of_a_second_come_together(world: World, app: App, quiet: Endpoint) -> None:
    world.grant(ANN, app)
    device = world.device(ANN)
    quiet.take()
    report(world, device, "unavailable")
    assert quiet.take(0) == [], "less than a second after the previous message"
    report(world, device, "online", "offline")
    assert quiet.take(0.5) == []
    [message] = quiet.take(1)
    assert entries([message]) == [("unavailable", "explicit"), ("online", "explicit"), ("offline", "explicit")]


def test_the_log_has_the_attempts_without_users(world: World, app: App, quiet: Endpoint) -> None:
    puid = world.grant(ANN, app)
    quiet.take()
    log = quiet.state["log"]
    assert [(entry["type"], entry["outcome"], entry["entries"]) for entry in log] == [
        ("presence.updates", "delivered", 1),
        ("presence.snapshot", "delivered", 0),
    ]
    assert log[0]["since"] and log[1]["since"] is None and puid not in json.dumps(quiet.state)
