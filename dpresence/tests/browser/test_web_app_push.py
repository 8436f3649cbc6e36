"""Pushes to My presence as an app, and the subscriptions of a browser (docs/pages.md)."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
import requests

from dpresence.tests.live.clients import Application, Person
from dpresence.tests.live.service import Service

from .accessibility import Axe
from .conftest import STATIC
from .support import WAIT_SECONDS, Browser
from .web_app import SHOWN, SUBSCRIBING, application, debugged, deliver, evaluate, notify, service, sue, turn_on

__all__ = ["application", "service", "sue"]

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ICONS = """
    const [done] = arguments;
    navigator.serviceWorker.ready.then((it) => it.getNotifications())
      .then((all) => done(Object.fromEntries(all.map(({ tag, icon }) => [tag, icon]))));
"""


@pytest.mark.parametrize("options", [{}, {"outcome": True}], ids=["plain", "with its outcome"])
def test_a_push_is_shown_and_opens_its_notification_as_read(
    sue: Person, service: Service, application: Application, browser: Browser, options: dict[str, object]
) -> None:
    sent = notify(application, sue, **options)
    domain = application.domain
    pushed = {"id": sent, "domain": domain, "site": domain, "source": "Chess club", "message": "Your move", "action": ""}
    assert deliver(browser, service.origin, pushed) == [f"{domain}: \u2068Chess club\u2069", f"{application.domain}\nYour move"]
    browser.open("about:blank")
    browser.open(f"{service.origin}/sidebar#{sent}")
    browser.wait(lambda it: it.count("#notifications li") == 1 and it.run("return document.activeElement.id") == sent)
    assert sue.call("GET", "/notifications")["unread"] == 0 and browser.url == f"{service.origin}/sidebar"


def test_a_notification_read_on_another_device_is_closed_by_the_next_push_and_by_the_page(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    turn_on(sue, browser)
    browser.open(f"{service.origin}/")
    one, two, three = (notify(application, sue) for _ in range(3))
    deliver(browser, service.origin, {"id": one})
    deliver(browser, service.origin, {"id": two})
    sue.call("POST", "/notifications/read", {"notifications": [one]})
    deliver(browser, service.origin, {"id": three})
    assert set(browser.run_async(SHOWN)) == {two, three}
    sue.call("POST", "/notifications/read", {"notifications": [two]})
    browser.open(f"{service.origin}/sidebar")
    browser.wait(lambda it: set(it.run_async(SHOWN)) == {three} and it.count("#notifications li") == 3)
    sue.call("POST", "/notifications/read", {"notifications": [three]})
    browser.wait(lambda it: it.run_async(SHOWN) == {})


def test_a_push_without_its_content_is_completed_from_the_inbox(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    sent = notify(application, sue)
    assert deliver(browser, service.origin, {"id": sent}) == [
        f"{application.domain}: \u2068Chess club\u2069",
        f"{application.domain}\nYour move",
    ]


def test_a_push_has_the_icon_of_its_application_or_that_of_the_service(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    plain = notify(application, sue)
    deliver(browser, service.origin, {"id": plain})
    url, headers = f"{service.origin}/myapps/{application.appid}/icon", {"Content-Type": "image/png"}
    headers["Authorization"] = f"BrowserID {application.owner.assertion()}"
    requests.put(url, (STATIC / "icon-192.png").read_bytes(), headers=headers, timeout=WAIT_SECONDS).raise_for_status()
    pictured = notify(application, sue)
    deliver(browser, service.origin, {"id": pictured})
    application.owner.call("DELETE", f"/myapps/{application.appid}/icon")
    icons = browser.run_async(ICONS)
    assert icons == {plain: f"{service.origin}/static/icon-192.png", pictured: f"{service.origin}/icons/{application.appid}"}


def test_push_is_turned_on_and_off_for_this_browser_and_for_an_application(
    sue: Person, service: Service, application: Application, browser: Browser, axe: Axe
) -> None:
    browser.click("Notify this browser while the page is closed")
    browser.wait(lambda it: it.count("#push-browsers li") == 1)
    [mine] = sue.call("GET", "/push")["subscriptions"]
    assert mine["label"].startswith("Chrome") and mine["label"] in browser.find("#push-browsers").text
    assert sue.call("GET", "/grants")["grants"][0]["push"] is False
    browser.click_on("#grants input[type=checkbox]")
    browser.wait(lambda _: sue.call("GET", "/grants")["grants"][0]["push"])
    axe.check(browser, "sidebar-push")
    browser.click("Stop notifying this browser while the page is closed")
    browser.wait(lambda it: it.count("#push-browsers li") == 0 and sue.call("GET", "/push")["subscriptions"] == [])
    assert browser.console() == []


def test_a_subscription_of_another_browser_is_ended_from_here(sue: Person, service: Service, browser: Browser) -> None:
    key = sue.call("GET", "/push")["key"]
    body = {"endpoint": "https://fcm.googleapis.com/2", "keys": {"p256dh": key, "auth": "A" * 22}, "key": key, "label": "Firefox on Linux"}
    sue.call("PUT", "/push", body)
    browser.open(f"{service.origin}/sidebar")
    browser.wait(lambda it: it.count("#push-browsers li") == 1)
    browser.click("Stop notifying Firefox on Linux")
    browser.click("Cancel")
    assert len(sue.call("GET", "/push")["subscriptions"]) == 1
    browser.click("Stop notifying Firefox on Linux")
    browser.confirm()
    browser.wait(lambda it: it.count("#push-browsers li") == 0 and sue.call("GET", "/push")["subscriptions"] == [])


RENEWED = """
    const renewed = "https://fcm.googleapis.com/fcm/send/2", keys = { p256dh: KEY, auth: "A".repeat(22) };
    PushManager.prototype.subscribe = async () => ({ toJSON: () => ({ endpoint: renewed, keys }) });
    const change = Object.assign(new ExtendableEvent("pushsubscriptionchange"), { oldSubscription: { endpoint: ENDED } });
    dispatchEvent(change);
