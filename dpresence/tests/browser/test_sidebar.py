"""The sidebar in a browser, by clicking: a real device, and a person's control over who sees them (sections 3 and 6)."""

from __future__ import annotations

import time

import pytest
from selenium.webdriver.common.keys import Keys

from .accessibility import CUT, Axe
from .conftest import Scene
from .sidebar import BACKOFF_SECONDS, LOST, MARKUP, Stage
from .support import Browser

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_it_is_usable_by_everybody(stage: Stage, axe: Axe) -> None:
    with stage.sue.device("unavailable", device="phone", ack=True):
        stage.browser.open(f"{stage.origin}/sidebar")
        stage.service.notify({"puid": stage.puid, "message": "Your move", "action": f"http://{stage.application.domain}/game/7"})
        stage.wait_for("notifications", lambda text: "Your move" in text)
        stage.wait_for("devices", lambda text: "phone" in text and "this browser" in text)
        stage.wait_for("grants", lambda text: "last active: today" in text)
        axe.check(stage.browser, "sidebar")
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_the_page_is_a_device_and_its_buttons_are_its_status(stage: Stage) -> None:
    assert stage.pressed() == "Online"
    for words, status in (("Unavailable", "unavailable"), ("Offline", "offline"), ("Online", "online")):
        stage.browser.click(words)
        assert stage.updates() == [(status, "explicit")]
        assert stage.pressed() == words
        stage.browser.wait(lambda it, words=words: f"see you as {words.lower()}." in it.text())
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_each_application_says_what_it_sees_and_why_and_when_it_looked(stage: Stage, axe: Axe) -> None:
    stage.wait_for("grants", lambda text: "It sees you as online" in text)
    stage.browser.run("document.querySelector('#grants summary').click()")
    stage.wait_for("grants", lambda text: "Your devices together are online" in text and "today: connected 1 time" in text)
    stage.browser.click("Pause")
    stage.wait_for(
        "grants", lambda text: "It sees you as offline" in text and "You have paused this application, so you look offline" in text
    )
    assert stage.updates() == [("offline", "explicit")]
    axe.check(stage.browser, "sidebar-explained")
    stage.browser.click("Resume")
    stage.wait_for("grants", lambda text: "It sees you as online" in text and "Your devices together are online" in text)
    assert stage.updates() == [("online", "explicit")]
    stage.browser.run("document.querySelector('#grants summary').click()")
    stage.browser.assert_quiet()


# Lets time pass for the watch of activity alone: its timers are the only ones of five minutes.
PASSING = """
    const [now, wait] = [performance.now.bind(performance), window.setTimeout];
    const timers = new Set();
    let passed = 0;
    performance.now = () => now() + passed;
    window.setTimeout = (run, milliseconds, ...rest) => {
      if (milliseconds < 250000) return wait(run, milliseconds, ...rest);
      timers.add([run, performance.now() + milliseconds]);
    };
    window.pass = (seconds) => {
      passed += seconds * 1000;
      for (const timer of timers) if (timer[1] <= performance.now()) { timers.delete(timer); timer[0](); }
    };
"""


