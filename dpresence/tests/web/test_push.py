"""Web Push: who is pushed what, and when not (docs/protocol.md, section 6)."""
# ruff: noqa: F811 - fixtures are parameters

from __future__ import annotations

from typing import Any

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.tests.push_service import PushBrowser, PushService
from dpresence.tests.web.pushes import ANN, BOB, HOUR, ann, app, browser, notify, puid, push_service, run, subscribe, subscriptions, world  # noqa: F401
from dpresence.tests.web.support import App, Browser, World, seen

# -- what is pushed


def test_a_notification_is_pushed_encrypted_to_each_browser(
    world: World, app: App, puid: str, ann: Browser, browser: PushBrowser, push_service: PushService
) -> None:
    other = subscribe(ann, push_service.browser("two"))
    [sent] = notify(world, app, puid, "Your move", action="open", ttl=600)
    run(world)
    run(world, 60)
    [got] = browser.received
    headers, domain = got.pop("headers"), world.proof.domain
    assert got.pop("size") == 512 and got == {
        **{"id": sent, "appid": app.id, "domain": domain, "site": domain, "source": "Chess", "message": "Your move", "action": "open"},
        "sent": world.clock.now() - 63_000,
    }
    assert (headers["TTL"], headers["Topic"], headers["Content-Encoding"]) == ("597", sent, "aes128gcm")
    assert other.messages == ["Your move"]


def test_urgency_and_topic_are_those_of_the_push_service(world: World, app: App, puid: str, browser: PushBrowser) -> None:
    for urgency in ("very-low", "low", "high"):
        notify(world, app, puid, urgency, urgency=urgency)
        run(world)
    for text in ("3:1", "3:2"):
        notify(world, app, puid, text, topic="score")
        run(world)
    assert browser.messages == ["high", "3:1", "3:2"]
    headers = [one["headers"] for one in browser.received]
    assert [one["Urgency"] for one in headers] == ["high", "normal", "normal"]
    assert headers[1]["Topic"] == headers[2]["Topic"] and len(headers[1]["Topic"]) == 32 and "score" not in headers[1]["Topic"]


def test_a_cancelled_or_replaced_one_is_not_pushed(world: World, app: App, puid: str, browser: PushBrowser) -> None:
    [sent] = notify(world, app, puid, "wrong")
    for text in ("3:1", "3:2"):
        notify(world, app, puid, text, topic="score")
    world.browser()("DELETE", f"/myapps/{app.id}/notifications/{sent}?puid={puid}", Authorization=f"Bearer {app.key}")
    run(world)
    assert browser.messages == ["3:2"]


def test_a_large_one_says_only_that_there_is_a_notification(world: World, app: App, puid: str, browser: PushBrowser) -> None:
    [sent] = notify(world, app, puid, "\N{GRINNING FACE}" * 512, source="\N{GRINNING FACE}" * 254)
    run(world)
    [got] = browser.received
    assert {**got, "headers": 0} == {"id": sent, "headers": 0, "size": 512}


def test_every_grant_is_without_pushes_until_its_user_allows_them(world: World, app: App, ann: Browser, browser: PushBrowser) -> None:
    puid = world.grant(ANN, app)
    assert ann("GET", "/grants").json["grants"][0]["push"] is False
    notify(world, app, puid, "before")
    assert ann("PATCH", f"/grant/{app.id}", {"push": True}).json["push"] is True
    notify(world, app, puid, "allowed")
    run(world)
    notify(world, app, puid, "taken back")
    ann("PATCH", f"/grant/{app.id}", {"push": False})
    run(world)
    assert browser.messages == ["allowed"]


@pytest.mark.parametrize("more", [{"ttl": 0}, {"ttl": 5}])
def test_a_notification_that_expires_at_once_is_not_pushed(
    world: World, app: App, puid: str, browser: PushBrowser, more: dict[str, int]
) -> None:
    notify(world, app, puid, "now or never", **more)
    run(world)
    assert browser.messages == []


def test_nobody_looks_online_because_of_a_subscription(world: World, app: App, puid: str, ann: Browser, browser: PushBrowser) -> None:
    [answer] = world.notify(app, {"puid": puid, "message": "Your move"})
    run(world)
    assert browser.messages == ["Your move"] and answer["delivered"] is False
    assert ann("GET", "/status").json["status"] == "offline" and ann("GET", "/devices").json["devices"] == []
    assert seen(world, app) == "offline"
    assert world.notify(app, {"puid": puid, "message": "again"})[0]["queue_size"] == 2


# -- when nothing is pushed


def test_a_device_gets_it_instead_and_a_push_follows_if_it_is_gone_before(world: World, app: App, puid: str, browser: PushBrowser) -> None:
    device = world.device(ANN, "offline", ack=True)
    [first, _] = notify(world, app, puid, "acknowledged", "never acknowledged")
    world.settle()
    device.receive({"action": "ack", "notifications": [first]})
    run(world)
    assert browser.messages == []
    device.lose()
    run(world, 10)
    run(world, 60)
    run(world, 60)
    assert browser.messages == ["never acknowledged"]


def test_a_notification_that_a_device_has_acknowledged_is_looked_at_once(world: World, app: App, puid: str, browser: PushBrowser) -> None:
    device = world.device(ANN, ack=True)
    [id_] = notify(world, app, puid, "acknowledged")
    world.settle()
    device.receive({"action": "ack", "notifications": [id_]})
    run(world)
    world.advance(HOUR)
    assert not world.registry.backends.directory.pushes_due() and browser.messages == []


