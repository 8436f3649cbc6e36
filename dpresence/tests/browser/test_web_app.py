"""My presence as an app: its service worker, the page for outages, new versions, and pushes (docs/pages.md)."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import requests
import websocket

from dpresence.tests.live.clients import Application, Person, activate
from dpresence.tests.live.service import Service, Site, running
from dpresence.tests.push_service import key_file

from .accessibility import Axe
from .conftest import STATIC
from .support import WAIT_SECONDS, Browser

pytestmark = pytest.mark.browser

ACTIVE = """
    const [done] = arguments;
    navigator.serviceWorker.ready.then(({ active }) => {
      const look = () => active.state === "activated" ? done(true) : setTimeout(look, 50);
      look();
    });
"""
SHOWN = """
    const [done] = arguments;
    navigator.serviceWorker.ready.then((it) => it.getNotifications())
      .then((all) => done(Object.fromEntries(all.map(({ title, body, tag }) => [tag, [title, body]]))));
"""
ICONS = """
    const [done] = arguments;
    navigator.serviceWorker.ready.then((it) => it.getNotifications())
      .then((all) => done(Object.fromEntries(all.map(({ tag, icon }) => [tag, icon]))));
"""
# Chromium subscribes at a server of Google, which cannot be reached here; the endpoint is one that the service accepts, and is never used.
SUBSCRIBING = """
    const decoded = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (it) => it.charCodeAt(0)).buffer;
    const endpoint = "https://fcm.googleapis.com/fcm/send/1";
    const subscription = (key) => key && ({
      endpoint,
      options: { applicationServerKey: decoded(key) },
      toJSON: () => ({ endpoint, keys: { p256dh: key, auth: "A".repeat(22) } }),
      unsubscribe: async () => localStorage.removeItem("subscribed") ?? true,
    });
    PushManager.prototype.getSubscription = async () => subscription(localStorage.getItem("subscribed"));
    PushManager.prototype.subscribe = async ({ applicationServerKey: key }) => localStorage.setItem("subscribed", key) ?? subscription(key);
"""
# The service worker has no page in which a script could run before it.
WORKER_SUBSCRIBED = """
    PushManager.prototype.getSubscription = async () => ({
      endpoint: "https://fcm.googleapis.com/fcm/send/1", unsubscribe: async () => (globalThis.unsubscribed = true),
    })
"""
HASTY = """
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    AbortSignal.timeout = () => timeout(100);
"""
REGISTRATIONS = 200
"""Ids of registrations of service workers that are tried: the DevTools protocol names them in events only, which WebDriver lacks."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with keys for Web Push."""
    folder = tmp_path_factory.mktemp("app")
    with running(folder, push__key_file=key_file(folder)) as service:
        yield service


@pytest.fixture(scope="module")
def application(service: Service) -> Iterator[Application]:
    with Site("localhost") as site:
        yield activate(service.origin, site, "owner@example.org", "Chess club")


@pytest.fixture
def sue(service: Service, application: Application, browser: Browser, request: pytest.FixtureRequest) -> Person:
    """Somebody who has My presence open, with an active service worker, and whose browser allows notifications."""
    name = request.node.name
    person = Person(service.origin, re.sub(r"\W", "-", f"{name[5:30]}{name[-9:-1]}") + "@example.org")
    person.grant(application)
    browser.begin_pages_with(SUBSCRIBING)
    browser.enter(service.origin, person.email, "/sidebar")
    browser.allow("notifications")
    browser.open(f"{service.origin}/sidebar")
    assert browser.run_async(ACTIVE)
    browser.wait(lambda it: it.find("#connection").text == "Connected" and it.count("#grants > li") == 1)
    return person


def notify(application: Application, person: Person) -> str:
    """Send a notification; return its id."""
    with application.service() as service:
        return str(service.notify({"puid": person.grant(application), "message": "Your move"})[0]["id"])


def push(browser: Browser, origin: str, content: dict[str, str]) -> None:
    """Hand a push to the service worker, as a browser does that has decrypted it."""
    browser.cdp("ServiceWorker.enable")
    for number in range(REGISTRATIONS):
        browser.cdp("ServiceWorker.deliverPushMessage", origin=origin, registrationId=str(number), data=json.dumps(content))


def deliver(browser: Browser, origin: str, content: dict[str, str]) -> list[str]:
    """Hand a push to the service worker; return title and text that are shown."""
    push(browser, origin, content)
    browser.wait(lambda it: content["id"] in it.run_async(SHOWN))
    found: list[str] = browser.run_async(SHOWN)[content["id"]]
    return found


