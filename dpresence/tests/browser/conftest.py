"""A real browser, a running service and the web sites of three origins. Without Chromium these tests are skipped, but not in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dpresence.tests.live.clients import Application, Person, activate
from dpresence.tests.live.service import Service, running

from .support import Browser, Website

MISSING = "the browser tests need Chromium: apt-get install chromium chromium-driver"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say once why these tests were skipped."""
    if any(MISSING in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())):
        terminalreporter.write_line(f"skipped: {MISSING}")


@dataclass
class Scene:
    """Who takes part: a service, an application on ``site``, and somebody else's site."""

    service: Service
    site: Website
    evil: Website

    def application(self, name: str = "Chess club", description: str = "") -> Application:
        """Return an active application at ``localhost``, which for a browser is another site than ``127.0.0.1``."""
        application = activate(self.service.origin, self.site, name=name)
        application.owner.call("PATCH", f"/myapps/{application.appid}", {"description": description})
        return application

    def asking(self, application: Application) -> str:
        """Return the address to which an application sends people."""
        back = f"http%3A%2F%2F{application.domain.replace(':', '%3A')}%2Fback%3Fgame%3D7"
        return f"{self.service.origin}/grant/{application.appid}?redirect={back}"

    def granted(self, email: str) -> list[str]:
        """Return the ids of the applications that may see somebody."""
        return [grant["appid"] for grant in Person(self.service.origin, email).call("GET", "/grants")["grants"]]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    paths = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(paths):
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    browser = Browser(*map(str, paths), tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """The browser, with nobody signed in and nothing on its console."""
    chromium.forget()
    return chromium


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("service")
    with running(folder) as service, Website("localhost") as site, Website("127.0.0.1") as evil:
        yield Scene(service, site, evil)
