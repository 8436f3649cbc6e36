"""The web sites of ``examples/`` in a browser, as a person uses them who has followed their README."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from dpresence.demo import free_port
from dpresence.tests.live.clients import Person
from dpresence.tests.support import DEVELOPMENT_TOKEN
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .conftest import Scene, give_up
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
NO_NPM = "the Express example needs Node, npm and a registry"


def express() -> list[str]:
    """Return the command of the Express example, whose packages are installed."""
    folder = EXAMPLES / "express"
    if not (folder / "node_modules" / "express").exists():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=True)
        except (OSError, subprocess.SubprocessError):
            give_up(NO_NPM)
    subprocess.run(["node", ROOT / "clients/js/scripts/copy-device.mjs"], check=True, timeout=PATIENCE_SECONDS)
    return ["node", "--no-warnings", "--experimental-websocket", str(folder / "app.js")]


@contextmanager
def program(command: list[str], folder: Path, url: str, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a web site in a folder; it may print no error."""
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **(environment or {})}, stdout=output, stderr=output)
    try:
        eventually(lambda: process.poll() is not None or requests.get(url, timeout=5).ok)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.kill()
        process.wait()
    assert "Error" not in log.read_text(), log.read_text()


@dataclass
class Club:
    """The web site of an application, registered as its README says.

    :ivar folder: where it keeps its files.
    :ivar config: the content of its presence.json.
    """

    url: str
    folder: Path
    config: dict[str, str]


@pytest.fixture(scope="module", params=["flask", "express"])
def club(request: Any, scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Club]:
    flask = [sys.executable, str(EXAMPLES / "flask" / "app.py")]
    command = flask if request.param == "flask" else express()
    domain, folder = f"localhost:{free_port()}", tmp_path_factory.mktemp("club")
    (token := folder / "token").write_text(DEVELOPMENT_TOKEN)
    register = [sys.executable, str(EXAMPLES / "register.py"), domain, str(folder), "--service", scene.service.origin]
    subprocess.run([*register, "--token-file", str(token)], capture_output=True, check=True, timeout=PATIENCE_SECONDS)
    config = folder / "presence.json"
    assert config.stat().st_mode & 0o777 == 0o600
    url = f"http://{domain}"
    with program(command, folder, f"{url}/", {"PYTHONPATH": str(ROOT / "clients" / "python")}):
        yield Club(url, folder, json.loads(config.read_text()))


def join(browser: Browser, club: Club, ada: Person) -> None:
    """Enter the club as Ada, and let it see them."""
    browser.open(f"{club.url}/")
    browser.write("name", "Ada")
    browser.click("Enter")
    browser.click("Let the club see when I am reachable")
    browser.sign_in(ada.email)
    browser.click_on("#open")
    browser.click("Allow")
    browser.wait(lambda it: it.url == f"{club.url}/" and "The club sees when you're online." in it.text())


def test_a_club_shows_a_member_live_and_notifies_them_until_they_revoke(browser: Browser, scene: Scene, club: Club) -> None:
    ada = Person(scene.service.origin, f"ada-{club.url.rpartition(':')[2]}@example.org")
    join(browser, club, ada)
    browser.wait(lambda it: "Ada offline" in it.text())
    with ada.device("unavailable", ack=True) as device:
        browser.wait(lambda it: "Ada unavailable" in it.text())
        browser.click("Say hello")
        browser.wait(lambda it: "Sent to Ada." in it.text() and "Ada unavailable" in it.text())
        [received] = device.notifications(1)
        assert (received["message"], received["action"]) == ("Ada says hello", f"{club.url}/")
    ada.call("DELETE", f"/grant/{club.config['appid']}")
    browser.wait(lambda it: it.count("#members li") == 0)
    browser.open(f"{club.url}/")
    assert "Let the club see when I am reachable" in browser.text()
    browser.assert_quiet("favicon")


