"""The account on the sidebar, by clicking: the person's data, signing out everywhere, erasing (section 6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .accessibility import Axe
from .sidebar import Stage

pytestmark = pytest.mark.browser


@pytest.fixture
def stage(stage: Stage) -> Stage:
    stage.browser.click_on("[aria-labelledby=account-title] summary")
    return stage


@pytest.mark.slow
def test_all_data_of_a_user_comes_as_a_file(stage: Stage, axe: Axe, tmp_path: Path) -> None:
    stage.browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    stage.browser.click("Download your data")
    file = tmp_path / "dpresence.json"
    stage.browser.wait(lambda _: file.exists() and file.stat().st_size > 0)
    held = json.loads(file.read_text(encoding="utf-8"))
    assert held["account"]["email"] == stage.sue.email and [one["puid"] for one in held["grants"]] == [stage.puid]
    axe.check(stage.browser, "sidebar-account")
    stage.browser.assert_quiet()


AWAY_MEANWHILE = """
    const real = window.fetch;
    window.changed = true;
    window.fetch = (path, ...rest) =>
      path.endsWith("/account") ? Promise.resolve(new Response('{"account":{},"complete":false}')) : real(path, ...rest);
"""


def test_data_that_is_not_complete_is_no_file(stage: Stage, tmp_path: Path) -> None:
    stage.browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    stage.browser.run(AWAY_MEANWHILE)
    stage.browser.click("Download your data")
    stage.browser.wait(lambda it: it.find("#alert").text == "The service is unavailable for a moment. Try again.")
    assert list(tmp_path.iterdir()) == []
    stage.browser.assert_quiet()


@pytest.mark.slow
def test_signing_out_everywhere_asks_first_and_ends_every_device(stage: Stage) -> None:
    with stage.sue.device("online", device="phone"):
        stage.browser.click("Sign out everywhere")
        stage.browser.click("Cancel")
        assert len(stage.sue.call("GET", "/devices")["devices"]) == 2
        stage.browser.click("Sign out everywhere")
        stage.browser.confirm()
        stage.browser.wait(lambda it: it.url == f"{stage.origin}/" and it.count("meta[name=csrf]") == 0)
        assert stage.updates() == [("offline", "explicit")]
    assert stage.scene.granted(stage.sue.email) == [stage.application.appid]


def test_erasing_leaves_nothing(stage: Stage) -> None:
    stage.browser.click("Delete all your data")
    stage.browser.confirm()
    stage.browser.wait(lambda it: it.url == f"{stage.origin}/" and it.count("meta[name=csrf]") == 0)
    assert stage.updates() == [("offline", "revoked")]
    assert stage.scene.granted(stage.sue.email) == []
    assert stage.browser.find("#outcome").text == "All your data is deleted. No application can see you any more."
    stage.browser.open(f"{stage.origin}/")
    assert stage.browser.find("#outcome").text == "", "it is said once"
