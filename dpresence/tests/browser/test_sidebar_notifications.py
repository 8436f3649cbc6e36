"""Notifications on the sidebar: shown, read, cleared, outside the page (docs/protocol.md, section 3)."""

from __future__ import annotations

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from .conftest import STATIC, Scene
from .sidebar import MARKUP, SAID, SPY, Stage
from .support import WAIT_SECONDS, Browser

pytestmark = pytest.mark.browser


def test_a_notification_arrives_once_with_its_link_and_is_acknowledged(stage: Stage) -> None:
    action = f"http://{stage.application.domain}/game/7"
    stage.service.notify({"puid": stage.puid, "message": MARKUP, "action": action, "source": MARKUP})
    stage.wait_for("notifications", lambda text: text.count(MARKUP) == 2 and stage.application.domain in text)
    link = stage.browser.find("#notifications a")
    assert (link.get_attribute("href"), link.get_attribute("rel")) == (action, "noopener noreferrer")
    stage.browser.wait(lambda it: it.find("#status").text == SAID.format(stage.application.domain, MARKUP, MARKUP))  # it is read out
    stage.browser.wait(lambda it: stage.sue.call("GET", "/account")["notifications"] == [])
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    stage.wait_for("notifications", lambda text: text.count(MARKUP) == 2 and stage.application.domain in text)
    stage.browser.assert_quiet()


def test_a_sender_that_follows_a_notification_learns_that_it_was_shown_and_opened(stage: Stage) -> None:
    action = f"http://{stage.application.domain}/game/7"
    [sent] = stage.service.notify({"puid": stage.puid, "message": "Your move", "action": action, "outcome": True})
    url = f"{stage.origin}/myapps/{stage.application.appid}/notifications/{sent['id']}"
    headers = {"Authorization": f"Bearer {stage.application.key}"}

    def outcomes() -> list[str]:
        return [each["outcome"] for each in requests.get(url, headers=headers, timeout=WAIT_SECONDS).json()["outcomes"]]

    stage.browser.wait(lambda it: outcomes() == ["delivered", "shown"])
    stage.browser.run("document.querySelector('#notifications a').addEventListener('click', (event) => event.preventDefault())")
    stage.browser.run("document.querySelector('#notifications a').click()")
    stage.browser.wait(lambda it: outcomes() == ["delivered", "shown", "opened"])
    stage.browser.assert_quiet()


def test_unread_notifications_are_counted_outside_the_page_and_the_same_on_all_devices(stage: Stage) -> None:
    badge = "navigator.setAppBadge = async (count) => badges.push(count); navigator.clearAppBadge = async () => badges.push(0)"
    stage.browser.run(f"window.badges = []; {badge}")
    stage.service.notify(*({"puid": stage.puid, "message": message} for message in ("one", "two", "three")))
    stage.browser.wait(lambda it: it.title == "(3) My presence" and it.find("#unread").text == "3 new")
    assert stage.browser.run("return document.querySelector('link[rel=icon]').href").endswith("/static/icon-unread.svg")
    stage.browser.run("document.querySelector('[data-key^=read]').click()")
    stage.browser.wait(lambda it: it.title == "(2) My presence")
    assert [one["read"] for one in stage.sue.call("GET", "/notifications")["notifications"]] == [True, False, False]
    stage.sue.call("DELETE", f"/notifications/{stage.sue.call('GET', '/notifications')['notifications'][1]['id']}")
    stage.browser.wait(lambda it: it.title == "(1) My presence" and it.count("#notifications li") == 2)
    stage.browser.click("Mark all as read")
    stage.browser.wait(lambda it: it.title == "My presence" and not it.find("#unread").is_displayed())
    assert stage.sue.call("GET", "/notifications")["unread"] == 0
    assert stage.browser.run("return document.querySelector('link[rel=icon]').href").endswith("/static/icon.svg")
    assert stage.browser.run("return badges.at(-1)") == 0
    stage.browser.assert_quiet()


