"""Browsers that store nothing: the pages say so and offer what works without storage (docs/pages.md)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpresence.tests.live.clients import Person

from .conftest import Scene
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NO_COOKIES = "blocks cookies from this site"
NO_STORAGE = "Your browser stores nothing for this site"
# As in browsers where storage is off but cookies are not.
WITHOUT = """
    const off = () => { throw new DOMException("off", "SecurityError"); };
    Object.defineProperty(window, "localStorage", %s);
    navigator.locks.request = async () => off();
"""
THROWS, MISSING = "{get: off}", "{value: null}"


@pytest.fixture
def strict(browser: Browser, tmp_path: Path) -> Iterator[Browser]:
    """A browser whose settings block all cookies; with them Chromium blocks storage."""
    (tmp_path / "Default").mkdir()
    settings = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(settings), encoding="utf-8")
    strict = Browser(str(shutil.which("chromium")), str(shutil.which("chromedriver")), tmp_path)
    yield strict
    strict.close()


def test_a_browser_that_takes_no_cookies_sees_why_signing_in_fails(strict: Browser, scene: Scene) -> None:
    for path in ("/", "/login", "/nothing/such"):
        strict.open(scene.service.origin + path)
        strict.wait(lambda it: NO_COOKIES in it.text())
    strict.assert_quiet("404")


def test_a_browser_that_takes_cookies_sees_no_hint(browser: Browser, scene: Scene) -> None:
    browser.open(f"{scene.service.origin}/login")
    assert NO_COOKIES not in browser.text() and browser.run("return document.cookie") == ""
    browser.enter(scene.service.origin, "tom@example.org", "/sidebar")
    browser.wait(lambda it: it.find("#connection").text == "Connected")
    assert NO_COOKIES not in browser.text() and NO_STORAGE not in browser.text()


@pytest.fixture(params=[THROWS, MISSING], ids=["throws", "is missing"])
def forgetful(request, browser: Browser) -> Iterator[Browser]:
    """A browser whose pages have no storage."""
    script = browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=WITHOUT % request.param)["identifier"]
    yield browser
    browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    browser.open("about:blank")


def test_without_storage_the_page_says_so_and_is_a_device_all_the_same(forgetful: Browser, scene: Scene) -> None:
    una = Person(scene.service.origin, "una@example.org")
    forgetful.enter(scene.service.origin, una.email, "/sidebar")
    forgetful.wait(lambda it: it.find("#connection").text == "Connected")
    assert NO_STORAGE in forgetful.text()
    forgetful.click("Unavailable")
    forgetful.wait(lambda _: [one["status"] for one in una.call("GET", "/devices")["devices"]] == ["unavailable"])
    forgetful.click("Sign out")
    forgetful.wait(lambda it: it.count("meta[name=csrf]") == 0)
    forgetful.assert_quiet("401")  # it may ask once more while it is signed out
