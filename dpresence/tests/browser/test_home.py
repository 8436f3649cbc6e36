"""The home page, signing in and signing out, in a browser (section 6)."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from dpresence.tests.support import DEVELOPMENT_TOKEN

from .accessibility import Axe
from .conftest import Scene
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


TWICE = """
    const [done] = arguments;
    import("/static/page.js").then(async ({attempt}) => {
      const button = document.createElement("button"); let begun = 0, end;
      const work = () => (begun++, new Promise((resolve) => (end = resolve)));
      const first = attempt(button, work), second = await attempt(button, work), busy = button.ariaBusy;
      end(); done([begun, await first, second, busy, button.ariaBusy]);
    });
"""


def test_the_home_page_is_usable_by_everybody(browser: Browser, scene: Scene, axe: Axe) -> None:
    browser.open(f"{scene.service.origin}/")
    browser.press(Keys.TAB)
    assert browser.run("return document.activeElement.textContent") == "Skip to content", "the first tab stop"
    browser.press(Keys.ENTER, Keys.TAB)
    assert browser.run("return document.activeElement.getAttribute('href')") == "/login?next=/sidebar", "past the header"
    assert browser.run_async(TWICE) == [1, True, False, "true", None], "what was clicked twice is done once"
    axe.check(browser, "home")
    browser.allow("clipboardReadWrite", "clipboardSanitizedWrite")
    browser.click("Copy the address that asks for access")
    browser.wait(lambda it: it.find("#status").text == "Copied.")
    copied = browser.run("return navigator.clipboard.readText()")
    assert copied == f"{scene.service.origin}/grant/APPID?redirect=http://localhost:8000/", "what is shown to copy can be copied"
    browser.assert_quiet()


DISPLAYED = "return [...document.querySelectorAll('[role=status], [role=alert]')].map((it) => getComputedStyle(it).display)"


def test_the_sign_in_page_is_usable_by_everybody(browser: Browser, scene: Scene, axe: Axe) -> None:
    browser.open(f"{scene.service.origin}/login")
    displayed = browser.run(DISPLAYED)  # screen readers announce changes of regions that were displayed before
    assert len(displayed) == 4 and "none" not in displayed, "a region that will speak is there before it does"
    axe.check(browser, "login")
    browser.assert_quiet()
    browser.hold_token()
    browser.run("document.getElementById('development').noValidate = true")
    browser.write("email", "nobody at all")
    browser.click("Sign in")
    browser.wait(lambda it: it.find("#problem").text != "")
    assert "email" in browser.find("#problem").text, "a refused sign-in is explained in the service's words"
    assert browser.find("#email").get_attribute("aria-invalid") == "true"
    assert browser.run("return document.activeElement.id") == "email"
    browser.assert_quiet("400")


def test_the_way_in_and_out_by_clicking(browser: Browser, scene: Scene) -> None:
    browser.open(f"{scene.service.origin}/")
    browser.click("Sign in")
    browser.sign_in("hedda@example.org")
    assert browser.url == f"{scene.service.origin}/"
    assert "hedda@example.org" in browser.text() and "Sign in" not in browser.text().split("Try every role")[0]
    assert browser.count("a[href='/admin']") == 0
    csrf = browser.find("meta[name=csrf]").get_attribute("content")
    browser.click("Sign out")
    browser.wait(lambda it: it.count("meta[name=csrf]") == 0 and it.count("#main") == 1)
    assert csrf and browser.url == f"{scene.service.origin}/" and "hedda@example.org" not in browser.text()
    browser.assert_quiet()
    browser.open(f"{scene.service.origin}/sidebar")
    assert browser.url == f"{scene.service.origin}/login?next=%2Fsidebar"


def test_the_sign_in_page_believes_only_who_opened_the_link_of_the_start(browser: Browser, scene: Scene) -> None:
    browser.open(f"{scene.service.origin}/login")
    assert "First open the link" in browser.text()
    browser.write("email", "hedda@example.org")
    browser.click("Sign in")
    browser.wait(lambda it: "live.token" in it.find("#problem").text)
    browser.open(f"{scene.service.origin}/?token={DEVELOPMENT_TOKEN}")
    assert browser.url == f"{scene.service.origin}/"
    browser.click("Sign in")
    assert "First open the link" not in browser.text()
    browser.write("email", "hedda@example.org")
    browser.click("Sign in")
    browser.wait(lambda it: "/login" not in it.url and it.count("meta[name=csrf]") == 1)
    assert "hedda@example.org" in browser.text()
    browser.assert_quiet("403")


def test_somebody_who_is_signed_in_is_informed_on_the_sign_in_page(browser: Browser, scene: Scene) -> None:
    browser.enter(scene.service.origin, "ina@example.org", "/login?next=/sidebar")
    assert "You are signed in as ina@example.org" in browser.text()
    browser.click("Continue")
    assert browser.url == f"{scene.service.origin}/sidebar"


def test_a_page_that_was_opened_before_somebody_signed_in_anew_says_so(browser: Browser, scene: Scene) -> None:
    browser.enter(scene.service.origin, "ines@example.org")
    browser.tab()
    browser.enter(scene.service.origin, "joe@example.org")
    browser.tab(0)
    browser.click("Sign out")
    browser.wait(lambda it: "someone has signed in again" in it.find("#alert").text)
    assert "X-CSRF-Token" not in browser.text()
