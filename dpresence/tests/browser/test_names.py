"""People's text on pages: it never hides or turns the domain, whichever direction it has and however it got there (sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import Scene
from .sidebar import SPY, Stage
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HEBREW = "\u05e9\u05d7\u05de\u05d8 \u05dc\u05db\u05d5\u05dc\u05dd (C++)\u200f"
DIRECTION = "return [...document.querySelectorAll('%s')].map((one) => getComputedStyle(one).direction)"
EARLIER = """
    window.changed = true;
    const others = new BroadcastChannel("dpresence %s");
    const odd = {source: "\\u202e\\u2069evil\\u2068", message: "\\u202e?\\u2069", sent: 0};
    for (const [id, action] of Object.entries(%s)) others.postMessage(["notification", {...odd, id, action, appid: "%s"}]);
"""
ACTIONS = [
    "https://a b/",
    "https://",
    "http://[::1",
    "https://xn--a.%s/",
    "https://1.2.3.0x7.8.9/",
    "javascript:alert(1)",
    "call",
    "https://ok.example/",
]


@pytest.fixture
def stage(browser: Browser, scene: Scene) -> Iterator[Stage]:
    stage = Stage(browser, scene, HEBREW)
    yield stage
    stage.service.close()


def test_a_name_from_right_to_left_stands_beside_the_domain_and_leaves_it_alone(stage: Stage) -> None:
    assert stage.browser.run(DIRECTION % "#grants .name") == ["rtl"]
    assert stage.browser.run(DIRECTION % "#grants h3") == ["ltr"]
    assert stage.browser.find("#grants h3").text == stage.application.domain
    stage.browser.open(stage.scene.asking(stage.application))
    assert stage.browser.find("h1 strong").text == stage.application.domain
    assert stage.browser.run(DIRECTION % "main bdi") == ["rtl"] and stage.browser.run(DIRECTION % "h1") == ["ltr"]


def test_a_notification_outside_the_page_begins_with_the_domain(stage: Stage) -> None:
    stage.browser.run(SPY)
    stage.browser.click("Turn on desktop notifications")
    stage.browser.wait(lambda it: it.find("#desktop-notifications").text == "Turn off desktop notifications")
    stage.service.notify({"puid": stage.puid, "message": "one"}, {"puid": stage.puid, "source": "\u05d0" * 254, "message": "two"})
    stage.wait_for("notifications", lambda text: "two" in text)
    stage.browser.wait(lambda it: it.run("return shown.length") == 3)
    titles = [title for title, _ in stage.browser.run("return shown")][1:]
    assert titles == [f"{stage.application.domain}: \u2068{name}\u2069" for name in (HEBREW, "\u05d0" * 254)]
    assert stage.browser.find("#status").text.startswith(f"{stage.application.domain}: ")
    assert stage.browser.run(DIRECTION % "#notifications strong, #notifications bdi") == ["ltr", "rtl"] * 2
    assert stage.browser.find("#notifications li p").text.startswith(stage.application.domain)


def test_a_name_stored_before_the_rules_neither_stops_the_page_nor_turns_its_text(stage: Stage) -> None:
    stage.browser.run(SPY)
    stage.browser.click("Turn on desktop notifications")
    actions = {f"n{number}": action.replace("%s", stage.application.domain) for number, action in enumerate(ACTIONS)}
    stage.browser.run(EARLIER % (stage.sue.email, actions, stage.application.appid))
    stage.browser.wait(lambda it: it.count("#notifications li") == len(ACTIONS))
    links = stage.browser.run("return [...document.querySelectorAll('#notifications a')].map((one) => one.href)")
    assert "https://ok.example/" in links and not any(link.startswith("javascript") for link in links)
    titles = {title for title, _ in stage.browser.run("return shown")} - {"Notifications will look like this"}
    assert titles <= {f"{stage.application.domain}: \u2068evil\u2069"}
    stage.service.notify({"puid": stage.puid, "message": "still here"})
    stage.wait_for("notifications", lambda text: "still here" in text)
    stage.browser.assert_quiet()


LONG = "accounts.bank.com.sign-in.security-check-now.attacker.org"
SENT = """
    window.changed = true;
    new BroadcastChannel("dpresence %s").postMessage(["notification",
      {source: "Bank", message: "Pay", action: "", sent: 0, id: "long", appid: "x", domain: "%s", site: "attacker.org"}]);
"""


def test_an_attacker_with_a_bank_in_front_of_their_domain_is_named_by_it_outside_the_page(stage: Stage) -> None:
    stage.browser.run(SPY)
    stage.browser.click("Turn on desktop notifications")
    stage.browser.run(SENT % (stage.sue.email, LONG))
    stage.browser.wait(lambda it: it.run("return shown.length") == 2)
    assert stage.browser.run("return shown[1]") == ["attacker.org: \u2068Bank\u2069", f"{LONG}\nPay"]
    assert LONG in stage.part("notifications")


UNREADABLE = """
    const fetching = window.fetch, away = '{"errno": 201, "error": "away"}';
    window.fetch = async (path, options) => path.startsWith("/grants") ? new Response(away, {status: 503}) : fetching(path, options);
"""


def test_a_notification_names_the_domain_though_the_list_of_grants_cannot_be_read(stage: Stage) -> None:
    script = stage.browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=UNREADABLE)["identifier"]
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.browser.wait(lambda it: stage.connection == "Connected" and "The service is unavailable for a moment." in it.text())
    stage.browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    stage.browser.run(SPY)
    stage.browser.click("Turn on desktop notifications")
    stage.service.notify({"puid": stage.puid, "source": "My bank", "message": "Pay"})
    stage.browser.wait(lambda it: it.run("return shown.length") == 2)
    assert stage.browser.run("return shown[1][0]") == f"{stage.application.domain}: \u2068My bank\u2069"
    assert stage.application.domain in stage.part("notifications")


def test_a_browser_that_kept_something_odd_is_a_device_all_the_same(stage: Stage) -> None:
    for name, odd in (("device", "two words"), ("status", "asleep"), ("ticket", "ticket:odd")):
        stage.browser.run(f"localStorage.setItem('dpresence {stage.sue.email} {name}', '{odd}')")
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    assert stage.pressed() == "Online"


def test_a_description_of_two_lines_can_be_written_and_changed(browser: Browser, scene: Scene) -> None:
    browser.enter(scene.service.origin, "lou@example.org", "/myapps")
    for field, text in (("name", "Two lines"), ("domain", "lines.example.org"), ("description", "one\ntwo")):
        browser.write(field, text)
    browser.click("Register")
    browser.wait(lambda it: it.count("#edit") == 1)
    assert browser.find("#description").get_property("value") == "one\ntwo"
    browser.write("description", "\nthree")
    browser.settled()
    browser.click_on("#edit button")  # the form of the webhook has a button of the same name
    browser.wait(lambda it: it.find("#status").text == "Saved.")
    browser.open(browser.url)
    assert browser.find("#description").get_property("value") == "one\ntwo\nthree"


def test_a_description_is_shown_in_its_lines_and_its_direction(browser: Browser, scene: Scene) -> None:
    application = scene.application(description=f"{HEBREW}\nsecond line")
    browser.enter(scene.service.origin, "lin@example.org", "/")
    browser.open(scene.asking(application))
    assert browser.find("main .lines").text.split("\n")[-1] == "second line"
    assert browser.run(DIRECTION % "main .lines") == ["rtl"]
    assert browser.find("h1 strong").text == application.domain
