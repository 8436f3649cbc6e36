"""The extension in Chromium: its toolbar, its options and its panel (clients/extension)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from dpresence.tests.live.clients import Application, Person
from dpresence.tests.waiting import PATIENCE_SECONDS

from .accessibility import Axe
from .conftest import EXTENSION, STATIC, Scene, give_up
from .support import WAIT_SECONDS, Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def extended(scene: Scene, build_extension: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with the extension."""
    paths = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(paths):
        give_up("the tests of the extension need Chromium")
    browser = Browser(*map(str, paths), tmp_path_factory.mktemp("profile"), extension=build_extension(scene.service.origin) / "chromium")
    yield browser
    browser.close()


def address_of(browser: Browser, page: str) -> str:
    """Return the address of a page of the extension."""
    background = "/background.js"
    found: list[str] = []

    def started(it: Browser) -> bool:
        urls = [target["url"] for target in it.cdp("Target.getTargets")["targetInfos"]]
        found.extend(url.replace(background, f"/{page}") for url in urls if url.endswith(background))
        return bool(found)

    browser.wait(started)
    return found[0]


def test_the_logic_of_the_extension_passes_its_tests(node: str) -> None:
    subprocess.run([node, EXTENSION / "scripts" / "vendor.mjs"], check=True, timeout=PATIENCE_SECONDS)
    tests = sorted(str(path) for path in (EXTENSION / "tests").glob("*.test.mjs"))
    ran = subprocess.run([node, "--test", *tests], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]


def test_the_extension_is_a_device_with_a_status_an_inbox_and_a_badge(extended: Browser, scene: Scene, axe: Axe) -> None:
    browser, sue = extended, Person(scene.service.origin, f"sidebar-sue-{axe.looks[0][1]}@example.org".lower())
    application = scene.application("Chess by the sidebar")
    puid = sue.grant(application)
    with application.service() as service:
        options, panel = address_of(browser, "options.html"), address_of(browser, "panel.html")
        pair(browser, scene, sue, options)
        assert service.next_updates(1) == [(puid, "online", "explicit")]
        axe.check(browser, "extension-options")

        browser.open(panel)
        browser.wait(lambda it: it.find("#state").text == "Online" and it.find("#connection").text == "Connected")
        browser.click("Unavailable")
        assert service.next_updates(1) == [(puid, "unavailable", "explicit")]
        browser.wait(lambda it: it.find("#state").text == "Unavailable")
        browser.click_on("#override [value=online]")
        browser.click("Set")
        assert service.next_updates(1) == [(puid, "online", "explicit")]
        assert sue.call("GET", "/status") == {"status": "online", "merged": "unavailable", "override": "online", "until": None}

        action = f"http://{application.domain}/game/7"
        [sent] = service.notify({"puid": puid, "message": "Your move", "action": action, "outcome": True})
        browser.wait(lambda it: "Your move" in it.find("#inbox").text)
        shown = "chrome.notifications.getAll().then((all) => arguments[0](Object.keys(all).length))"
        browser.wait(lambda it: it.run_async(shown) == 1)
        axe.check(browser, "extension-panel")
        browser.wait(lambda it: badge(it) == "1")
        assert browser.find("#inbox strong").text == application.domain
        browser.wait(lambda it: outcomes(application, sent["id"]) == ["delivered", "shown"])
        browser.run("document.querySelector('#inbox a').addEventListener('click', (event) => event.preventDefault())")
        browser.click("Open")
        browser.wait(lambda it: badge(it) == "")
        browser.wait(lambda it: outcomes(application, sent["id"]) == ["delivered", "shown", "opened"])
        assert sue.call("GET", "/notifications")["unread"] == 0
        browser.wait(lambda it: it.run_async(shown) == 0)

        url, headers = f"{application.origin}/myapps/{application.appid}/icon", {"Content-Type": "image/png"}
        headers["Authorization"] = f"BrowserID {application.owner.assertion()}"
        requests.put(url, (STATIC / "icon-192.png").read_bytes(), headers=headers, timeout=WAIT_SECONDS).raise_for_status()
        [elsewhere] = service.notify({"puid": puid, "message": "Mate in two"})
        browser.wait(lambda it: badge(it) == "1" and it.run_async(shown) == 1)
        sue.call("POST", "/notifications/read", {"notifications": [elsewhere["id"]]})
        browser.wait(lambda it: badge(it) == "" and it.run_async(shown) == 0 and it.count("#inbox .unread") == 0)

        browser.open(options)
        browser.click("Disconnect")
        browser.wait(lambda it: "To connect again, you need a new code." in it.find("#question").text)
        axe.check(browser, "extension-disconnect")
        browser.click_on("#keep")
        browser.wait(lambda it: not it.find("#question").is_displayed() and sue.email in it.find("#paired").text)
        browser.open(panel)

        (device,) = sue.call("GET", "/devices")["known"]
        assert (device["label"].partition(" on ")[0], device["kind"]) == ("Chrome", "browser")
        sue.call("DELETE", f"/devices/{device['device']}")
        browser.wait(lambda it: "was signed out of your account" in it.find("#nobody").text)
        browser.assert_quiet()


