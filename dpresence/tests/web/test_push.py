"""Web Push: who is pushed what, and when not (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dpresence.tests.push_service import PushBrowser, PushService, key_file
from dpresence.tests.web.support import App, Browser, World, seen

ANN, BOB = "ann@example.org", "bob@example.org"
HOUR = 3600


@pytest.fixture(scope="module")
def push_service() -> Iterator[PushService]:
    service = PushService()
    yield service
    service.close()


@pytest.fixture
def world(make_world: Callable[..., World], tmp_path: Any) -> World:
    return make_world(push__key_file=key_file(tmp_path), push__pushes_per_hour="3")


@pytest.fixture
def app(world: World) -> App:
    return world.application()


@pytest.fixture
def puid(world: World, app: App) -> str:
    """The PUID of a grant that allows pushes."""
    puid = world.grant(ANN, app)
    world.person(ANN)("PATCH", f"/grant/{app.id}", {"push": True})
    return puid


@pytest.fixture
def ann(world: World) -> Browser:
    return world.person(ANN)


@pytest.fixture
def browser(ann: Browser, push_service: PushService) -> PushBrowser:
    return subscribe(ann, push_service.browser())


def subscribe(person: Browser, browser: PushBrowser) -> PushBrowser:
    answer = person("PUT", "/push", browser.body(person("GET", "/push").json["key"]))
    assert answer.status_int == 200, answer.json
    return browser


def notify(world: World, app: App, puid: str, *messages: str, **more: Any) -> list[str]:
    return [one["id"] for one in world.notify(app, *[{"puid": puid, "message": message, **more} for message in messages])]


def run(world: World, seconds: float = 3) -> None:
    """Let time pass and send what is due."""
    world.advance(seconds)
    world.services.pushes.run()
    world.services.pushes._pool.join()


def subscriptions(person: Browser) -> list[str | None]:
    return [one["label"] for one in person("GET", "/push").json["subscriptions"]]


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
def test_what_expires_at_once_is_not_pushed(world: World, app: App, puid: str, browser: PushBrowser, more: dict[str, int]) -> None:
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
        killed.setattr(world.registry.backends.directory, "record_push_outcome", lambda *_, **__: None)
        run(world, 0)
    run(world, 30)
    assert browser.messages == ["Your move"]
    run(world, 31)
    assert browser.messages == ["Your move"] * 2 and len({one["headers"]["Topic"] for one in browser.received}) == 1
    run(world, 120)
    assert len(browser.messages) == 2


# -- subscriptions


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"endpoint": "https://evil.example.org/1"}, "endpoint: an https URL of a push service that this service knows"),
        ({"endpoint": "http://fcm.googleapis.com/1"}, "endpoint: an https URL of a push service that this service knows"),
        ({"endpoint": "https://fcm.googleapis.com:8443/1"}, "endpoint: an https URL of a push service that this service knows"),
        ({"endpoint": "https://notfcm.googleapis.com/1"}, "endpoint: an https URL of a push service that this service knows"),
        ({"endpoint": "https://a@fcm.googleapis.com/"}, "endpoint: not an http(s) URL in ASCII without a user name"),
        ({"key": "AAAA"}, "key: the `key` of GET /push"),
        ({"keys": {"p256dh": "AAAA", "auth": "A" * 22}}, "keys.p256dh: a point of P-256, uncompressed, in base64url"),
        ({"keys": {"p256dh": "B" + "A" * 86, "auth": "A" * 22}}, "keys.p256dh: a point of P-256, uncompressed, in base64url"),
        ({"label": "bank.com"}, "label: may not contain a web address"),
    ],
)
def test_a_subscription_that_cannot_be_used_is_refused(ann: Browser, push_service: PushService, change: dict[str, Any], error: str) -> None:
    body = push_service.browser().body(ann("GET", "/push").json["key"])
    answer = ann("PUT", "/push", {**body, **change})
    assert (answer.status_int, answer.json) == (400, {"result": "KO", "errno": 107, "error": error})
    assert ann("PUT", "/push", {**body, "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/x"}).status_int == 200


def test_its_user_sees_it_and_ends_it(world: World, ann: Browser, browser: PushBrowser) -> None:
    [mine] = ann("GET", "/push").json["subscriptions"]
    assert mine["endpoint"] == browser.endpoint and mine["created_at"] == world.clock.now()
    assert ann("GET", "/account").json["push_subscriptions"] == [mine]
    assert world.person(BOB)("DELETE", f"/push/{mine['id']}").json["errno"] == 110
    assert ann("DELETE", f"/push/{mine['id']}").status_int == 204 and subscriptions(ann) == []
    assert ann("DELETE", f"/push/{mine['id']}").json["errno"] == 110


def test_it_ends_with_the_sign_out_of_its_browser_and_not_with_that_of_another(world: World, ann: Browser, browser: PushBrowser) -> None:
    elsewhere = world.person(ANN)
    elsewhere("POST", "/logout")
    assert subscriptions(ann) == ["Chrome"]
    ann("POST", "/logout")
    assert subscriptions(world.person(ANN)) == []


def test_a_service_without_keys_pushes_nothing_and_says_so(make_world: Callable[..., World], push_service: PushService) -> None:
    world = make_world()
    ann = world.person(ANN)
    assert ann("GET", "/push").json == {"key": None, "subscriptions": []}
    assert ann("PUT", "/push", push_service.browser().body("AAAA")).json["errno"] == 122
    app = world.application()
    notify(world, app, world.grant(ANN, app), "Your move")
    run(world)
