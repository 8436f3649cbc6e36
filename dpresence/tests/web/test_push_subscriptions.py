"""Web Push: subscriptions of browsers (docs/protocol.md, section 6)."""
# ruff: noqa: F811 - fixtures are parameters

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.tests.push_service import PushBrowser, PushService
from dpresence.tests.web.pushes import ANN, BOB, HOUR, ann, app, browser, notify, puid, push_service, run, subscribe, subscriptions, world  # noqa: F401
from dpresence.tests.web.support import Browser, World


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
        ({"label": "bank.com"}, "label: 'bank.com' reads as the web address bank.com; if it is none, write a space after the dot"),
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