def test_the_app_can_be_installed_and_its_policy_refuses_nothing(sue: Person, service: Service, browser: Browser) -> None:
    assert browser.cdp("Page.getInstallabilityErrors")["installabilityErrors"] in ([], [{"errorId": "in-incognito", "errorArguments": []}])
    manifest = json.loads(browser.cdp("Page.getAppManifest")["data"])
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/sidebar", "/", "standalone")
    browser.run("const it = new Event('beforeinstallprompt'); it.prompt = async () => (document.title = 'asked'); dispatchEvent(it)")
    browser.click("Install as an app")
    browser.wait(lambda it: it.title == "asked" and not it.find("#install").is_displayed())
    assert browser.console() == []


def test_an_outage_shows_a_page_that_says_so_and_leads_back(sue: Person, service: Service, browser: Browser, axe: Axe) -> None:
    service.stop()
    try:
        browser.open(f"{service.origin}/sidebar")
        assert browser.find("h1").text == "The service cannot be reached" and sue.email not in browser.text()
        assert browser.run("return document.styleSheets[0].cssRules.length") > 50
        axe.check(browser, "offline")
    finally:
        service.start()
    browser.click("Try again")
    browser.wait(lambda it: it.count("#connection") == 1 and it.find("#connection").text == "Connected")
    browser.console()


def test_a_new_version_takes_over_when_its_user_wants_it(sue: Person, browser: Browser) -> None:
    browser.open(browser.url)
    browser.wait(lambda it: it.run("return Boolean(navigator.serviceWorker.controller)"))
    browser.run("window.before = true; navigator.serviceWorker.dispatchEvent(new Event('controllerchange'))")
    browser.click("Reload")
    browser.wait(lambda it: it.run("return !window.before") and it.find("#connection").text == "Connected")
    browser.console()


def test_a_push_is_shown_and_opens_its_notification_as_read(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    sent = notify(application, sue)
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


@contextmanager
def hanging(service: Service, browser: Browser) -> Iterator[None]:
    """Have the service accept connections and answer none; the time limits of the service worker pass at once."""
    with closing(worker_of(browser)) as worker:
        evaluate(worker, HASTY)
        service.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            service.send_signal(signal.SIGCONT)
    browser.console()


UNSEEN = ["You have a new notification.", ""]


def test_a_push_is_shown_without_its_content_while_no_request_is_answered(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    sent = notify(application, sue)
    pushed = {"id": sent, "domain": "x.example", "site": "x.example", "source": "Chess club", "message": "Your move"}
    with hanging(service, browser):
        assert deliver(browser, service.origin, pushed) == UNSEEN


def test_a_push_is_shown_without_its_content_to_whoever_uses_the_browser_after_the_session(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    sent = notify(application, sue)
    browser.cdp("Network.clearBrowserCookies")
    pushed = {"id": sent, "domain": "x.example", "site": "x.example", "source": "Chess club", "message": "Your move"}
    assert deliver(browser, service.origin, pushed) == UNSEEN
    browser.console()


def test_the_page_for_outages_is_shown_while_no_request_is_answered(sue: Person, service: Service, browser: Browser) -> None:
    with hanging(service, browser):
        browser.open(f"{service.origin}/sidebar")
        assert browser.find("h1").text == "The service cannot be reached"


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


def turn_on(sue: Person, browser: Browser) -> None:
    """Turn Web Push on in this browser."""
    browser.click("Notify this browser while the page is closed")
    browser.wait(lambda it: it.count("#push-browsers li") == 1)


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


def test_a_push_for_another_person_than_the_one_who_is_signed_in_is_not_shown(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    with closing(worker_of(browser)) as worker:
        evaluate(worker, WORKER_SUBSCRIBED)
        push(browser, service.origin, {"id": "n_ofanother", "source": "Chess club", "message": "Your move"})
        browser.wait(lambda _: evaluate(worker, "globalThis.unsubscribed === true"))
    assert browser.run_async(SHOWN) == {}


def worker_of(browser: Browser) -> websocket.WebSocket:
    """Return a connection to the service worker in the DevTools protocol."""
    targets = requests.get(f"http://{browser.devtools}/json/list", timeout=60).json()
    [url] = [one["webSocketDebuggerUrl"] for one in targets if one["type"] == "service_worker"]
    return websocket.create_connection(url, suppress_origin=True, timeout=60)


def evaluate(worker: websocket.WebSocket, script: str) -> Any:
    """Return the value of a script in the service worker."""
    worker.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": {"expression": script, "returnByValue": True}}))
    while (answer := json.loads(worker.recv())).get("id") != 1:
        pass
    return answer["result"]["result"].get("value")
