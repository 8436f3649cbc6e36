"""The sidebar says nothing that is not so: after a sign-out, between tabs, while an answer is late (docs/pages.md)."""

from __future__ import annotations

import pytest

from .sidebar import SAID, Stage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_person_signed_out_is_not_said_to_be_seen_and_nothing_of_theirs_stays_on_the_screen(stage: Stage) -> None:
    stage.service.notify({"puid": stage.puid, "message": "Our secret"})
    stage.wait_for("notifications", lambda text: "Our secret" in text)
    stage.browser.tab()
    stage.browser.open(f"{stage.origin}/")
    stage.browser.click("Sign out")
    stage.browser.wait(lambda it: it.count("meta[name=csrf]") == 0)
    stage.browser.tab(0)
    stage.browser.wait(lambda it: stage.connection == "Signed out")
    text = stage.browser.find("main").text
    assert "Applications see you" not in text
    assert "Our secret" not in text and stage.application.domain not in text


def test_a_page_of_who_is_not_signed_in_any_more_never_shows_the_lists_of_who_is(stage: Stage) -> None:
    stage.browser.tab()
    stage.browser.enter(stage.origin, "bob@example.org", "/myapps")
    stage.browser.tab(0)
    stage.browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    stage.browser.wait(lambda it: it.find(".who .address").text == "bob@example.org")
    stage.wait_connected()
    assert stage.browser.find("#me").get_attribute("data-email") == "bob@example.org"


LOOK = """
    window.changed = true;
    addEventListener("DOMContentLoaded", () => {
      window.said = [];
      const seen = document.getElementById("seen");
      if (seen) new MutationObserver(() => said.push(seen.textContent)).observe(seen, {childList: true});
    });
    const fetching = window.fetch;
    window.fetch = async (path, options) => {
      if (path === "/devices") await new Promise((go) => setTimeout(go, 1000));
      return fetching(path, options);
    };
"""


def test_another_device_is_never_blamed_while_the_list_of_devices_is_on_its_way(stage: Stage) -> None:
    script = stage.browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=LOOK)["identifier"]
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    stage.browser.wait(lambda it: "see you as online." in it.text())
    said = stage.browser.run("return said")
    stage.browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    assert said and not [words for words in said if "another device" in words]


OVERTAKEN = """
    window.changed = true;
    const other = new BroadcastChannel("dpresence %s");
    window.states = [];
    other.onmessage = ({data: [what, value]}) => what === "state" && states.push(value.state);
    other.postMessage(["state", {state: "stopped", code: 4010, reason: "a newer connection has this device"}]);
    other.postMessage(["welcome", [{state: "stopped", code: 4010, reason: "x"}, "offline", []]]);
"""


def test_a_tab_that_wakes_up_overtaken_does_not_speak_for_the_one_that_is_connected(stage: Stage) -> None:
    stage.browser.run(OVERTAKEN % stage.sue.email)
    stage.browser.wait(lambda it: it.run("return states").count("connected") == 1)
    assert stage.connection == "Connected" and stage.pressed() == "Online"


LATE = """
    window.changed = true;
    const [fetching, waiting] = [window.fetch, {}];
    let late = true;
    window.fetch = async (path, options) => {
      const answer = await fetching(path, options);
      if (late && path.startsWith("/grants")) await (late = false, new Promise((go) => (window.arrive = go)));
      return answer;
    };
    document.dispatchEvent(new Event("visibilitychange"));
"""


def test_an_answer_that_comes_late_does_not_undo_what_was_shown_since(stage: Stage) -> None:
    stage.browser.run(LATE)
    stage.browser.wait(lambda it: it.run("return !!window.arrive"))
    stage.browser.click("Pause")
    stage.wait_for("grants", lambda text: "Paused" in text)
    stage.browser.run("arrive()")
    stage.browser.run_async("setTimeout(arguments[0], 300)")
    assert "Paused" in stage.part("grants")


def test_a_notification_of_an_application_allowed_just_now_names_its_domain(stage: Stage) -> None:
    application = stage.scene.application("Go club")
    puid, service = stage.sue.grant(application), application.service()
    service.notify({"puid": puid, "message": "Welcome"})
    stage.wait_for("notifications", lambda text: "Welcome" in text and application.domain in text)
    assert stage.browser.find("#status").text == SAID.format(application.domain, "Go club", "Welcome")
    service.close()


REFUSES = """
    window.changed = true;
    window.Notification = Object.assign(function () { throw new TypeError("Illegal constructor"); },
      {permission: "granted", requestPermission: async () => "granted"});
"""


def test_a_browser_that_cannot_show_notifications_outside_says_so(stage: Stage) -> None:
    stage.browser.run(REFUSES)
    stage.browser.click("Turn on desktop notifications")
    stage.browser.wait(lambda it: "cannot" in it.find("#alert").text)
    assert stage.browser.find("#desktop-notifications").text == "Turn on desktop notifications"
    stage.service.notify({"puid": stage.puid, "message": "ping"})
    stage.wait_for("notifications", lambda text: "ping" in text)
    stage.browser.assert_quiet()
