"""A real browser, a running service and the web sites of three origins. Without Chromium these tests are skipped, but not in CI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dpresence.demo import free_port
from dpresence.tests.installing import one_at_a_time
from dpresence.tests.live.clients import Application, Person, activate
from dpresence.tests.live.service import Service
from dpresence.tests.live.warm import running
from dpresence.tests.shared_start import CACHED_FILES

from .accessibility import OTHERS, PICTURED, Axe
from .sidebar import Stage
from .support import BUILD, Browser, Website

MISSING = "the browser tests need Chromium: apt-get install chromium chromium-driver, then make test"
NO_AXE = "the accessibility tests need npm and a registry for axe-core"
NO_NODE = "the tests of presence.js need node"
AXE_CORE = "axe-core@4.14.1"
STATIC = Path(__file__).parents[2] / "static"
EXTENSION = Path(__file__).parents[3] / "clients" / "extension"
STEPS = Path(__file__).parent / "presence_steps.mjs"
Steps = Callable[[str], Any]


def give_up(why: str) -> None:
    """Skip, but not in CI, where all of this is there."""
    pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)


@dataclass
class Scene:
    """The participants: a service, an application on ``site``, somebody else's site, and the domain whose pages may be devices."""

    service: Service
    site: Website
    evil: Website
    allowed: str

    def application(self, name: str = "Chess club", description: str = "", owner: str = "owner@example.org") -> Application:
        """Return an active application at ``localhost``, which for a browser is another site than ``127.0.0.1``."""
        application = activate(self.service.origin, self.site, owner, name)
        if description:
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
        give_up(MISSING)
    browser = Browser(*map(str, paths), tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="package", autouse=True)
def cached_files() -> Iterator[None]:
    """Let the browser use its copies of the static files: to ask for all sixty at each page costs as much as the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHED_FILES, "1")
        yield


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The source of axe-core."""
    source = BUILD / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    with one_at_a_time(BUILD / "axe"):
        if not source.exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--loglevel=error", AXE_CORE]
            try:
                subprocess.run(command, cwd=BUILD / "axe", capture_output=True, timeout=120, check=True)
            except (OSError, subprocess.SubprocessError):
                give_up(NO_AXE)
        return source.read_text(encoding="utf-8")


@pytest.fixture(params=[PICTURED, pytest.param(OTHERS, marks=pytest.mark.slow)], ids=["pictured", "others"])
def axe(axe_source: str, request: Any) -> Axe:
    """Checks of a page with each width and each scheme; `make faults` tries the other half of the combinations."""
    return Axe(axe_source, request.param)


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, with nobody signed in and nothing on its console; the frames of its channels are compared with the contract."""
    chromium.forget()
    chromium.frames.compare()
    yield chromium
    chromium.frames.compare()


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("service")
    allowed = f"localhost:{free_port()}"
    settings = {"channels__registrations_per_hour": 100000, "channels__origins": f"http://{allowed}"}
    with running(folder, **settings) as service, Website("localhost") as site, Website("127.0.0.1") as evil:
        yield Scene(service, site, evil, allowed)


@pytest.fixture(scope="session")
def steps(node: str, tmp_path_factory: pytest.TempPathFactory) -> Steps:
    """Run steps of ``presence_steps.mjs``; returns what they return."""
    client = tmp_path_factory.mktemp("client")
    (client / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    for part in STATIC.glob("presence*.js"):
        shutil.copy(part, client)

    def run(script: str) -> Any:
        done = subprocess.run([node, STEPS, client / "presence.js"], input=script, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        give_up(NO_NODE)
    return str(found)


@pytest.fixture(scope="session")
def build_extension(node: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build the extension for a service, which the browser then permits without asking, or for any; returns the folder."""

    def build(service: str) -> Path:
        folder: Path = tmp_path_factory.mktemp("extension")
        subprocess.run([node, EXTENSION / "scripts" / "build.mjs", folder, service], check=True, timeout=60)
        return folder

    return build


@pytest.fixture(scope="module")
def stages() -> Iterator[list[Stage]]:
    """The stages of a module; the last one may be open."""
    stages: list[Stage] = []
    yield stages
    for stage in stages:
        stage.service.close()


@pytest.fixture
def stage(chromium: Browser, scene: Scene, stages: list[Stage]) -> Iterator[Stage]:
    """A user with the sidebar open, as in the test before, unless that changed anything; with the frames compared as in ``browser``."""
    if stages and stages[-1].is_as_opened():
        chromium.console()
    else:
        chromium.forget()
        stages.append(Stage(chromium, scene))
    yield stages[-1]
    chromium.frames.compare()


@pytest.fixture
def home(scene: Scene) -> str:
    """The address of the service."""
    return scene.service.origin
