"""The page that shows the contract, in a browser (docs/protocol.md, section 6, The contract for machines)."""

from __future__ import annotations

import pytest

from .accessibility import Axe
from .conftest import Scene
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_contract_is_readable_by_everybody_without_scripts_of_its_own(browser: Browser, scene: Scene, axe: Axe) -> None:
    browser.open(f"{scene.service.origin}/__api__/docs")
    axe.check(browser, "api")
    assert browser.run("return [...document.scripts].map((it) => new URL(it.src).pathname)") == ["/static/page.js"]
    for call in ("PATCH /myapps/{appid}", "GET /account", "websocket /presence", "4010", "StatusUpdate"):
        assert call in browser.text()
    browser.run("document.getElementById('newKey').open = true")
    assert "Only this answer has the new key" in browser.text()
    browser.run("document.querySelector('#newKey a[href=\"#NewKey\"]').click()")
    browser.wait(lambda it: it.url.endswith("#NewKey"))
    browser.assert_quiet()


def test_every_link_within_the_page_leads_somewhere(browser: Browser, scene: Scene) -> None:
    browser.open(f"{scene.service.origin}/__api__/docs")
    lost = (
        "return [...document.querySelectorAll('main a[href^=\"#\"]')].filter((it) => !document.querySelector(it.hash)).map((it) => it.hash)"
    )
    assert browser.run(lost) == []
    assert browser.run("return document.querySelectorAll('main a[href^=\"#\"]').length") > 50
