"""A developer's pages in a browser, by clicking: from a registration to a service that connects, and back to nothing (section 6)."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from dpresence.tests.live.clients import Person

from .accessibility import Axe
from .conftest import STATIC, Scene
from .support import Browser

pytestmark = pytest.mark.browser

DEV = "dora@example.org"
MARKUP = "<script>document['title']=1</script><img src=x onerror=pwn()>"
REFUSED = "Failed to load resource"
"""Chromium's log message of a refused call; the page shows the refusal."""


@pytest.fixture(autouse=True)
def no_proof(scene: Scene) -> None:
    scene.site.pages.pop("/__presence", None)


def shown(browser: Browser, selector: str) -> str:
    return browser.find(selector).text


def open_new(browser: Browser, home: str, domain: str, email: str, name: str = "Chess club") -> str:
    """Register an application without the page, and open its own; return the id."""
    appid = Person(home, email).call("POST", "/myapps", {"name": name, "domain": domain})["appid"]
    browser.enter(home, email, f"/myapps/{appid}")
    return appid


def register(browser: Browser, domain: str) -> str:
    """Register by clicking; return the id."""
    for field, text in (("name", "Chess club"), ("domain", domain), ("description", "Who is up for a game?")):
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


def start(browser: Browser, scene: Scene, email: str) -> tuple[str, str]:
    """Return id and key of an active application, which was made without the pages; its page is open."""
    application = scene.application(owner=email)
    browser.enter(scene.service.origin, email, f"/myapps/{application.appid}")
    return application.appid, application.key


@pytest.mark.slow
def test_the_whole_way_from_a_registration_to_a_deletion(browser: Browser, scene: Scene, home: str, axe: Axe) -> None:
    browser.enter(home, DEV, "/myapps")
    assert "You have no applications yet." in browser.text()
    appid = register(browser, scene.site.domain)
    assert shown(browser, "h1") == "Chess club" and "Domain not proven" in browser.text()
    axe.check(browser, "application-new")

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
    axe.check(browser, "application")

    browser.open(f"{home}/myapps")
    assert "Active" in browser.text()
    axe.check(browser, "myapps")
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


READS_AS = (
    "This name reads as the web address www.bank.example. Only chess.example.org may be in it. "
    "If it is no address, write a space after each dot."
)


@pytest.mark.slow
def test_an_error_of_a_field_stands_at_that_field(browser: Browser, scene: Scene, home: str, axe: Axe) -> None:
    browser.enter(home, "eva@example.org", "/myapps")
    browser.write("name", "Chess club")
    browser.write("domain", "https://chess.example.org/game")
    browser.press(Keys.ENTER)
    browser.wait(lambda it: shown(it, "#domain-error") != "")
    assert shown(browser, "#domain-error") == "Enter only the name of the site, such as app.example.org, with nothing after it."
    assert browser.run("return document.activeElement.name") == "domain"
    assert browser.count("[aria-invalid=true]") == 1 and "/myapps" in browser.url
    axe.check(browser, "myapps-refused")
    browser.find("[name=name]").clear()
    browser.write("name", "www.bank.example")
    browser.find("[name=domain]").clear()
    browser.write("domain", "chess.example.org")
    browser.press(Keys.ENTER)
    browser.wait(lambda it: shown(it, "#name-error") == READS_AS)
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


@pytest.mark.slow
def test_markup_of_a_developer_is_text(browser: Browser, scene: Scene, home: str) -> None:
    open_new(browser, home, scene.site.domain, "mio@example.org", MARKUP)
    assert shown(browser, "h1") == MARKUP and browser.title.endswith(f": \u2068{MARKUP}\u2069")
    prove(browser, scene)
    browser.click("Delete the application")
    browser.wait(lambda it: MARKUP in shown(it, "#question"))
    browser.press(Keys.ESCAPE)
    browser.open(f"{home}/myapps")
    assert MARKUP in browser.text()
    assert browser.count("script:not([src])") == browser.count("main img") == 0
    browser.assert_quiet()


