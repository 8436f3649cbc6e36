"""The sidebar in several tabs of a browser, which are one device."""

from __future__ import annotations

import pytest

from dpresence.tests.live.clients import Person

from .conftest import Scene
from .sidebar import Stage
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AGAIN = """
    const others = new BroadcastChannel("dpresence %s"), one = {appid: "", source: "x", message: "other", action: "", sent: 0, id: "1"};
    others.postMessage(["notification", one]);
    others.postMessage(["notification", one]);
"""


def test_two_tabs_are_one_device_and_the_second_goes_on_after_the_first(stage: Stage) -> None:
    stage.browser.tab()
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    assert len(stage.sue.call("GET", "/devices")["devices"]) == 1
    stage.browser.click("Unavailable")
    assert stage.updates() == [("unavailable", "explicit")]
    stage.service.notify({"puid": stage.puid, "message": "both"})
    for number in (1, 0):
        stage.browser.tab(number)
        stage.wait_for("notifications", lambda text: "both" in text)
        assert stage.pressed() == "Unavailable" and stage.connection == "Connected"
    stage.browser.leave()  # the first one, which held the channel
    stage.browser.click("Online")
    assert stage.updates() == [("online", "explicit")]
    assert stage.connection == "Connected" and stage.browser.count("#notifications li") == 1
    stage.browser.run(AGAIN % stage.sue.email)
    stage.wait_for("notifications", lambda text: "other" in text)
    assert stage.browser.count("#notifications li") == 2, "a notification that is delivered again is not shown twice"
    stage.service.assert_no_updates()
    stage.browser.assert_quiet()


def test_a_tab_that_was_signed_out_does_not_stand_in_the_way_of_a_new_one(stage: Stage) -> None:
    stage.browser.tab()
    stage.browser.open(f"{stage.origin}/")
    stage.browser.click("Sign out")
    stage.browser.wait(lambda it: it.count("meta[name=csrf]") == 0)
    stage.browser.enter(stage.origin, stage.sue.email, "/sidebar")
    stage.wait_connected()
    stage.browser.tab(0)
    stage.browser.wait(lambda it: stage.connection == "Connected")


def test_a_tab_that_was_put_to_sleep_with_the_lock_is_overtaken(browser: Browser, scene: Scene) -> None:
    browser.enter(scene.service.origin, "sleepy@example.org")
    browser.run("navigator.locks.request('dpresence sleepy@example.org', () => new Promise(() => {})).catch(() => {})")
    browser.tab()
    browser.open(f"{scene.service.origin}/sidebar")
    assert browser.find("#connection").text == "Connecting"
    browser.wait(lambda it: it.find("#connection").text == "Connected")
    browser.assert_quiet()


LATE = """
    const email = "late@example.org", tabs = new BroadcastChannel(`dpresence ${email}`);
    const answer = (state) => tabs.postMessage(["welcome", [{state}, "online", [], false]]);
    tabs.onmessage = ({data: [message]}) => message === "hello" ? answer("connecting") : message === "status" && answer("connected");
    navigator.locks.request(tabs.name, () => new Promise((end) => (window.end = end)));
"""


def test_a_status_chosen_before_another_tab_answers_with_the_earlier_one_stays(browser: Browser, scene: Scene) -> None:
    person = Person(scene.service.origin, "late@example.org")
    browser.enter(scene.service.origin, person.email)
    browser.run(LATE)
    browser.tab()
    browser.open(f"{scene.service.origin}/sidebar")
    browser.click("Offline")
    browser.wait(lambda it: it.find("#connection").text == "Connected")
    assert browser.find(".choice [aria-pressed=true]").text == "Offline"
    browser.tab(0)
    browser.run("end()")  # the other tab has the channel from now on
    browser.wait(lambda _: [each["status"] for each in person.call("GET", "/devices")["devices"]] == ["offline"])


def test_a_device_that_was_signed_out_stays_so_in_all_tabs(stage: Stage) -> None:
    device = stage.sue.call("GET", "/devices")["devices"][0]["device"]
    stage.browser.tab()
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    stage.sue.call("DELETE", f"/devices/{device}")
    for number in (1, 0):
        stage.browser.tab(number)
        stage.browser.wait(lambda it: stage.connection == "Disconnected")
    assert stage.sue.call("GET", "/devices")["devices"] == []
    stage.browser.click("Connect again")
    for number in (0, 1):
        stage.browser.tab(number)
        stage.browser.wait(lambda it: stage.connection == "Connected")