def test_disconnecting_forgets_the_account_once_confirmed(extended: Browser, scene: Scene) -> None:
    browser, sid = extended, Person(scene.service.origin, "sidebar-sid@example.org")
    pair(browser, scene, sid, address_of(browser, "options.html"))
    browser.click("Disconnect")
    browser.click_on("#confirm")
    browser.wait(lambda it: it.find("#connect").is_displayed() and not it.find("#paired").is_displayed())
    browser.open(address_of(browser, "panel.html"))
    browser.wait(lambda it: it.find("#nobody").is_displayed())


def test_nobody_who_connects_later_has_the_notifications_or_the_status_of_a_person_who_was_signed_out(
    extended: Browser, scene: Scene
) -> None:
    browser, first, second = extended, *(Person(scene.service.origin, f"sidebar-{name}@example.org") for name in ("uma", "vic"))
    application = scene.application("Chess by the sidebar")
    options, panel = address_of(browser, "options.html"), address_of(browser, "panel.html")
    pair(browser, scene, first, options)
    browser.open(panel)
    browser.wait(lambda it: it.find("#connection").text == "Connected")
    with application.service() as service:
        service.notify({"puid": first.grant(application), "message": "Your move"})
    browser.wait(lambda it: "Your move" in it.find("#inbox").text)
    browser.click("Unavailable")
    browser.wait(lambda it: it.find("#state").text == "Unavailable")
    (device,) = first.call("GET", "/devices")["known"]
    first.call("DELETE", f"/devices/{device['device']}")
    browser.wait(lambda it: "was signed out of your account" in it.find("#nobody").text)
    pair(browser, scene, second, options)
    browser.open(panel)
    browser.wait(lambda it: it.find("#connection").text == "Connected" and it.find("#state").text == "Online")
    assert "Your move" not in browser.text() and badge(browser) == ""


def outcomes(application: Application, id_: str) -> list[str]:
    """Return what the sender of a notification is told of it."""
    url = f"{application.origin}/myapps/{application.appid}/notifications/{id_}"
    answer = requests.get(url, headers={"Authorization": f"Bearer {application.key}"}, timeout=WAIT_SECONDS)
    return [each["outcome"] for each in answer.json()["outcomes"]]


def badge(browser: Browser) -> str:
    """Return the text on the icon in the toolbar."""
    return str(browser.run_async("chrome.action.getBadgeText({}).then(arguments[0])"))


def pair(browser: Browser, scene: Scene, person: Person, options: str) -> None:
    """Connect the extension with the account of a person, as they do."""
    browser.open(options)
    browser.wait(lambda it: it.find("#service").get_attribute("value") == scene.service.origin)
    browser.click("Connect")
    browser.wait(lambda it: it.run("return document.querySelector('#qr').naturalWidth") > 0)
    code = browser.find("#code").text
    browser.tab()
    browser.enter(scene.service.origin, person.email, f"/pair?code={code}")
    browser.click("Connect")
    browser.wait(lambda it: "The device is connected" in it.text())
    browser.leave()
    browser.wait(lambda it: person.email in it.find("#paired").text)
