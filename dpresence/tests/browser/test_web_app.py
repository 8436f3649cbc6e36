"""My presence as an app: its service worker, the page for outages, new versions, and pushes that show no content (docs/pages.md)."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from dpresence.tests.live.clients import Application, Person
from dpresence.tests.live.service import Service

from .accessibility import Axe
from .support import Browser
from .web_app import SHOWN, application, debugged, deliver, evaluate, notify, push, service, sue

__all__ = ["application", "service", "sue"]

pytestmark = pytest.mark.browser

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


def test_the_app_can_be_installed_and_its_policy_refuses_nothing(sue: Person, service: Service, browser: Browser) -> None:
    assert browser.cdp("Page.getInstallabilityErrors")["installabilityErrors"] in ([], [{"errorId": "in-incognito", "errorArguments": []}])
    manifest = json.loads(browser.cdp("Page.getAppManifest")["data"])
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/sidebar", "/", "standalone")
    browser.run("const it = new Event('beforeinstallprompt'); it.prompt = async () => (document.title = 'asked'); dispatchEvent(it)")
    browser.click("Install as an app")
    browser.wait(lambda it: it.title == "asked" and not it.find("#install").is_displayed())
    assert browser.console() == []


@pytest.mark.slow
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


@contextmanager
def hanging(service: Service, browser: Browser) -> Iterator[None]:
    """Have the service accept connections and answer none; the time limits of the service worker pass at once."""
    with closing(debugged(browser, "service_worker")) as worker:
        evaluate(worker, HASTY)
        service.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            service.send_signal(signal.SIGCONT)
    browser.console()


def test_the_page_for_outages_is_shown_while_no_request_is_answered(sue: Person, service: Service, browser: Browser) -> None:
    with hanging(service, browser):
        browser.open(f"{service.origin}/sidebar")
        assert browser.find("h1").text == "The service cannot be reached"


UNSEEN = ["You have a new notification.", ""]


@pytest.mark.slow
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


def test_a_push_for_another_person_than_the_one_who_is_signed_in_is_not_shown(
    sue: Person, service: Service, application: Application, browser: Browser
) -> None:
    with closing(debugged(browser, "service_worker")) as worker:
        evaluate(worker, WORKER_SUBSCRIBED)
        push(browser, service.origin, {"id": "n_ofanother", "source": "Chess club", "message": "Your move"})
        browser.wait(lambda _: evaluate(worker, "globalThis.unsubscribed === true"))
    assert browser.run_async(SHOWN) == {}