@pytest.mark.slow
def test_a_status_for_all_devices_counts_above_each_until_it_is_ended(stage: Stage) -> None:
    def choose(control: str, value: str) -> None:
        it = f"document.getElementById('{control}')"
        stage.browser.run(f"{it}.value = '{value}'; {it}.dispatchEvent(new Event('change'))")

    with stage.sue.device("online", device="phone"):
        choose("override", "unavailable")
        assert stage.updates() == [("unavailable", "explicit")]
        stage.browser.wait(lambda it: "see you as unavailable, as you have set it for all devices." in it.text())
        stage.browser.look(360)
        assert stage.browser.run(CUT) == []
        stage.browser.look()
        choose("override-for", "1")
        stage.browser.wait(lambda it: it.find("#override-until").text.startswith("until "))
        stage.browser.click("End it now")
        assert stage.updates() == [("online", "explicit")]
        stage.browser.wait(lambda it: "see you as online." in it.text() and not it.find("#override-until").text)
        stage.browser.click("until tomorrow")
        assert stage.updates() == [("unavailable", "explicit")]
        stage.browser.wait(lambda it: it.find("#state").text == "Unavailable" and it.count("#own-status.overruled") == 1)
        assert stage.browser.run("return document.activeElement.id") == "override"
        stage.sue.call("DELETE", "/status")
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_a_person_who_chose_so_is_unavailable_without_input_until_any_tab_has_some(stage: Stage) -> None:
    choose = "const it = document.getElementById('away'); it.value = '5'; it.dispatchEvent(new Event('change')); it.blur()"
    stage.browser.run("globalThis.IdleDetector = undefined;" + PASSING + choose)
    stage.browser.wait(lambda it: it.find("#away-how").is_displayed())
    stage.browser.run("pass(299)")
    assert not stage.browser.find("#away-now").is_displayed()
    stage.browser.run("pass(2)")
    assert stage.updates() == [("unavailable", "explicit")]
    stage.browser.wait(lambda it: it.find("#away-now").is_displayed() and it.find("#state").text == "Unavailable")
    assert stage.pressed() == "Online"
    stage.browser.run(f"new BroadcastChannel('dpresence {stage.sue.email}').postMessage(['input'])")
    assert stage.updates() == [("online", "explicit")]
    stage.browser.wait(lambda it: not it.find("#away-now").is_displayed())
    stage.browser.open(stage.browser.url)
    stage.wait_connected()
    assert stage.browser.run("return document.getElementById('away').value") == "5"
    stage.browser.run(choose.replace("'5'", "''"))
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_a_reload_is_seen_by_nobody_and_keeps_the_status(stage: Stage) -> None:
    stage.browser.click("Unavailable")
    assert stage.updates() == [("unavailable", "explicit")]
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    assert stage.pressed() == "Unavailable"
    stage.service.assert_no_updates()
    assert len(stage.sue.call("GET", "/devices")["devices"]) == 1
    stage.browser.click("Online")
    assert stage.updates() == [("online", "explicit")]


@pytest.mark.slow
def test_another_device_that_is_more_reachable_is_reported(stage: Stage) -> None:
    with stage.sue.device("online", device="phone"):
        stage.browser.click("Offline")
        stage.browser.wait(lambda it: "see you as online, because of another device." in it.text())
        stage.browser.click("Sign out phone")
        stage.browser.click("Cancel")
        assert "phone" in stage.part("devices")
        stage.browser.click("Sign out phone")
        stage.browser.confirm()
        stage.wait_for("devices", lambda text: "phone" not in text)
    stage.browser.wait(lambda it: "see you as offline." in it.text())
    stage.browser.click("Online")
    assert stage.updates(2) == [("offline", "explicit"), ("online", "explicit")]


@pytest.mark.slow
def test_the_end_of_a_grant_is_removed_and_restored(stage: Stage) -> None:
    path, end = f"/grant/{stage.application.appid}", int(time.time() * 1000) + 3_600_000

    def ends() -> int | None:
        return stage.sue.call("GET", "/grants")["grants"][0]["until"]

    stage.sue.call("PATCH", path, {"until": end})
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.wait_for("grants", lambda text: "Ends on" in text)
    stage.browser.click("Keep")
    stage.browser.wait(lambda it: "sees you until you stop it." in it.find("#undo").text)
    assert ends() is None
    stage.browser.click("Undo")
    stage.browser.wait(lambda it: "ends as before." in it.find("#status").text and "Ends on" in stage.part("grants"))
    assert ends() == end
    stage.sue.call("PATCH", path, {"until": None})
    stage.browser.assert_quiet()


def test_pause_hides_a_user_and_resume_shows_them_again(stage: Stage) -> None:
    stage.browser.click("Pause")
    stage.wait_for("grants", lambda text: "Paused" in text)
    assert stage.updates()[0][0] == "offline"
    assert stage.browser.run("return document.activeElement.textContent") == "Resume", "the focus stays where it was"
    stage.browser.click("Resume")
    stage.wait_for("grants", lambda text: "Paused" not in text)
    assert stage.updates()[0][0] == "online"
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_revoke_asks_first_and_then_the_application_is_gone(stage: Stage) -> None:
    stage.browser.click("Revoke")
    assert stage.application.domain in stage.browser.find("#question").text
    stage.browser.press(Keys.ESCAPE)
    stage.browser.wait(lambda it: it.count("dialog[open]") == 0)
    assert stage.scene.granted(stage.sue.email) == [stage.application.appid]
    stage.browser.click("Revoke")
    stage.browser.confirm()
    stage.wait_for("no-grants", lambda text: "No application can see you" in text)
    assert stage.updates() == [("offline", "revoked")] and stage.scene.granted(stage.sue.email) == []
    assert stage.browser.run("return document.activeElement.id") == "grants-title"
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_the_page_survives_a_restart_of_the_service(stage: Stage) -> None:
    stage.browser.click("Unavailable")
    stage.scene.service.kill()
    stage.browser.wait(lambda it: stage.connection.startswith("Reconnecting in"))
    stage.scene.service.start()
    stage.wait_connected(BACKOFF_SECONDS)
    assert stage.pressed() == "Unavailable"
    assert [one["status"] for one in stage.sue.call("GET", "/devices")["devices"]] == ["unavailable"]
    stage.browser.assert_quiet(*LOST)


