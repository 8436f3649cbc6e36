"""My presence as an app: its service worker, the page for outages, new versions, and pushes (docs/pages.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from dpresence.tests.live.clients import Application, Person, activate
from dpresence.tests.live.service import Service, Site, running
from dpresence.tests.push_service import key_file

from .accessibility import Axe
from .support import Browser

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
# Chromium subscribes at a server of Google, which cannot be reached here; the endpoint is one that the service accepts, and is never used.
SUBSCRIBING = """
    const decoded = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (it) => it.charCodeAt(0)).buffer;
    PushManager.prototype.subscribe = async ({ applicationServerKey: key }) => ({
      endpoint: "https://fcm.googleapis.com/fcm/send/1",
      options: { applicationServerKey: decoded(key) },
      toJSON: () => ({ endpoint: "https://fcm.googleapis.com/fcm/send/1", keys: { p256dh: key, auth: "A".repeat(22) } }),
      unsubscribe: async () => true,
    });
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
    person = Person(service.origin, f"{request.node.name[5:40].replace('[', '-')}@example.org")
    person.grant(application)
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


def deliver(browser: Browser, origin: str, content: dict[str, str]) -> list[str]:
    """Deliver a push to the service worker, as a browser does that has decrypted it; return title and text that are shown."""
    browser.cdp("ServiceWorker.enable")
    for number in range(REGISTRATIONS):
        browser.cdp("ServiceWorker.deliverPushMessage", origin=origin, registrationId=str(number), data=json.dumps(content))
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
    browser.click("Show it")
    browser.wait(lambda it: it.run("return !window.before") and it.find("#connection").text == "Connected")
    browser.console()


def test_a_push_is_shown_and_opens_its_notification_as_read(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    sent = notify(application, sue)
    domain = application.domain
    pushed = {"id": sent, "domain": domain, "site": domain, "source": "Chess club", "message": "Your move", "action": ""}
    assert deliver(browser, service.origin, pushed) == [f"{domain}: \u2068Chess club\u2069", "Your move"]
    browser.open("about:blank")
    browser.open(f"{service.origin}/sidebar#{sent}")
    browser.wait(lambda it: it.count("#notifications li") == 1 and it.run("return document.activeElement.id") == sent)
    assert sue.call("GET", "/notifications")["unread"] == 0 and browser.url == f"{service.origin}/sidebar"


def test_a_push_without_its_content_is_completed_from_the_inbox(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    sent = notify(application, sue)
    assert deliver(browser, service.origin, {"id": sent}) == [f"{application.domain}: \u2068Chess club\u2069", "Your move"]


def test_push_is_turned_on_and_off_for_this_browser_and_for_an_application(
    sue: Person, service: Service, application: Application, browser: Browser, axe: Axe
) -> None:
    browser.run(SUBSCRIBING)
    browser.click("Notify this browser while the page is closed")
    browser.wait(lambda it: it.count("#push-browsers li") == 1)
    [mine] = sue.call("GET", "/push")["subscriptions"]
    assert mine["label"].startswith("Chrome") and mine["label"] in browser.find("#push-browsers").text
    assert sue.call("GET", "/grants")["grants"][0]["push"] is False
    browser.find("#grants input[type=checkbox]").click()
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
