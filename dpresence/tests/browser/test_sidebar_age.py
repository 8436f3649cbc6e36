"""The sidebar shows the state that the service sent last, with its age if it is not current (docs/pages.md)."""

from __future__ import annotations

import pytest

from dpresence.tests.live.clients import Person

from .conftest import Scene
from .sidebar import BACKOFF_SECONDS, LOST, Stage, names
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOT_NOW = "The lists below were read less than a minute ago."


def seen(browser: Browser) -> str:
    return str(browser.find("#seen").text)


def test_a_person_who_has_allowed_no_application_is_not_said_to_be_seen(browser: Browser, scene: Scene) -> None:
    browser.enter(scene.service.origin, next(names), "/sidebar")
    browser.wait(lambda it: it.find("#connection").text == "Connected" and seen(it) != "")
    assert seen(browser) == "No application sees you: you have not allowed any."
    assert browser.find("#no-grants").is_displayed()


def test_a_person_who_has_paused_everything_is_said_to_look_offline(stage: Stage) -> None:
    stage.browser.wait(lambda it: seen(it) == "Applications see you as online.")
    stage.browser.click("Pause")
    stage.browser.wait(lambda it: seen(it) == "Applications see you as offline: you have paused all of them.")
    assert stage.browser.find("#state").text == "Offline" and stage.browser.count("#own-status.overruled") == 1
    other = stage.scene.application("Go club")
    stage.sue.grant(other)
    stage.browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    stage.browser.wait(lambda it: seen(it) == "Applications that you have not paused see you as online.")


IN_VIEW = """
    const {top, bottom} = document.getElementById("outage").getBoundingClientRect();
    return bottom > top && top >= 0 && bottom <= innerHeight && scrollY > 0;
"""


@pytest.mark.slow
def test_in_an_outage_everything_is_in_the_past_from_the_first_moment(stage: Stage) -> None:
    stage.browser.wait(lambda it: seen(it) == "Applications see you as online.")
    stage.scene.service.kill()
    stage.browser.wait(lambda it: stage.connection.startswith("Reconnecting"))
    assert seen(stage.browser) == "Applications saw you as online less than a minute ago."
    assert NOT_NOW in stage.browser.text()
    assert "was online" in stage.part("devices") and stage.browser.count("#devices [data-status=online]") == 0
    stage.browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    stage.browser.wait(lambda it: it.find("#stale").text == "The service cannot be reached.")
    stage.browser.look(320, height=400)
    stage.browser.run("scrollTo(0, document.documentElement.scrollHeight)")
    stage.browser.wait(lambda it: it.run(IN_VIEW))
    stage.browser.look()
    stage.scene.service.start()
    stage.browser.run("document.getElementById('try-now').click()")  # by a script: the page may connect by itself meanwhile
    stage.wait_connected(BACKOFF_SECONDS)
    stage.browser.wait(lambda it: it.count("#outage.shown") == 0)
    stage.browser.wait(lambda it: seen(it) == "Applications see you as online." and NOT_NOW not in it.text())
    assert "online" in stage.part("devices") and "was online" not in stage.part("devices")
    stage.browser.assert_quiet(*LOST)


DEAF = """
    window.changed = true;
    window.fetch = () => new Promise(() => {});
    const then = Date.now;
    Date.now = () => then() + 61000;
"""


def test_a_network_that_swallows_everything_makes_no_old_answer_new(stage: Stage) -> None:
    stage.browser.wait(lambda it: seen(it) == "Applications see you as online.")
    stage.browser.run(DEAF)
    stage.browser.wait(lambda it: seen(it) == "Applications saw you as online 1 minute ago.")


NO_LISTS = "window.fetch = async () => new Response('{}', {status: 503});"


def test_lists_that_were_never_read_are_not_said_to_be_empty(browser: Browser, scene: Scene) -> None:
    script = browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=NO_LISTS)["identifier"]
    browser.enter(scene.service.origin, next(names), "/sidebar")
    browser.wait(lambda it: it.find("#stale").text != "")
    browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    assert seen(browser) == ""
    assert "No application can see you" not in browser.text() and "None of your devices" not in browser.text()


DEAD_TICKET = """
    const fetching = window.fetch, timeout = AbortSignal.timeout.bind(AbortSignal);
    AbortSignal.timeout = (wait) => timeout(wait === 15000 ? 150 : wait);
    let asked = 0;
    window.fetch = (path, options = {}) => {
      if (!String(path).endsWith("/ticket") || asked++) return fetching(path, options);
      return new Promise((_, reject) => options.signal?.addEventListener("abort", () => reject(options.signal.reason)));
    };
"""


def test_a_page_whose_sign_in_gets_no_answer_tries_again(browser: Browser, scene: Scene) -> None:
    script = browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=DEAD_TICKET)["identifier"]
    browser.enter(scene.service.origin, next(names), "/sidebar")
    browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    browser.wait(lambda it: it.find("#connection").text == "Connected")


def test_a_device_that_says_offline_is_not_called_connected_in_one_breath(stage: Stage) -> None:
    stage.browser.click("Offline")
    stage.wait_for("devices", lambda text: "offline" in text)
    stage.browser.wait(lambda it: seen(it) == "Applications see you as offline.")


@pytest.mark.slow
def test_a_device_in_grace_is_looked_at_until_it_is_gone(stage: Stage) -> None:
    with stage.sue.device("online", device="phone"):
        stage.browser.click("Offline")
        stage.browser.wait(lambda it: seen(it) == "Applications see you as online, because of another device.")
    stage.browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    stage.wait_for("devices", lambda text: "connection lost" in text)
    stage.browser.wait(lambda it: seen(it) == "Applications see you as offline.", 30)


def test_a_status_that_came_too_quickly_is_shown_when_the_service_applied_it(browser: Browser, scene: Scene, stage: Stage) -> None:
    clicks = "for (let n = 0; n < 22; n++) document.querySelectorAll('.choice button')[n % 2 ? 0 : 1].click();"
    stage.browser.settled()
    stage.browser.run(clicks + "document.querySelectorAll('.choice button')[1].click()")
    stage.browser.wait(lambda it: seen(it) == "Applications see you as unavailable.")
    assert [one["status"] for one in Person(stage.origin, stage.sue.email).call("GET", "/devices")["devices"]] == ["unavailable"]