def test_during_a_pause_and_quiet_hours_pushes_wait(world: World, app: App, puid: str, ann: Browser, browser: PushBrowser) -> None:
    ann("PATCH", f"/grant/{app.id}", {"paused": True})
    notify(world, app, puid, "in the pause")
    run(world)
    ann("PUT", "/hours", {"zone": "UTC", "weekly": [{"days": ["sun", "mon"], "from": "00:00", "to": "24:00"}]})
    ann("PATCH", f"/grant/{app.id}", {"paused": False})
    run(world)
    assert browser.messages == []
    ann("DELETE", "/hours")
    run(world)
    assert browser.messages == ["in the pause"]


def test_no_more_than_the_limit_are_pushed_in_an_hour(world: World, app: App, puid: str, browser: PushBrowser) -> None:
    notify(world, app, puid, *"12345")
    run(world)
    notify(world, app, puid, "6")
    run(world)
    assert sorted(browser.messages) == ["3", "4", "5"]
    world.advance(HOUR)
    notify(world, app, puid, "7")
    run(world)
    assert "7" in browser.messages and "6" not in browser.messages


def test_a_revoked_grant_pushes_nothing(world: World, app: App, puid: str, ann: Browser, browser: PushBrowser) -> None:
    notify(world, app, puid, "too late")
    ann("DELETE", f"/grant/{app.id}")
    run(world)
    assert browser.messages == []


# -- push services


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_has_ended_is_deleted(
    world: World, app: App, puid: str, ann: Browser, browser: PushBrowser, status: int
) -> None:
    browser.answers = [(status, {})]
    notify(world, app, puid, "Your move")
    run(world)
    assert subscriptions(ann) == []


@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_service_is_asked_again_when_it_says(
    world: World, app: App, puid: str, ann: Browser, browser: PushBrowser, push_service: PushService, status: int
) -> None:
    other = subscribe(ann, push_service.browser("two"))
    browser.answers = [(status, {"Retry-After": "300"})]
    notify(world, app, puid, "Your move")
    run(world)
    run(world, 290)
    assert browser.messages == [] and other.messages == ["Your move"]
    run(world, 15)
    assert browser.messages == other.messages == ["Your move"]


def test_it_is_not_asked_again_after_the_notification_has_expired(world: World, app: App, puid: str, browser: PushBrowser) -> None:
    browser.answers = [(503, {})]
    notify(world, app, puid, "Your move", ttl=20)
    run(world)
    run(world, 120)
    assert browser.messages == [] and not browser.answers


def test_a_refusal_is_not_repeated(world: World, app: App, puid: str, ann: Browser, browser: PushBrowser) -> None:
    browser.answers = [(403, {})]
    notify(world, app, puid, "Your move")
    run(world)
    run(world, 3600)
    assert browser.messages == [] and subscriptions(ann) == ["Chrome"]


# -- several processes, and one that dies


def test_a_push_of_a_process_that_died_is_sent_by_another_with_the_same_topic(
    world: World, app: App, puid: str, browser: PushBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(world, app, puid, "Your move")
    world.advance(3)
    with monkeypatch.context() as killed:
        killed.setattr(world.registry.backends.directory, "record_push_attempt", lambda *_, **__: None)
        run(world, 0)
    run(world, 30)
    assert browser.messages == ["Your move"]
    run(world, 31)
    assert browser.messages == ["Your move"] * 2 and len({one["headers"]["Topic"] for one in browser.received}) == 1
    run(world, 120)
    assert len(browser.messages) == 2


def test_a_push_whose_processes_all_die_is_sent_eight_times_at_most(
    world: World, app: App, puid: str, browser: PushBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(world, app, puid, "Your move")
    run(world, 0)
    with monkeypatch.context() as killed:
        killed.setattr(world.registry.backends.directory, "record_push_attempt", lambda *_, **__: None)
        for _ in range(10):
            run(world, 61)
    assert len(browser.messages) == 8
    run(world, 61)
    assert not world.registry.backends.directory.pushes_due()


@pytest.mark.parametrize("write", ["record_push_attempt", "remove_push_subscription", "hold_outcome"])
def test_what_was_accepted_is_not_pushed_again_after_a_write_of_the_results_that_failed(
    world: World,
    app: App,
    puid: str,
    ann: Browser,
    browser: PushBrowser,
    push_service: PushService,
    monkeypatch: pytest.MonkeyPatch,
    write: str,
) -> None:
    subscribe(ann, push_service.browser("two")).answers = [(410, {})]
    notify(world, app, puid, "Your move", outcome=True)
    world.advance(3)
    with monkeypatch.context() as away:
        away.setattr(world.registry.backends.directory, write, unavailable)
        run(world, 0)
    world.services.retries.flush()
    run(world, 61)
    assert browser.messages == ["Your move"]


def test_a_push_that_could_not_be_looked_at_is_pushed_once_that_is_possible(
    world: World, app: App, puid: str, browser: PushBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(world, app, puid, "Your move")
    run(world, 0)
    with monkeypatch.context() as away:
        away.setattr(world.registry.backends.mailbox, "pending", unavailable)
        for _ in range(10):
            run(world, 61)
    run(world, 61)
    assert browser.messages == ["Your move"]


def unavailable(*_: Any, **__: Any) -> None:
    raise BackendUnavailable