def test_an_action_that_is_a_word_is_no_link_and_clear_takes_all_away(stage: Stage) -> None:
    stage.service.notify({"puid": stage.puid, "message": "Ring", "action": "call"}, {"puid": stage.puid, "message": "Ring again"})
    stage.wait_for("notifications", lambda text: "Ring again" in text and "call" in text)
    assert stage.browser.count("#notifications a") == 0 and stage.browser.count("#notifications li") == 2
    delete = "document.querySelector('[data-key^=\"delete \"]').click()"
    stage.browser.run(delete)
    assert stage.browser.count("#notifications li") == 1
    assert len(stage.sue.call("GET", "/notifications")["notifications"]) == 2
    stage.browser.press(Keys.ENTER)  # the focus is on the button
    stage.browser.wait(lambda it: it.count("#notifications li") == 2 and it.count("#undo button") == 0)
    stage.browser.run(delete)
    stage.browser.run("dispatchEvent(new Event('pagehide'))")
    stage.browser.wait(lambda it: len(stage.sue.call("GET", "/notifications")["notifications"]) == 1)
    stage.browser.click("Delete all")
    stage.browser.confirm()
    stage.browser.wait(lambda it: it.count("#notifications li") == 0)
    assert stage.sue.call("GET", "/notifications")["notifications"] == []
    assert stage.browser.run("return document.activeElement.id") == "notifications-title"


SLOW_DELETION = """
    window.changed = true;
    const fetching = window.fetch;
    window.fetch = async (path, options) => {
      if (options?.method === "DELETE") await new Promise((go) => (window.arrive = go));
      return fetching(path, options);
    };
"""


def test_a_deletion_that_ends_late_does_not_bring_back_the_notification_that_was_deleted_after_it(stage: Stage) -> None:
    stage.service.notify({"puid": stage.puid, "message": "Ring"}, {"puid": stage.puid, "message": "Ring again"})
    stage.browser.wait(lambda it: it.count("#notifications li") == 2)
    stage.browser.run(SLOW_DELETION)
    for left in (1, 0):
        stage.browser.run("document.querySelector('[data-key^=\"delete \"]').click()")
        assert stage.browser.count("#notifications li") == left
    stage.browser.run("arrive()")
    stage.browser.wait(lambda it: len(stage.sue.call("GET", "/notifications")["notifications"]) == 1)
    stage.browser.run_async("setTimeout(arguments[0], 300)")
    assert stage.browser.count("#notifications li") == 0 and stage.browser.count("#undo button") == 1
    stage.browser.press(Keys.ENTER)  # the focus is on the button
    stage.browser.wait(lambda it: it.count("#notifications li") == 1 and it.count("#undo button") == 0)


def test_notifications_that_waited_while_a_user_was_away_are_shown_when_they_connect(browser: Browser, scene: Scene, stage: Stage) -> None:
    browser.open("about:blank")
    stage.service.notify({"puid": stage.puid, "message": "Miss you"})
    browser.open(f"{stage.origin}/sidebar")
    stage.wait_for("notifications", lambda text: "Miss you" in text)


def test_notifications_go_outside_the_page_only_when_the_user_wants(stage: Stage) -> None:
    stage.browser.run(SPY)
    stage.service.notify({"puid": stage.puid, "message": "one"})
    stage.wait_for("notifications", lambda text: "one" in text)
    stage.browser.click("Turn on desktop notifications")
    stage.browser.wait(lambda it: it.find("#desktop-notifications").text == "Turn off desktop notifications")
    stage.service.notify({"puid": stage.puid, "message": "two"})
    stage.wait_for("notifications", lambda text: "two" in text)
    stage.browser.wait(
        lambda it: (
            it.run("return shown.at(-1)") == [f"{stage.application.domain}: \u2068Chess club\u2069", f"{stage.application.domain}\ntwo"]
        )
    )
    assert [title for title, _ in stage.browser.run("return shown")][:-1] == ["Notifications will look like this"]
    stage.browser.click("Turn off desktop notifications")
    stage.browser.wait(lambda it: it.find("#desktop-notifications").text == "Turn on desktop notifications")


