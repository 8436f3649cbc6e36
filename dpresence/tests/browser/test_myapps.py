"""A developer's pages in a browser, by clicking: from a registration to a service that connects, and back to nothing (section 6)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from dpresence.tests.live.clients import Application, Person
from dpresence.tests.live.warm import running

from .conftest import Scene
from .support import Browser

pytestmark = pytest.mark.browser

DEV = "dev@example.org"
MARKUP = "<script>document['title']=1</script><img src=x onerror=pwn()>"
REFUSED = "Failed to load resource"
"""How Chromium logs a call that was refused; the refusal is shown in the page."""


@pytest.fixture
def home(scene: Scene) -> str:
    return scene.service.origin


@pytest.fixture(autouse=True)
def no_proof(scene: Scene) -> None:
    scene.site.pages.pop("/__presence", None)


def shown(browser: Browser, selector: str) -> str:
    return browser.find(selector).text


def register(browser: Browser, home: str, domain: str, name: str = "Chess club", email: str = DEV) -> str:
    """Register by clicking; return the id."""
    browser.enter(home, email, "/myapps")
    for field, text in (("name", name), ("domain", domain), ("description", "Who is up for a game?")):
        browser.write(field, text)
    browser.click("Register")
    browser.wait(lambda it: "/myapps/" in it.url)
    return browser.url.rpartition("/")[2]


def prove(browser: Browser, scene: Scene) -> None:
    """Serve the text that the page shows, and let the service look."""
    scene.site.pages["/__presence"] = shown(browser, "#domain-key")
    browser.click("Check now")
    browser.wait(lambda it: it.find("#application").get_attribute("data-state") == "validated")


def activate(browser: Browser) -> str:
    """Activate by clicking; return the key that is shown."""
    browser.click("Activate")
    browser.wait(lambda it: it.find("#new-key").is_displayed())
    return shown(browser, "#key")


def start(browser: Browser, scene: Scene, email: str = DEV) -> tuple[str, str]:
    """Return id and key of an application that was made by clicking; its page is open."""
    appid = register(browser, scene.service.origin, scene.site.domain, email=email)
    prove(browser, scene)
    key = activate(browser)
    browser.click("I have stored it")
    return appid, key


def test_the_whole_way_from_a_registration_to_a_deletion(browser: Browser, scene: Scene, home: str, axe: str) -> None:
    browser.enter(home, DEV, "/myapps")
    assert "You have no applications yet." in browser.text()
    appid = register(browser, home, scene.site.domain)
    assert shown(browser, "h1") == "Chess club" and "Domain not proven" in browser.text()
    browser.check_page("application-new", axe)

    browser.click("Check now")
    browser.wait(lambda it: "The check failed." in it.text())
    assert "HTTP status 200" in shown(browser, "#proof-problem")
    scene.site.pages["/__presence"] = "another text"
    browser.click("Check now")
    browser.wait(lambda it: "with another text" in it.text())
    browser.assert_quiet(REFUSED)
    prove(browser, scene)
    assert shown(browser, "#proof-problem") == "" and "by http." in browser.text()
    assert not browser.find("#domain-key").is_displayed()

    key = activate(browser)
    assert key.startswith("dpk_") and browser.run("return document.activeElement.id") == "new-key"
    browser.click("I have stored it")
    assert key not in browser.run("return document.documentElement.outerHTML")
    browser.open(browser.url)
    browser.wait(lambda it: it.count("#keys tr") == 1)
    assert key[:16] in shown(browser, "#keys") and "never" in shown(browser, "#keys")
    assert key[17:] not in browser.run("return document.documentElement.outerHTML")
    browser.wait(lambda it: shown(it, "#online") == "0")
    browser.check_page("application", axe)

    browser.open(f"{home}/myapps")
    assert "Active" in browser.text()
    browser.check_page("myapps", axe)
    browser.run("document.querySelector('#applications a').click()")
    browser.wait(lambda it: it.count("#delete") == 1)

    browser.click("Deactivate")
    browser.wait(lambda it: it.find("#question").is_displayed())
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait(lambda it: "Step 2 of 2" in it.text())
    assert browser.run("return document.activeElement.id") == "activate"
    browser.click("Delete the application")
    browser.wait(lambda it: it.find("#question").is_displayed())
    assert f"Delete {scene.site.domain}, \u2068Chess club\u2069?" in shown(browser, "#question")
    browser.press(Keys.ENTER)  # the focus is on Cancel
    browser.wait(lambda it: not it.find("#question").is_displayed())
    assert browser.url.endswith(appid)
    browser.click("Delete the application")
    browser.wait(lambda it: it.find("#question").is_displayed())
    browser.click("Delete")
    browser.wait(lambda it: it.url.endswith("/myapps"))
    assert "You have no applications yet." in browser.text()
    browser.assert_quiet()


def test_what_the_service_says_of_a_field_stands_at_that_field(browser: Browser, scene: Scene, home: str, axe: str) -> None:
    browser.enter(home, "eva@example.org", "/myapps")
    browser.write("name", "Chess club")
    browser.write("domain", "https://chess.example.org/game")
    browser.press(Keys.ENTER)
    browser.wait(lambda it: shown(it, "#domain-error") != "")
    assert shown(browser, "#domain-error") == "Domain: a host name such as app.example.org, without scheme, port or path."
    assert browser.run("return document.activeElement.name") == "domain"
    assert browser.count("[aria-invalid=true]") == 1 and "/myapps" in browser.url
    browser.check_page("myapps-refused", axe)
    browser.find("[name=name]").clear()
    browser.write("name", "www.bank.example")
    browser.find("[name=domain]").clear()
    browser.write("domain", "chess.example.org")
    browser.press(Keys.ENTER)
    browser.wait(lambda it: shown(it, "#name-error") == "Name: no web address other than chess.example.org.")
    assert browser.run("return document.activeElement.name") == "name"
    assert shown(browser, "#domain-error") == "" and browser.count("[aria-invalid=true]") == 1
    browser.assert_quiet(REFUSED)


def test_the_list_is_paged(browser: Browser, scene: Scene, home: str) -> None:
    owner = Person(home, "pia@example.org")
    for number in range(3):
        owner.call("POST", "/myapps", {"name": f"A{number}", "domain": "chess.example.org"})
    browser.enter(home, "pia@example.org", "/myapps?limit=2")
    seen = [link.text for link in browser.find("#applications").find_elements("css selector", "a")]
    browser.run("document.querySelector('main nav a').click()")
    browser.wait(lambda it: "after=" in it.url)
    seen.append(shown(browser, "#applications a"))
    assert sorted(seen) == ["A0", "A1", "A2"]
    browser.assert_quiet()


def test_markup_of_a_developer_is_text(browser: Browser, scene: Scene, home: str) -> None:
    register(browser, home, scene.site.domain, name=MARKUP, email="mal@example.org")
    assert shown(browser, "h1") == MARKUP and browser.title.endswith(f": \u2068{MARKUP}\u2069")
    prove(browser, scene)
    browser.click("Delete the application")
    browser.wait(lambda it: MARKUP in shown(it, "#question"))
    browser.press(Keys.ESCAPE)
    browser.open(f"{home}/myapps")
    assert MARKUP in browser.text()
    assert browser.count("script:not([src])") == browser.count("img") == 0
    browser.assert_quiet()


def test_the_file_can_be_copied_and_downloaded(browser: Browser, scene: Scene, home: str, tmp_path: Path) -> None:
    register(browser, home, "chess.example.org", email="don@example.org")
    assert "https://chess.example.org/__presence" in shown(browser, "#address")
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.click("Download the file")
    browser.wait(lambda it: any(tmp_path.glob("*presence*")) and not any(tmp_path.glob("*.crdownload")))
    (file,) = tmp_path.iterdir()
    assert file.read_text() == shown(browser, "#domain-key")
    browser.cdp("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"], origin=home)
    browser.find("[data-copy=domain-key]").click()
    browser.wait(lambda it: "Copied." in it.text())
    assert browser.run("return navigator.clipboard.readText()") == file.read_text()
    browser.assert_quiet()


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


@pytest.mark.parametrize("language", ["python", "node"])
def test_what_the_page_offers_to_paste_connects(
    browser: Browser, scene: Scene, home: str, language: str, request: pytest.FixtureRequest
) -> None:
    command = [sys.executable, "-c"] if language == "python" else request.getfixturevalue("node")
    appid, key = start(browser, scene, email="snip@example.org")
    Person(home, "lea@example.org").call("POST", f"/grant/{appid}")
    auth, snapshot = first_lines([*command, browser.find(f"#{language}").get_property("textContent")], key, 2)
    assert "snapshot" in auth and "OK" in auth
    assert "puid" in snapshot and "offline" in snapshot
    browser.wait(lambda it: it.find("#online").text == "0")
    browser.open(browser.url)
    browser.wait(lambda it: "today" in shown(it, "#keys"))
    browser.assert_quiet()


def test_the_line_that_the_page_offers_sends_a_notification_from_its_program(browser: Browser, scene: Scene, home: str) -> None:
    appid, key = start(browser, scene, email="send@example.org")
    puid = Person(home, "lea@example.org").call("POST", f"/grant/{appid}")["puid"]
    program, line = (browser.find(f"#{block}").get_property("textContent") for block in ("python", "notify"))
    after = "channel.send(json.dumps(auth))"
    assert program.count(after) == 1
    program = program.replace(after, f"{after}\n{line.replace('PUID', puid)}")
    auth, snapshot, answer = first_lines([sys.executable, "-c", program], key, 3)
    assert "notify" in answer and "'queue_size': 1" in answer and puid in answer, (auth, snapshot, answer)
    browser.assert_quiet()


def test_a_new_key_is_shown_once_and_says_how_long_the_old_one_works(browser: Browser, scene: Scene, home: str, axe: str) -> None:
    _, old = start(browser, scene, email="rob@example.org")
    browser.click("Create a new key")
    browser.wait(lambda it: it.find("#new-key").is_displayed())
    new = shown(browser, "#key")
    assert new.startswith("dpk_") and new != old
    assert "it stops in 23 hours" in shown(browser, "#overlap") or "it stops tomorrow" in shown(browser, "#overlap")
    browser.check_page("application-key", axe)
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


def test_who_was_signed_out_meanwhile_is_told_and_comes_back_to_the_page(browser: Browser, scene: Scene, home: str) -> None:
    appid, _ = start(browser, scene, email="sam@example.org")
    browser.run("return fetch('/logout', {method: 'POST', headers: {'X-CSRF-Token': document.querySelector('[name=csrf]').content}})")
    browser.wait(lambda it: "You are signed out" in it.text())
    browser.click("Create a new key")
    browser.sign_in("sam@example.org")
    browser.wait(lambda it: it.url.endswith(f"/myapps/{appid}") and it.count("#keys tr") == 1)
    browser.assert_quiet(REFUSED)


def test_the_page_survives_a_restart_of_the_service(browser: Browser, scene: Scene, tmp_path: Path) -> None:
    with running(tmp_path, presence__grace_seconds=2) as service:
        start(browser, Scene(service, scene.site, scene.evil), email="ria@example.org")
        browser.wait(lambda it: it.find("#offline").text == "0")
        service.kill()
        browser.wait(lambda it: "These figures are out of date: The service cannot be reached." in it.text())
        service.start()
        browser.wait(lambda it: it.find("#live-note").text == "")
        browser.assert_quiet(REFUSED, "ERR_CONNECTION")
        browser.forget()


# -- changes


def test_a_new_name_is_saved_and_a_new_domain_starts_over(browser: Browser, scene: Scene, home: str) -> None:
    appid, _ = start(browser, scene, email="tim@example.org")
    owner = Person(home, "tim@example.org")
    Person(home, "una@example.org").call("POST", f"/grant/{appid}")
    browser.find("#edit [name=name]").send_keys(" of Hamburg", Keys.ENTER)
    browser.wait(lambda it: shown(it, "h1") == "Chess club of Hamburg" and it.title.endswith(": \u2068Chess club of Hamburg\u2069"))
    assert browser.count("[data-state=active]") == 1
    before = browser.find("#domain-key").get_property("textContent")
    browser.find("#edit [name=domain]").clear()
    browser.find("#edit [name=domain]").send_keys(scene.evil.domain, Keys.ENTER)
    browser.wait(lambda it: it.find("#question").is_displayed())
    assert "ask people again." in shown(browser, "#question")
    browser.click("Change the domain")
    browser.wait(lambda it: it.count("[data-state=registered]") == 1 and scene.evil.domain in shown(it, "#address"))
    assert shown(browser, "#domain-key") != before
    assert owner.call("GET", f"/myapps/{appid}")["domain"] == scene.evil.domain
    assert scene.granted("una@example.org") == []
    browser.settled()
    browser.find("#edit [name=domain]").send_keys("/x", Keys.ENTER)
    browser.click("Change the domain")
    browser.wait(lambda it: shown(it, "#domain-error").startswith("Domain: a host name"))
    browser.assert_quiet(REFUSED)


def test_without_javascript_the_pages_say_so(browser: Browser, scene: Scene, home: str) -> None:
    appid = register(browser, home, scene.site.domain, email="nora@example.org")
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{home}/myapps/{appid}")
        assert "To use the buttons on this page, turn on JavaScript" in browser.text() and "Domain not proven" in browser.text()
        browser.open(f"{home}/myapps")
        assert "To register an application, turn on JavaScript" in browser.text() and "Chess club" in browser.text()
    finally:
        browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
