"""A browser that several people use: what the pages keep is kept for each account apart, and cleared at sign-out (docs/pages.md)."""

from __future__ import annotations

import pytest

from dpresence.tests.live.clients import Person

from .conftest import Scene
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

KEPT = "return Object.keys(localStorage).filter((key) => key.startsWith('dpresence'))"


def open_sidebar(browser: Browser, scene: Scene, email: str) -> str:
    """Sign in and open the sidebar; return the name of the device that the browser is."""
    browser.enter(scene.service.origin, email, "/sidebar")
    browser.wait(lambda it: it.find("#connection").text == "Connected" and it.count("#devices li") == 1)
    return str(Person(scene.service.origin, email).call("GET", "/devices")["devices"][0]["device"])


def status_of(scene: Scene, email: str) -> list[str]:
    return [one["status"] for one in Person(scene.service.origin, email).call("GET", "/devices")["devices"]]


def test_a_person_who_signs_in_after_somebody_who_went_offline_is_online_under_a_name_of_their_own(browser: Browser, scene: Scene) -> None:
    first = open_sidebar(browser, scene, "sharing.ada@example.org")
    browser.click("Offline")
    browser.wait(lambda _: status_of(scene, "sharing.ada@example.org") == ["offline"])
    browser.click("Sign out")
    browser.wait(lambda it: it.count("meta[name=csrf]") == 0 and it.run(KEPT) == [])
    second = open_sidebar(browser, scene, "sharing.bob@example.org")
    assert browser.find(".choice [aria-pressed=true]").text == "Online"
    assert status_of(scene, "sharing.bob@example.org") == ["online"] and first != second


def test_nothing_of_somebody_who_was_signed_out_elsewhere_is_left_to_the_next(browser: Browser, scene: Scene) -> None:
    first = open_sidebar(browser, scene, "sharing.cleo@example.org")
    browser.click("Offline")
    browser.wait(lambda _: status_of(scene, "sharing.cleo@example.org") == ["offline"])
    browser.cdp("Network.clearBrowserCookies")
    second = open_sidebar(browser, scene, "sharing.dan@example.org")
    assert status_of(scene, "sharing.dan@example.org") == ["online"] and first != second
    assert [key for key in browser.run(KEPT) if "cleo" in key] == []


def test_the_chosen_status_returns_with_a_sign_in_after_the_session_ended(browser: Browser, scene: Scene) -> None:
    first = open_sidebar(browser, scene, "sharing.eve@example.org")
    browser.click("Offline")
    browser.wait(lambda _: status_of(scene, "sharing.eve@example.org") == ["offline"])
    browser.cdp("Network.clearBrowserCookies")
    browser.open(f"{scene.service.origin}/login")
    assert open_sidebar(browser, scene, "sharing.eve@example.org") == first
    assert status_of(scene, "sharing.eve@example.org") == ["offline"]


def test_a_sign_out_on_any_page_removes_the_number_of_unread_notifications_from_the_app(browser: Browser, scene: Scene) -> None:
    browser.begin_pages_with("navigator.clearAppBadge = async () => sessionStorage.setItem('cleared', location.pathname);")
    browser.enter(scene.service.origin, "sharing.fay@example.org", "/")
    browser.run("sessionStorage.removeItem('cleared')")
    browser.open(f"{scene.service.origin}/")
    assert browser.run("return sessionStorage.getItem('cleared')") is None
    browser.click("Sign out")
    browser.wait(lambda it: it.count("meta[name=csrf]") == 0 and it.run("return sessionStorage.getItem('cleared')") == "/")


def test_a_sign_out_removes_what_is_kept_also_if_the_session_has_ended_before(browser: Browser, scene: Scene) -> None:
    open_sidebar(browser, scene, "sharing.gil@example.org")
    browser.open(f"{scene.service.origin}/")
    assert browser.run(KEPT)
    browser.cdp("Network.clearBrowserCookies")
    browser.click("Sign out")
    browser.wait(lambda it: it.count("meta[name=csrf]") == 0 and it.run(KEPT) == [])
    assert browser.url == f"{scene.service.origin}/" and "You are signed out." in browser.text()


def test_data_an_earlier_version_kept_for_everybody_is_removed(browser: Browser, scene: Scene) -> None:
    browser.open(f"{scene.service.origin}/login")
    browser.run("localStorage.setItem('dpresence.status', 'offline'); localStorage.setItem('dpresence.device', 'chrome-ada')")
    open_sidebar(browser, scene, "sharing.fay@example.org")
    assert [key for key in browser.run(KEPT) if key.startswith("dpresence.")] == []
    assert status_of(scene, "sharing.fay@example.org") == ["online"]