def test_notifications_read_or_deleted_elsewhere_are_closed_outside_the_page(stage: Stage) -> None:
    stage.browser.run(SPY)
    stage.browser.click("Turn on desktop notifications")
    stage.browser.wait(lambda it: it.run("return shown.length") == 1)  # the example
    one, two = (sent["id"] for sent in stage.service.notify(*({"puid": stage.puid, "message": message} for message in ("one", "two"))))
    stage.browser.wait(lambda it: it.run("return shown.length") == 3)
    stage.sue.call("POST", "/notifications/read", {"notifications": [one]})
    stage.browser.wait(lambda it: it.run("return put_away") == [one] and it.title == "(1) My presence")
    stage.sue.call("DELETE", f"/notifications/{two}")
    stage.browser.wait(lambda it: it.run("return put_away") == [one, two] and it.title == "My presence")
    stage.browser.assert_quiet()


LEFT = """
    navigator.setAppBadge = async (count) => put_away.push(count);
    navigator.clearAppBadge = async () => put_away.push(0);
    addEventListener("pagehide", () => sessionStorage.setItem("put away", JSON.stringify(put_away)));
"""


def test_a_sign_out_closes_the_notifications_outside_the_page_and_the_badge(stage: Stage) -> None:
    stage.browser.run(SPY + LEFT)
    stage.browser.click("Turn on desktop notifications")
    stage.browser.wait(lambda it: it.run("return shown.length") == 1)  # the example
    [one] = (sent["id"] for sent in stage.service.notify({"puid": stage.puid, "message": "one"}))
    stage.browser.wait(lambda it: it.run("return shown.length") == 2 and it.title == "(1) My presence")
    stage.browser.click("Sign out")
    stage.browser.wait(lambda it: it.count("meta[name=csrf]") == 0)
    put_away = stage.browser.run("return JSON.parse(sessionStorage.getItem('put away'))")
    assert one in put_away and [each for each in put_away if isinstance(each, int)] == [1, 0]


@pytest.mark.slow
def test_a_notification_has_the_icon_of_its_application_on_the_page_and_outside(stage: Stage) -> None:
    owner, path = stage.application.owner, f"/myapps/{stage.application.appid}/icon"
    headers = {"Authorization": f"BrowserID {owner.assertion()}", "Content-Type": "image/png"}
    requests.put(stage.origin + path, (STATIC / "icon-192.png").read_bytes(), headers=headers, timeout=WAIT_SECONDS).raise_for_status()
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.browser.run(SPY)
    stage.browser.wait(lambda it: it.count("#grants img.sign") == 1)
    stage.browser.click("Turn on desktop notifications")
    stage.browser.wait(lambda it: it.run("return shown.length") == 1)  # the example
    stage.service.notify({"puid": stage.puid, "message": "Your move"})
    stage.browser.wait(lambda it: it.run("return document.querySelector('#notifications img.sign')?.naturalWidth") == 128)
    assert stage.origin + stage.browser.run("return icons.at(-1)") == stage.browser.find("#notifications img").get_attribute("src")
    owner.call("DELETE", path)
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_the_browsers_own_notifications_are_used(stage: Stage) -> None:
    stage.browser.allow("notifications")
    stage.browser.open(f"{stage.origin}/sidebar")
    stage.wait_connected()
    stage.browser.click("Turn on desktop notifications")
    stage.browser.wait(lambda it: it.find("#desktop-notifications").text == "Turn off desktop notifications")
    stage.service.notify({"puid": stage.puid, "message": "ping"})
    stage.wait_for("notifications", lambda text: "ping" in text)
    stage.browser.assert_quiet()
