"""A page that gets under the pointer between two clicks: what it shows is read before it is answered (section 6)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dpresence.tests.live.clients import Application, Person

from .conftest import Scene
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def slow(*values: object) -> object:
    """Return parameters of a case that `make faults` tries, because others are much like it."""
    return pytest.param(*values, marks=pytest.mark.slow)


LURE = """<!doctype html><title>lure</title><style>body {{ margin: 0 }} button {{ position: fixed; inset: 0; width: 100% }}</style>
<button>Double click to play</button><script>addEventListener("mousedown", () => {{ {attack} }})</script>"""
BUSY = """addEventListener("pageshow", () => setTimeout(() => {
  const end = performance.now() + 1500;
  while (performance.now() < end);
  window.paintedNext = true;
}))"""
NO_SCRIPTS = "Emulation.setScriptExecutionDisabled"


@pytest.fixture(autouse=True)
def dead_buttons(browser: Browser) -> None:
    browser.keep_dead_buttons()


@pytest.fixture
def application(browser: Browser, scene: Scene) -> Iterator[Application]:
    scene.site.pages["/back"] = "<title>Chess</title>Welcome back"
    application = scene.application()
    browser.enter(scene.service.origin, "dot@example.org", "/")
    yield application
    browser.cdp(NO_SCRIPTS, value=False)


def place(browser: Browser, url: str, selector: str) -> tuple[int, int]:
    """Return where a button is: an attacker knows it from a visit of their own."""
    browser.open(url)
    rect = browser.find(selector).rect
    return int(rect["x"] + rect["width"] / 2), int(rect["y"] + rect["height"] / 2)


def attack(browser: Browser, scene: Scene, host: str, script: str, spot: tuple[int, int]) -> None:
    """Open somebody else's page and double-click on it."""
    scene.evil.pages["/"] = LURE.format(attack=script)
    browser.open(f"{scene.evil.under(host)}/")
    press(browser, spot)
    browser.wait(lambda it: it.title != "lure")
    press(browser, spot)


def press(browser: Browser, spot: tuple[int, int]) -> None:
    for kind in ("mousePressed", "mouseReleased"):
        browser.cdp("Input.dispatchMouseEvent", type=kind, x=spot[0], y=spot[1], button="left", clickCount=1)


@pytest.mark.parametrize(
    ("host", "button"), [("127.0.0.1", "allow"), ("localhost", "deny"), slow("127.0.0.1", "deny"), slow("localhost", "allow")]
)
def test_the_second_click_of_a_double_click_is_no_answer(
    browser: Browser, scene: Scene, application: Application, host: str, button: str
) -> None:
    asking = scene.asking(application)
    spot = place(browser, asking, f"[name={button}]")
    attack(browser, scene, host, f"location = {asking!r}", spot)
    assert browser.count("[name=allow]") == 1 and browser.url == asking, "the question still stands"
    assert application.appid not in scene.granted("dot@example.org")
    browser.settled()
    press(browser, spot)
    browser.wait(lambda it: it.title == "Chess")
    assert (application.appid in scene.granted("dot@example.org")) == (button == "allow")


def test_the_second_click_of_a_double_click_does_not_sign_out(browser: Browser, scene: Scene, application: Application) -> None:
    sidebar = f"{scene.service.origin}/sidebar"
    spot = place(browser, sidebar, "#signout")
    attack(browser, scene, "localhost", f"location = {sidebar!r}", spot)
    browser.settled()
    assert browser.url == sidebar and browser.count("#signout") == 1
    press(browser, spot)
    browser.wait(lambda it: it.count("#signout") == 0)


def test_a_page_that_is_painted_late_takes_no_answer_in_its_first_second(browser: Browser, scene: Scene, application: Application) -> None:
    asking = scene.asking(application)
    spot = place(browser, asking, "[name=allow]")
    script = browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=BUSY)["identifier"]
    browser.open(asking)
    browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    browser.wait(lambda it: it.run("return window.paintedNext"))
    press(browser, spot)
    assert browser.count("[name=allow]") == 1 and application.appid not in scene.granted("dot@example.org")
    browser.settled()
    press(browser, spot)
    browser.wait(lambda it: it.title == "Chess")


