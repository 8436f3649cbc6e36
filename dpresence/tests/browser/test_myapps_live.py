"""A developer's pages in a browser: keys, snippets that connect, and what changes by itself (section 6)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpresence.tests.live.clients import Application, Person
from dpresence.tests.live.warm import running

from .accessibility import Axe
from .conftest import Scene
from .support import Browser
from .test_myapps import shown, start

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REFUSED = "Failed to load resource"


@pytest.fixture(autouse=True)
def no_proof(scene: Scene) -> None:
    scene.site.pages.pop("/__presence", None)


# -- keys and snippets


@pytest.fixture(scope="module")
def node() -> list[str]:
    """The command that runs JavaScript with a WebSocket in it."""
    found = shutil.which("node")
    if not found or subprocess.run([found, "--experimental-websocket", "-e", ""], capture_output=True, check=False).returncode:
        pytest.skip("the JavaScript of the page needs Node 20.10 or later")
    return [found, "--experimental-websocket", "-e"]


def first_lines(command: list[str], key: str, count: int) -> Iterator[str]:
    """Run a program that goes on for ever; return its first lines."""
    with subprocess.Popen(
        command, env={**os.environ, "DPRESENCE_KEY": key, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as it:
        assert it.stdout
        try:
            yield from (it.stdout.readline() for _ in range(count))
        finally:
            it.kill()


def test_the_text_the_page_offers_to_paste_connects(browser: Browser, scene: Scene, home: str, request: pytest.FixtureRequest) -> None:
    appid, key = start(browser, scene, email="snip@example.org")
    Person(home, "lea.live@example.org").call("POST", f"/grant/{appid}")
    for language in ("python", "node"):
        command = [sys.executable, "-c"] if language == "python" else request.getfixturevalue("node")
        auth, snapshot = first_lines([*command, browser.find(f"#{language}").get_property("textContent")], key, 2)
        assert "snapshot" in auth and "OK" in auth, language
        assert "puid" in snapshot and "offline" in snapshot, language
    browser.wait(lambda it: it.find("#online").text == "0")
    browser.open(browser.url)
    browser.wait(lambda it: "today" in shown(it, "#keys"))
    browser.assert_quiet()


def test_the_line_that_the_page_offers_sends_a_notification_from_its_program(browser: Browser, scene: Scene, home: str) -> None:
    appid, key = start(browser, scene, email="send@example.org")
    puid = Person(home, "lea.live@example.org").call("POST", f"/grant/{appid}")["puid"]
    program, line = (browser.find(f"#{block}").get_property("textContent") for block in ("python", "notify"))
    after = "channel.send(json.dumps(auth))"
    assert program.count(after) == 1
    program = program.replace(after, f"{after}\n{line.replace('PUID', puid)}")
    auth, snapshot, answer = first_lines([sys.executable, "-c", program], key, 3)
    assert "notify" in answer and "'queue_size': 1" in answer and puid in answer, (auth, snapshot, answer)
    browser.assert_quiet()


def test_a_new_key_is_shown_once_and_says_how_long_the_old_one_works(browser: Browser, scene: Scene, home: str, axe: Axe) -> None:
    _, old = start(browser, scene, email="rob@example.org")
    browser.click("Create a new key")
    browser.click("Cancel")
    assert not browser.find("#new-key").is_displayed()
    browser.click("Create a new key")
    browser.confirm()
    browser.wait(lambda it: it.find("#new-key").is_displayed())
    new = shown(browser, "#key")
    assert new.startswith("dpk_") and new != old
    assert "it stops in 23 hours" in shown(browser, "#overlap") or "it stops tomorrow" in shown(browser, "#overlap")
    axe.check(browser, "application-key")
    browser.wait(lambda it: it.count("#keys tr") == 2)
    rows = [row.text for row in browser.find("#keys").find_elements("css selector", "tr")]
    assert new[:16] in rows[0] and "current key" in rows[0]
    assert old[:16] in rows[1] and "stops" in rows[1]
    browser.click("I have stored it")
    assert not browser.find("#new-key").is_displayed()
    assert new not in browser.run("return document.documentElement.outerHTML")
    browser.assert_quiet()


# -- live


def test_the_counts_change_as_people_come_and_go(browser: Browser, scene: Scene, home: str) -> None:
    appid, key = start(browser, scene, email="liv@example.org")
    application = Application(home, appid, key, Person(home, "liv@example.org"), scene.site.domain)
    ann, bob = Person(home, "ann2@example.org"), Person(home, "bob2@example.org")
    puids = [ann.grant(application), bob.grant(application)]

    def counts(**expected: int) -> None:
        browser.wait(lambda it: {name: it.find(f"#{name}").text for name in expected} == {name: str(n) for name, n in expected.items()})

    counts(online=0, unavailable=0, offline=2, sockets=0)
    with ann.device() as device:
        counts(online=1, unavailable=0, offline=1)
        with application.service():
            counts(sockets=1)
        device.say("unavailable")
        counts(online=0, unavailable=1, offline=1, sockets=0)
        device.say("offline")
        counts(online=0, unavailable=0, offline=2)
    assert int(shown(browser, "#updates")) >= 3
    assert not [word for word in ("ann2", "bob2", *puids) if word in browser.find("html").get_attribute("outerHTML")]
    browser.assert_quiet()


def test_a_page_that_is_open_follows_what_happens_elsewhere(browser: Browser, scene: Scene, home: str) -> None:
    appid, _ = start(browser, scene, email="otto@example.org")
    owner = Person(home, "otto@example.org")
    owner.call("POST", f"/myapps/{appid}/deactivate")
    browser.wait(lambda it: it.count("[data-state=validated]") == 1 and it.run("return document.readyState") == "complete")
    browser.click("Activate")
    browser.wait(lambda it: it.count("[data-state=active]") == 1)
    owner.call("DELETE", f"/myapps/{appid}")
    browser.wait(lambda it: it.title == "Not found")
    browser.assert_quiet(REFUSED)


def test_a_developer_signed_out_meanwhile_is_informed_and_comes_back_to_the_page(browser: Browser, scene: Scene, home: str) -> None:
    appid, _ = start(browser, scene, email="sam@example.org")
    browser.run("return fetch('/logout', {method: 'POST', headers: {'X-CSRF-Token': document.querySelector('[name=csrf]').content}})")
    browser.wait(lambda it: "You are signed out" in it.text())
    browser.click("Create a new key")
    browser.confirm()
    browser.sign_in("sam@example.org")
    browser.wait(lambda it: it.url.endswith(f"/myapps/{appid}") and it.count("#keys tr") == 1)
    browser.assert_quiet(REFUSED)


def test_the_page_survives_a_restart_of_the_service(browser: Browser, scene: Scene, tmp_path: Path) -> None:
    with running(tmp_path, presence__grace_seconds=2) as service:
        start(browser, Scene(service, scene.site, scene.evil, scene.allowed), email="ria@example.org")
        browser.wait(lambda it: it.find("#offline").text == "0")
        service.kill()
        browser.wait(lambda it: "These figures are out of date: The service cannot be reached." in it.text())
        service.start()
        browser.wait(lambda it: it.find("#live-note").text == "")
        browser.assert_quiet(REFUSED, "ERR_CONNECTION")
        browser.forget()