@pytest.mark.slow
def test_signing_out_elsewhere_is_said_clearly_and_leads_back_in(stage: Stage) -> None:
    stage.browser.tab()
    stage.browser.open(f"{stage.origin}/")
    stage.browser.click("Sign out")
    stage.browser.wait(lambda it: it.count("meta[name=csrf]") == 0)
    stage.browser.tab(0)
    stage.browser.wait(lambda it: stage.connection == "Signed out" and "You are signed out here" in it.text())
    assert not stage.browser.find("#connect-again").is_displayed()
    stage.browser.click("Sign in again")
    stage.browser.sign_in(stage.sue.email)
    stage.wait_connected()
    assert stage.browser.url == f"{stage.origin}/sidebar"
    stage.browser.assert_quiet("401")


def test_signing_out_makes_no_call_that_is_refused(stage: Stage) -> None:
    stage.browser.click("Sign out")
    stage.browser.wait(lambda it: it.url == f"{stage.origin}/" and it.count("meta[name=csrf]") == 0)
    assert stage.browser.find("#outcome").text == "You are signed out."
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_this_device_signed_out_by_hand_can_connect_again(stage: Stage) -> None:
    device = stage.sue.call("GET", "/devices")["devices"][0]["device"]
    stage.browser.click(f"Sign out {device}")
    stage.browser.confirm()
    stage.browser.wait(lambda it: stage.connection == "Disconnected" and "This device was disconnected" in it.text())
    stage.browser.click("Connect again")
    stage.wait_connected()
    assert stage.updates(2) == [("offline", "explicit"), ("online", "explicit")]
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_everything_can_be_done_with_the_keyboard(stage: Stage) -> None:
    stage.browser.run("document.getElementById('main').focus()")
    reached = []
    for _ in range(24):
        stage.browser.press(Keys.TAB)
        words = stage.browser.run("const it = document.activeElement; return it.options ? it.dataset.key ?? it.id : it.textContent")
        assert stage.browser.run("return getComputedStyle(document.activeElement).outlineStyle") != "none", words
        if words != "Install as an app":  # Chromium offers that at a time of its own
            reached.append(words.removesuffix(" unavailable").removesuffix(" online"))  # either: the list is loaded again after Enter
        if words in ("Unavailable", "Revoke"):
            stage.browser.press(Keys.ENTER)
        if words == "Revoke":
            break
    status = ["Online", "Unavailable", "Offline", "for 1 hour", "until tomorrow", "override", "away"]
    assert reached == [
        *status,
        "Turn on desktop notifications",
        f"shows {stage.application.appid}",
        "It sees you as",
        "Pause",
        "Revoke",
    ]
    assert stage.updates() == [("unavailable", "explicit")]
    assert stage.browser.run("return document.activeElement.textContent") == "Cancel", "yes is never what Enter does at once"
    stage.browser.press(Keys.TAB, Keys.SPACE)
    assert stage.updates() == [("offline", "revoked")]


@pytest.mark.slow
def test_a_name_full_of_markup_is_text(browser: Browser, scene: Scene) -> None:
    stage = Stage(browser, scene, MARKUP)
    assert MARKUP in stage.part("grants") and "49" not in stage.part("grants").replace(stage.application.domain, "")
    assert browser.count("main img") == 0
    browser.assert_quiet()
    stage.service.close()


def test_a_device_says_what_it_is_and_is_renamed(stage: Stage) -> None:
    stage.wait_for("devices", lambda text: "Chrome on Linux" in text)
    assert stage.browser.count("#devices svg path") == 1
    stage.browser.click("Rename")
    stage.browser.press(Keys.ESCAPE)
    stage.browser.click("Rename")
    assert stage.browser.run("return document.activeElement.value") == "Chrome on Linux"
    stage.browser.press("Kitchen", Keys.ENTER)
    stage.wait_for("devices", lambda text: "Kitchen" in text and "Chrome on Linux" not in text)
    [known] = stage.sue.call("GET", "/devices")["known"]
    assert (known["label"], known["kind"]) == ("Kitchen", "browser")
    stage.browser.assert_quiet()