def test_the_buttons_show_that_they_are_not_alive_yet(browser: Browser, scene: Scene, application: Application) -> None:
    look = "const {opacity, cursor} = getComputedStyle(document.querySelector('[name=allow]')); return [opacity, cursor]"
    browser.open(scene.asking(application))
    assert browser.run(look)[0] == "0.45"
    browser.settled()
    assert browser.run(look) == ["1", "pointer"]


def test_without_scripts_the_service_refuses_an_answer_within_a_second(browser: Browser, scene: Scene, application: Application) -> None:
    asking = scene.asking(application)
    browser.cdp(NO_SCRIPTS, value=True)
    browser.open(asking)
    browser.find("[name=allow]").send_keys("\ue007")  # Enter: the style sheet stops the pointer only
    browser.wait(lambda it: it.find("h1").text == "That was too quick")
    assert "The application got no access." in browser.text() and application.appid not in scene.granted("dot@example.org")
    browser.click_on("main a.button")
    browser.wait(lambda it: it.count("[name=allow]") == 1)
    browser.wait(lambda it: it.find("[name=allow]").value_of_css_property("pointer-events") == "auto")
    browser.click_on("[name=allow]")
    browser.wait(lambda it: it.title == "Chess")
    assert application.appid in scene.granted("dot@example.org")


@pytest.mark.parametrize(
    "event",
    [
        "window.dispatchEvent(new Event('focus'))",
        slow("window.dispatchEvent(new Event('blur'))"),
        "window.dispatchEvent(new Event('resize'))",
        slow("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"),
        slow("document.dispatchEvent(new Event('visibilitychange'))"),
    ],
)
def test_the_second_begins_anew_when_the_page_comes_back(browser: Browser, scene: Scene, application: Application, event: str) -> None:
    spot = place(browser, scene.asking(application), "[name=allow]")
    browser.settled()
    browser.run(event)
    press(browser, spot)
    assert browser.count("[name=allow]") == 1 and application.appid not in scene.granted("dot@example.org")
    browser.settled()
    press(browser, spot)
    browser.wait(lambda it: it.title == "Chess")


def test_a_tab_that_is_opened_long_before_is_no_way_round(browser: Browser, scene: Scene, application: Application) -> None:
    spot = place(browser, scene.asking(application), "[name=allow]")
    browser.tab()
    browser.open("about:blank")
    browser.tab(0)
    press(browser, spot)
    assert browser.count("[name=allow]") == 1 and application.appid not in scene.granted("dot@example.org")


@pytest.mark.parametrize(
    ("path", "selector", "dialog"),
    [
        slow("/sidebar", "#everywhere", True),
        ("/sidebar", "#grants .danger", True),
        ("/sidebar", "#signout", False),
        ("APP", "#delete", True),
        slow("APP", "#deactivate", True),
    ],
)
def test_buttons_of_other_pages_that_end_something_wait_as_well(
    browser: Browser, scene: Scene, application: Application, path: str, selector: str, dialog: bool
) -> None:
    if path == "APP":
        browser.enter(scene.service.origin, application.owner.email)
        path = f"/myapps/{application.appid}"
    elif "grants" in selector:
        Person(scene.service.origin, "dot@example.org").grant(application)
    browser.open(scene.service.origin + path)
    browser.wait(lambda it: it.count(selector) >= 1)
    click = f"document.querySelector('{selector}').click()"
    browser.run(f"window.dispatchEvent(new Event('focus')); {click}")
    assert browser.count("dialog[open]") == 0 and browser.count("#signout") == 1
    browser.settled()
    browser.run(click)
    if not dialog:
        return browser.wait(lambda it: it.count("#signout") == 0)
    browser.run("document.getElementById('question-yes').click()")
    assert browser.count("dialog[open]") == 1, "nor is the second click of a double click an answer to the dialog"
    browser.click_on("dialog button[value=no]")
    browser.wait(lambda it: it.count("dialog[open]") == 0)
    return None