"""


def renew(browser: Browser, person: Person, ended: str) -> None:
    """Have the browser replace a subscription that it has ended."""
    key = person.call("GET", "/push")["key"]
    with closing(debugged(browser, "service_worker")) as worker:
        evaluate(worker, RENEWED.replace("KEY", json.dumps(key)).replace("ENDED", json.dumps(ended)))


def test_a_subscription_that_the_browser_replaces_is_replaced_at_the_service(sue: Person, browser: Browser) -> None:
    turn_on(sue, browser)
    [first] = sue.call("GET", "/push")["subscriptions"]
    browser.open("about:blank")
    renew(browser, sue, first["endpoint"])
    browser.wait(lambda _: subscriptions(sue) == ["https://fcm.googleapis.com/fcm/send/2"])
    assert sue.call("GET", "/push")["subscriptions"][0]["label"] == first["label"]


def test_a_browser_that_was_stopped_elsewhere_meanwhile_is_stopped_here_too(sue: Person, service: Service, browser: Browser) -> None:
    turn_on(sue, browser)
    [mine] = sue.call("GET", "/push")["subscriptions"]
    sue.call("DELETE", f"/push/{mine['id']}")
    browser.click("Stop notifying this browser while the page is closed")
    browser.wait(lambda it: it.count("#push-browsers li") == 0 and it.find("#push").text == "Notify this browser while the page is closed")
    assert browser.find("#alert").text == ""


@pytest.mark.parametrize("days", [0, 91])
def test_a_browser_that_was_stopped_elsewhere_stays_so_when_its_page_opens_unless_its_time_was_over(
    days: int, sue: Person, service: Service, browser: Browser
) -> None:
    turn_on(sue, browser)
    [mine] = sue.call("GET", "/push")["subscriptions"]
    sue.call("DELETE", f"/push/{mine['id']}")
    browser.begin_pages_with(f"{SUBSCRIBING}; const now = Date.now; Date.now = () => now() + {days} * 86400000;")
    browser.open(f"{service.origin}/sidebar")
    words = "Stop notifying this browser" if days else "Notify this browser"
    browser.wait(lambda it: it.find("#push").text == f"{words} while the page is closed")
    assert subscriptions(sue) == [mine["endpoint"]] * bool(days)
    assert (browser.run("return localStorage.getItem('subscribed')") is None) == (not days)


def test_a_browser_that_has_subscribed_with_a_replaced_key_subscribes_again(sue: Person, service: Service, browser: Browser) -> None:
    turn_on(sue, browser)
    [mine] = sue.call("GET", "/push")["subscriptions"]
    sue.call("DELETE", f"/push/{mine['id']}")  # as the service does with a key that it does not know any more
    browser.run("localStorage.setItem('subscribed', 'AAAA')")
    browser.open(f"{service.origin}/sidebar")
    browser.wait(lambda it: it.find("#push").text.startswith("Stop") and subscriptions(sue) == [mine["endpoint"]])


def subscriptions(person: Person) -> list[str]:
    return [one["endpoint"] for one in person.call("GET", "/push")["subscriptions"]]


@pytest.mark.parametrize("page", ["/", "/sidebar"])
def test_nobody_else_who_signs_in_is_shown_what_is_pushed_to_the_person_before(
    page: str, sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    turn_on(sue, browser)
    deliver(browser, service.origin, {"id": notify(application, sue)})
    browser.cdp("Network.clearBrowserCookies")  # the end of the session by time
    browser.enter(service.origin, "next@example.org", page)
    browser.wait(lambda it: it.run("return localStorage.getItem('subscribed')") is None and it.run_async(SHOWN) == {})
    browser.wait(lambda _: subscriptions(sue) == [])
    assert subscriptions(Person(service.origin, "next@example.org")) == []


def test_the_same_person_who_signs_in_again_stays_notified(sue: Person, service: Service, browser: Browser) -> None:
    turn_on(sue, browser)
    browser.cdp("Network.clearBrowserCookies")
    browser.enter(service.origin, sue.email, "/sidebar")
    browser.wait(lambda it: it.count("#push-browsers li") == 1 and it.find("#push").text.startswith("Stop"))
    assert len(subscriptions(sue)) == 1


def test_a_sign_out_ends_also_a_subscription_that_an_earlier_session_has_stored(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    turn_on(sue, browser)
    browser.cdp("Network.clearBrowserCookies")
    browser.enter(service.origin, sue.email, "/")
    deliver(browser, service.origin, {"id": notify(application, sue)})
    browser.click("Sign out")
    browser.wait(lambda it: it.text().count("You are signed out.") == 1)
    assert subscriptions(sue) == []
    assert browser.run("return localStorage.getItem('subscribed')") is None and browser.run_async(SHOWN) == {}