def test_a_club_takes_no_answer_and_no_form_from_elsewhere(club: Club) -> None:
    session = requests.Session()
    assert session.post(f"{club.url}/enter", data={"name": "Mal"}, timeout=PATIENCE_SECONDS).ok
    forged = session.get(f"{club.url}/back?state=x&Presence-UID=1ik2ExyySaaQ6Dpi501BWQ", timeout=PATIENCE_SECONDS)
    assert (forged.status_code, "does not belong to a question of yours" in forged.text) == (400, True)
    elsewhere = session.post(f"{club.url}/ask", headers={"Origin": "http://evil.example"}, timeout=PATIENCE_SECONDS)
    assert elsewhere.status_code == 403
    assert requests.get(f"{club.url}/events", timeout=PATIENCE_SECONDS).status_code == 403, "not a member"
    assert requests.get(f"{club.url}/__presence", timeout=PATIENCE_SECONDS).text == club.config["domain_key"]


def statuses(events: requests.Response, name: str) -> Iterator[str]:
    """Yield the status of a member in each event of a club; fail after a minute."""
    until = time.monotonic() + PATIENCE_SECONDS
    for line in events.iter_lines(chunk_size=1, decode_unicode=True):
        assert time.monotonic() < until, "it did not happen in time"
        if line.startswith("data: ") and name in (found := json.loads(line.removeprefix("data: "))):
            yield found[name]


def test_a_club_shows_nobody_as_reachable_while_dpresence_is_gone(scene: Scene, club: Club) -> None:
    ada, session = Person(scene.service.origin, f"gone-{club.url.rpartition(':')[2]}@example.org"), requests.Session()
    puid = ada.call("POST", f"/grant/{club.config['appid']}")["puid"]
    assert session.post(f"{club.url}/enter", data={"name": "Gone"}, timeout=PATIENCE_SECONDS).ok
    asked = session.post(f"{club.url}/ask", allow_redirects=False, timeout=PATIENCE_SECONDS).headers["Location"]
    [back] = parse_qs(urlsplit(asked).query)["redirect"]
    assert session.get(f"{back}&Presence-UID={puid}", timeout=PATIENCE_SECONDS).ok
    with session.get(f"{club.url}/events", stream=True, timeout=PATIENCE_SECONDS) as events:
        seen = statuses(events, "Gone")
        with ada.device("online"):
            assert "online" in seen
            scene.service.kill()
            try:
                assert next(seen) == "unknown"
            finally:
                scene.service.start()
        assert "offline" in seen
    kept = [*club.folder.glob("members.*"), *club.folder.glob("table.*")]
    assert len(kept) >= 2 and all(file.stat().st_mode & 0o77 == 0 for file in kept), "PUIDs are private data of their users"


def copied(scene: Scene, folder: Path) -> Path:
    """Copy the page of another origin and its server, with the addresses of this test; return the server."""
    service = scene.service.origin.removeprefix("http://")
    shutil.copytree(EXAMPLES / "other-origin", folder / "site")
    for path in (folder / "site").rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("127.0.0.1:8282", service).replace("localhost:8000", scene.allowed), encoding="utf-8")
    return folder / "site" / "server.py"


def test_a_page_of_another_origin_is_a_device(browser: Browser, scene: Scene, tmp_path: Path) -> None:
    ada, application = Person(scene.service.origin, "ada@example.org"), scene.application()
    puid = ada.grant(application)
    (tmp_path / "token").write_text(DEVELOPMENT_TOKEN)
    command = [sys.executable, str(copied(scene, tmp_path)), "token"]
    with program(command, tmp_path, f"http://{scene.allowed}/"), application.service() as service:
        browser.open(f"http://{scene.allowed}/")
        browser.wait(lambda it: "ada@example.org: connected" in it.text())
        browser.wait(lambda _: service.statuses[puid] == "online" or (puid, "online", "explicit") in service.next_updates())
        browser.click("Unavailable")
        browser.wait(lambda _: (puid, "unavailable", "explicit") in service.next_updates())
        service.notify({"puid": puid, "message": "Your move"})
        browser.wait(lambda it: f"{application.domain}: Your move" in it.text())
        browser.assert_quiet("favicon")