def test_the_file_can_be_copied_and_downloaded(browser: Browser, scene: Scene, home: str, tmp_path: Path) -> None:
    open_new(browser, home, "chess.example.org", "don@example.org")
    assert "https://chess.example.org/__presence" in shown(browser, "#address")
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.click("Download the file")
    browser.wait(lambda it: any(tmp_path.glob("*presence*")) and not any(tmp_path.glob("*.crdownload")))
    (file,) = tmp_path.iterdir()
    assert file.read_text() == shown(browser, "#domain-key")
    browser.cdp("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"], origin=home)
    browser.click_on("[data-copy=domain-key]")
    browser.wait(lambda it: "Copied." in it.text())
    assert browser.run("return navigator.clipboard.readText()") == file.read_text()
    browser.assert_quiet()


# -- changes


def choose_icon(browser: Browser, home: str, appid: str) -> None:
    """Choose a file that is no picture, then a picture; remove the icon, and choose it again."""
    browser.settled()
    browser.find("#icon").send_keys(str(STATIC / "style.css"))
    browser.wait(lambda it: shown(it, "#icon-error").startswith("This file is no picture"))
    browser.find("#icon").send_keys(str(STATIC / "icon-512.png"))
    browser.wait(lambda it: it.run("return document.querySelector('#sign img')?.naturalWidth") == 128)
    assert shown(browser, "#icon-error") == ""
    browser.click("Remove the icon")
    browser.wait(lambda it: "People see the first letter of your domain instead." in shown(it, "#question"))
    browser.press(Keys.ESCAPE)
    assert browser.count("#sign img") == 1
    browser.click("Remove the icon")
    browser.confirm()
    browser.wait(lambda it: shown(it, "#sign") == "L" and browser.run("return document.activeElement.id") == "icon")
    browser.find("#icon").send_keys(str(STATIC / "icon-512.png"))
    browser.wait(lambda it: it.count("#sign img") == 1 and "The icon is saved." in it.text())
    assert browser.find("#sign img").get_attribute("src").startswith(f"{home}/icons/{appid}/")


def test_a_wide_picture_becomes_an_icon(browser: Browser, scene: Scene, home: str, tmp_path: Path) -> None:
    Image.new("RGB", (1500, 100), "red").save(tmp_path / "wide.png")
    open_new(browser, home, "chess.example.org", "wim@example.org")
    browser.settled()
    browser.find("#icon").send_keys(str(tmp_path / "wide.png"))
    browser.wait(lambda it: it.count("#sign img") == 1 and "The icon is saved." in it.text())
    browser.assert_quiet()


@pytest.mark.slow
def test_an_icon_and_a_new_name_are_saved_and_a_new_domain_starts_over(browser: Browser, scene: Scene, home: str) -> None:
    appid, _ = start(browser, scene, email="tim@example.org")
    choose_icon(browser, home, appid)
    owner = Person(home, "tim@example.org")
    Person(home, "ute@example.org").call("POST", f"/grant/{appid}")
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
    assert scene.granted("ute@example.org") == []
    browser.settled()
    browser.find("#edit [name=domain]").send_keys("/x", Keys.ENTER)
    browser.click("Change the domain")
    browser.wait(lambda it: shown(it, "#domain-error").startswith("Enter only the name of the site"))
    browser.assert_quiet(REFUSED)


def test_a_page_that_shows_a_former_domain_saves_a_name_and_moves_nothing(browser: Browser, scene: Scene, home: str) -> None:
    appid = open_new(browser, home, "chess.example.org", "udo@example.org")
    owner = Person(home, "udo@example.org")
    owner.call("PATCH", f"/myapps/{appid}", {"domain": "go.example.org"})
    browser.find("#edit [name=name]").send_keys(" of Hamburg", Keys.ENTER)
    browser.wait(lambda it: shown(it, "h1") == "Chess club of Hamburg")
    found = owner.call("GET", f"/myapps/{appid}")
    assert (found["name"], found["domain"]) == ("Chess club of Hamburg", "go.example.org")
    assert browser.find("#edit [name=domain]").get_property("value") == "go.example.org", "the page knows it now"
    browser.assert_quiet()


def test_without_javascript_the_pages_say_so(browser: Browser, scene: Scene, home: str) -> None:
    appid = open_new(browser, home, scene.site.domain, "nora@example.org")
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{home}/myapps/{appid}")
        assert "To use the buttons on this page, turn on JavaScript" in browser.text() and "Domain not proven" in browser.text()
        browser.open(f"{home}/myapps")
        assert "To register an application, turn on JavaScript" in browser.text() and "Chess club" in browser.text()
    finally:
        browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
