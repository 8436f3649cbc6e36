"""The webhook of an application on its page, by clicking (section 6, Webhooks)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dpresence.tests.live.clients import Person

from .accessibility import Axe
from .conftest import Scene
from .support import Browser
from .test_myapps import shown, start

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REFUSED = "Failed to load resource"


@pytest.fixture
def hook(scene: Scene) -> Iterator[str]:
    """The address of an endpoint that accepts every message."""
    scene.site.pages.pop("/__presence", None)
    scene.site.pages["/hook"] = "accepts messages"
    yield f"{scene.site.origin}/hook"
    scene.site.pages.pop("/hook", None)


def attempts(browser: Browser) -> list[str]:
    return browser.run("return [...document.querySelectorAll('#webhook-attempts tr')].map((row) => row.textContent)")  # type: ignore[no-any-return]


def webhook(scene: Scene, appid: str) -> dict[str, Any]:
    return dict(Person(scene.service.origin, "again@example.org").call("GET", f"/myapps/{appid}/webhook"))


def confirm(browser: Browser, words: str) -> None:
    browser.click(words)
    browser.wait(lambda it: it.find("#question").is_displayed())
    browser.confirm()


def test_a_webhook_from_its_first_message_to_its_end(browser: Browser, scene: Scene, hook: str, axe: Axe) -> None:
    start(browser, scene, email="hooks@example.org")
    browser.find("[name=url]").send_keys("https://elsewhere.example.org/hook")
    browser.click("Create the webhook")
    browser.wait(lambda it: "Address of the endpoint:" in shown(it, "#webhook-url-error"))
    assert browser.run("return document.activeElement.name") == "url"
    browser.assert_quiet(REFUSED)

    browser.find("[name=url]").clear()
    browser.write("url", hook)
    browser.click_on("[name=presence]")
    browser.click("Create the webhook")
    browser.wait(lambda it: shown(it, "#webhook-events-error") == "Choose at least one.")
    browser.assert_quiet(REFUSED)
    browser.click_on("[name=presence]")
    browser.click_on("[name=outcome]")
    browser.click("Create the webhook")
    browser.wait(lambda it: shown(it, "#secret").startswith("whsec_"))
    secret = shown(browser, "#secret")
    assert browser.run("return document.activeElement.id") == "new-secret"
    browser.click_on("#secret-stored")
    assert secret not in browser.run("return document.documentElement.outerHTML")
    browser.click_on("[name=presence]")
    browser.click("Save")
    browser.wait(lambda it: not it.find("#webhook-snapshot").is_displayed())

    browser.click("Send a test")
    browser.wait(lambda it: "The test was delivered after" in shown(it, "#webhook-result"))
    browser.wait(lambda it: shown(it, "#webhook-badge") == "On" and any("Test" in one and "Delivered" in one for one in attempts(it)))
    axe.check(browser, "webhook")

    confirm(browser, "Create a new secret")
    browser.wait(lambda it: shown(it, "#secret") not in ("", secret))
    assert "stays valid for a day" in shown(browser, "#new-secret")

    confirm(browser, "Turn off and delete")
    browser.wait(lambda it: it.find("#webhook").get_attribute("data-webhook") == "none")
    assert not browser.find("#new-secret").is_displayed() and not browser.find("#webhook-test").is_displayed()
    browser.open(browser.url)
    assert browser.find("#webhook").get_attribute("data-webhook") == "none"
    browser.assert_quiet()


def test_a_failure_is_shown_and_what_the_log_offers_is_sent_again(browser: Browser, scene: Scene, hook: str) -> None:
    appid, _ = start(browser, scene, email="again@example.org")
    lea = Person(scene.service.origin, "lea@example.org")
    lea.call("POST", f"/grant/{appid}")
    browser.write("url", hook)
    browser.click("Create the webhook")
    browser.click_on("#secret-stored")
    browser.wait(lambda _: webhook(scene, appid)["cursor"] is not None)
    scene.site.pages.pop("/hook")
    with lea.device():
        browser.wait(lambda _: webhook(scene, appid)["log"][0]["outcome"] == "status")
        scene.site.pages["/hook"] = "accepts messages again"
    browser.open(browser.url)
    browser.wait(lambda it: "The next attempt: now." in shown(it, "#webhook-note"))
    assert shown(browser, "#webhook-badge") == "Failing" and "status 404" in attempts(browser)[0]
    browser.click("Send a test")
    browser.wait(lambda it: shown(it, "#webhook-badge") == "On" and "Updates" in attempts(it)[0])
    sent = attempts(browser)
    browser.click_on("#webhook-attempts button")
    browser.wait(lambda it: it.find("#question").is_displayed())
    browser.confirm()
    browser.wait(lambda it: attempts(it)[0] != sent[0])
    browser.assert_quiet()
