"""The buttons of identity providers on the sign-in page: their colours and icons get through the page's policy and can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpresence.tests.live.warm import WarmService

from .accessibility import Axe
from .support import Browser

pytestmark = pytest.mark.slow

COLORS = {"dark": "#24292f", "middle": "#777777", "white": "#ffffff", "plain": ""}
ICON = """<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" viewBox="0 0 20 20" onload="document.title = 'ran'">
<style>circle { fill: #e24329; }</style><script>document.title = "ran";</script><circle cx="10" cy="10" r="9"/></svg>"""
LOOK = """
    return [...document.querySelectorAll("[data-provider]")].map((button) => {
      const {backgroundColor, color} = getComputedStyle(button), icon = button.querySelector("img");
      return [backgroundColor, color, icon && icon.complete && icon.naturalWidth];
    });
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[str]:
    """The address of a service with a provider for each colour; none of them answers."""
    (tmp_path / "icon.svg").write_text(ICON)
    settings = {"identity.development": "false", "outbound.allow_loopback": "false", "identity.verifiers": "oidc"}
    settings["oidc.providers"] = " ".join(COLORS)
    for number, (name, color) in enumerate(COLORS.items(), 1):
        values = {"issuer": f"http://127.0.0.1:{number}", "client_id": "x", "domains": "example.org", "allow_private": "true"}
        values |= {"title": f"the {name} provider"} | ({"color": color, "icon": str(tmp_path / "icon.svg")} if color else {})
        settings |= {f"oidc.{name}.{key}": value for key, value in values.items()}
    service = WarmService(tmp_path, settings)
    service.start()
    yield service.origin
    service.kill()


@pytest.mark.browser
def test_buttons_have_their_colours_and_icons_and_can_be_read(browser: Browser, home: str, axe: Axe) -> None:
    browser.open(f"{home}/login")
    browser.wait(lambda it: it.run("return [...document.images].every((image) => image.complete)"))
    dark, middle, white, plain = browser.run(LOOK)
    assert dark == ["rgb(36, 41, 47)", "rgb(255, 255, 255)", 20]
    assert middle == ["rgb(119, 119, 119)", "rgb(0, 0, 0)", 20]
    assert white == ["rgb(255, 255, 255)", "rgb(0, 0, 0)", 20]
    assert plain[2] is None
    assert not browser.console()
    axe.check(browser, "providers")
    assert browser.title == "Sign in"
    browser.open(f"{home}/login/dark/icon")
    assert browser.title != "ran"
