"""Quiet hours on the sidebar: times are sent when the person has chosen them, and not while they type (docs/pages.md)."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from .sidebar import Stage
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RECORD = """
    window.changed = true;
    window.sent = [];
    const fetching = window.fetch;
    window.fetch = (path, options) => {
      const {from, to} = options.body ? JSON.parse(options.body).weekly?.[0] ?? {} : {};
      if (path === "/hours" && options.method !== "GET") sent.push([options.method, from ?? "", to ?? ""]);
      return fetching(path, options);
    };
"""
DIFFERENT = "Choose two different times."


@pytest.fixture
def browser(stage: Stage) -> Browser:
    stage.browser.run(RECORD)
    return stage.browser


def sent(browser: Browser) -> list[Any]:
    """Return method, begin and end of the changes sent since the last call."""
    return list(browser.run("return sent.splice(0)"))


def told(browser: Browser, place: str, text: str) -> None:
    """Wait for an announcement, and take it away."""
    browser.wait(lambda it: it.find(place).get_property("textContent").replace("\u202f", " ") == text)
    browser.run(f"document.querySelector('{place}').textContent = ''")


def test_times_are_sent_once_when_the_person_leaves_them_and_the_page_says_what_was_sent(stage: Stage, browser: Browser) -> None:
    browser.click_on("#quiet")
    told(browser, "#status", "Applications see you as offline from 10:00 PM to 7:00 AM.")
    assert sent(browser) == [["PUT", "22:00", "07:00"]]
    browser.find("#quiet-from").send_keys("0915PM")
    for _ in range(3):  # past the button of the field, where it has one
        if browser.run("return document.activeElement.id") == "quiet-from":
            browser.press(Keys.TAB)
    browser.press("0645AM")
    assert sent(browser) == [], "nothing, while the person is in the fields"
    browser.run("document.getElementById('quiet').focus()")
    told(browser, "#status", "Applications see you as offline from 9:15 PM to 6:45 AM.")
    assert sent(browser) == [["PUT", "21:15", "06:45"]]
    [hours] = stage.sue.call("GET", "/hours")["hours"]["weekly"]
    assert (hours["from"], hours["to"]) == ("21:15", "06:45")
    browser.find("#quiet-from").send_keys("0830PM", Keys.ENTER)
    told(browser, "#status", "Applications see you as offline from 8:30 PM to 6:45 AM.")
    browser.run("document.activeElement.blur()")
    browser.click_on("#quiet")
    told(browser, "#status", "You have no quiet hours.")
    browser.click_on("#quiet")
    told(browser, "#status", "Applications see you as offline from 8:30 PM to 6:45 AM.")
    assert sent(browser) == [["PUT", "20:30", "06:45"], ["DELETE", "", ""], ["PUT", "20:30", "06:45"]]
    browser.assert_quiet()


def test_times_in_another_time_zone_name_it_until_the_person_chooses_times_here(stage: Stage, browser: Browser) -> None:
    weekly = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "22:00", "to": "07:00"}]
    stage.sue.call("PUT", "/hours", {"zone": "Pacific/Kiritimati", "weekly": weekly})
    browser.open(f"{stage.origin}/sidebar")
    browser.wait(lambda it: it.find("#quiet-zone").text == "(Pacific/Kiritimati)")
    browser.find("#quiet-from").send_keys("0830PM", Keys.ENTER)
    browser.wait(lambda it: it.find("#quiet-zone").text == "")
    hours = stage.sue.call("GET", "/hours")["hours"]
    assert hours["zone"] != "Pacific/Kiritimati" and hours["weekly"][0]["from"] == "20:30"
    browser.run("window.changed = true")


def test_hours_that_a_program_has_set_are_deleted_only_once_confirmed(stage: Stage, browser: Browser) -> None:
    weekly = [{"days": ["sat", "sun"], "from": "22:00", "to": "07:00"}]
    stage.sue.call("PUT", "/hours", {"zone": "UTC", "weekly": weekly})
    browser.open(f"{stage.origin}/sidebar")
    browser.wait(lambda it: it.find("#quiet-other").is_displayed())
    browser.click_on("#quiet")
    browser.wait(lambda it: "this page cannot set them again" in it.find("#question").text)
    browser.press(Keys.ESCAPE)
    browser.wait(lambda it: it.find("#quiet").is_selected())
    assert stage.sue.call("GET", "/hours")["hours"]["weekly"] == weekly
    browser.click_on("#quiet")
    browser.confirm()
    told(browser, "#status", "You have no quiet hours.")
    assert stage.sue.call("GET", "/hours")["hours"] is None
    assert browser.find("#quiet-times").is_displayed() and not browser.find("#quiet-other").is_displayed()
    browser.assert_quiet()


def test_two_equal_times_and_a_missing_one_are_not_sent(browser: Browser) -> None:
    browser.find("#quiet-from").send_keys("0700AM", Keys.ENTER)
    browser.find("#quiet-to").send_keys("0700AM", Keys.ENTER)
    browser.click_on("#quiet")
    told(browser, "#alert", DIFFERENT)
    assert not browser.find("#quiet").is_selected()
    browser.find("#quiet-from").send_keys(Keys.BACKSPACE)
    browser.click_on("#quiet")
    told(browser, "#alert", DIFFERENT)
    assert sent(browser) == []
    browser.assert_quiet()


def test_the_quiet_hours_of_one_application_are_shown_with_it(stage: Stage, browser: Browser) -> None:
    weekly = [{"days": ["sat", "sun"], "from": "22:00", "to": "07:00"}]
    path = f"/grant/{stage.application.appid}"
    stage.sue.call("PATCH", path, {"hours": {"zone": "Asia/Kathmandu", "weekly": weekly}})
    browser.open(f"{stage.origin}/sidebar")
    hours = "Sees you as offline Sat, Sun from 10:00 PM to 7:00 AM (Asia/Kathmandu)"
    stage.wait_for("grants", lambda text: hours in text.replace("\u202f", " "))
    browser.look(width=360)
    assert browser.run("return document.querySelector('.me').offsetHeight") < 400, "on a phone, the notifications are in the first view"
    browser.look()
    stage.sue.call("PATCH", path, {"hours": None})
