"""Pairing a device in a browser, by clicking (docs/protocol.md, section 6)."""

from __future__ import annotations

import pytest

from dpresence.tests.live.clients import Person

from .accessibility import Axe
from .conftest import Scene
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NARROW_FACTS = """
    document.querySelector(".facts dt").textContent = "Programm, wie es sich selbst nennt";
    const enough = document.querySelector(".facts").clientWidth / 2;
    return [...document.querySelectorAll(".facts dd")].filter(({clientWidth}) => clientWidth < enough).map((each) => each.textContent);
"""


def test_a_device_that_shows_a_code_is_connected_and_listed_and_signed_out(browser: Browser, scene: Scene, axe: Axe) -> None:
    anybody = Person(scene.service.origin, "lampowner@example.org")
    codes = anybody.call("POST", "/pair", {"device": "lamp", "client": "Example lamp"})
    browser.open(codes["verification_uri"])
    browser.sign_in("lampowner@example.org")
    axe.check(browser, "pair-code")
    browser.run("document.querySelector('#code').value = 'wrong code'")
    browser.click("Continue")
    browser.wait(lambda it: "There is no such code" in it.text())
    browser.run(f"document.querySelector('#code').value = '{codes['user_code'].lower()}'")
    browser.click("Continue")
    browser.wait(lambda it: "Example lamp" in it.text() and codes["user_code"] in it.text())
    axe.check(browser, "pair-question")
    browser.look(360)
    assert browser.run(NARROW_FACTS) == [], "a value has at least half of the width"
    browser.look()
    browser.click("Connect")
    browser.wait(lambda it: "The device is connected" in it.text())
    credential = anybody.call("POST", "/pair/token", {"device_code": codes["device_code"]})["credential"]
    assert credential.startswith("device:")
    browser.click("My presence")
    browser.wait(lambda it: "never connected" in it.text())
    browser.click("Sign out lamp")
    browser.wait(lambda it: "To connect it again, you need a new code that it shows." in it.find("#question").text)
    browser.confirm()
    browser.wait(lambda it: "lamp is signed out" in it.text() and "Example lamp" not in it.text())
    assert [line for line in browser.console() if " 404 " not in line] == []
