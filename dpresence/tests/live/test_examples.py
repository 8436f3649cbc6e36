"""docs/rest.md, and the examples that need no browser, against one service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dpresence.contract.operations import OPERATIONS
from dpresence.demo import free_port
from dpresence.tests.support import DEVELOPMENT_TOKEN
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .clients import Application, Person
from .desktop import Computer
from .rest_document import Shell, calls, steps
from .service import Service
from .warm import running

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("examples"), admin__emails="admin@example.org") as service:
        yield service


def need(command: str) -> None:
    """Skip without a command, but not in CI."""
    if shutil.which(command) is None:
        assert os.environ.get("CI") != "true", f"{command} is not installed"
        pytest.skip(f"needs {command}")


def test_the_page_of_rest_has_every_call() -> None:
    assert calls() == {operation.call for subject in OPERATIONS.values() for operation in subject}


@pytest.mark.slow
def test_the_calls_of_the_page_of_rest_are_answered_as_it_shows(service: Service, tmp_path: Path) -> None:
    need("curl")
    site = free_port()
    (tmp_path / "development.token").write_text(DEVELOPMENT_TOKEN)
    real = {"127.0.0.1:8282": f"127.0.0.1:{service.port}", "localhost:8000": f"localhost:{site}", "http.server 8000": f"http.server {site}"}
    with Shell(tmp_path, real) as shell:
        for step in steps():
            shell.run(step)
            if "http.server" in step.commands:
                eventually(lambda: requests.get(f"http://localhost:{site}/", timeout=5).ok)


@pytest.mark.slow
def test_the_endpoint_of_a_webhook_prints_who_is_reachable_and_what_became_of_notifications(
    service: Service, person: Person, tmp_path: Path
) -> None:
    (tmp_path / "development.token").write_text(DEVELOPMENT_TOKEN)
    options = ["--service", service.origin, "--token-file", str(tmp_path / "development.token"), "--webhook", "/presence"]
    subprocess.run([sys.executable, EXAMPLES / "register.py", f"localhost:{free_port()}", tmp_path, *options], check=True)
    file = tmp_path / "presence.json"
    registered = json.loads(file.read_text())
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent / "clients" / "python")}
    command = [sys.executable, EXAMPLES / "webhook" / "receiver.py", file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as receiver:
        limit = threading.Timer(PATIENCE_SECONDS, receiver.kill)
        limit.start()
        try:
            domain = f"http://{registered['domain']}"
            eventually(lambda: requests.get(f"{domain}/__presence", timeout=5).text == registered["domain_key"])
            assert requests.post(f"{domain}/presence", data=b"{}", timeout=5).status_code == 400
            assert requests.post(f"{domain}/presence", data=iter([b"{}"]), timeout=5).status_code == 413, "without a length"
            assert requests.post(f"{domain}/presence", headers={"Content-Length": "1000000"}, timeout=5).status_code == 413
            owner = Person(service.origin, "dev@example.org")
            owner.call("POST", f"/myapps/{registered['appid']}/webhook/replay", {"since": None})
            puid = str(person.call("POST", f"/grant/{registered['appid']}")["puid"])
            lines = iter(receiver.stdout or ())
            assert next(lines).startswith("presence.snapshot ")
            with person.device("online"):  # a second snapshot may say so, of the first message that was sent again
                assert any(f'{{"{puid}": "online"}}\n' in line for line in lines)
                key = {"Authorization": f"Bearer {registered['key']}"}
                body = [{"puid": puid, "message": "Your turn", "outcome": True}]
                url = f"{service.origin}/myapps/{registered['appid']}/notifications"
                [sent] = requests.post(url, json=body, headers=key, timeout=30).json()["notifications"]
                assert f'notification.outcomes {{"{sent["id"]}": "delivered"}}\n' in lines
        finally:
            limit.cancel()
            receiver.kill()


def confirm(person: Person, link: str) -> None:
    """Allow the device that shows a link, in a browser session of a person."""
    with requests.Session() as browser:
        signed_in = browser.post(f"{person.origin}/login", json={"assertion": person.assertion()}, timeout=30).json()
        body = {"code": link.rpartition("=")[2], "allow": True}
        assert browser.post(f"{person.origin}/pair/answer", json=body, headers={"X-CSRF-Token": signed_in["csrf"]}, timeout=30).ok


@pytest.mark.slow
def test_the_desktop_shows_its_user_by_the_screen_lock_and_the_sleep_until_they_sign_it_out(
    service: Service, application: Application, person: Person, tmp_path: Path
) -> None:
    need("dbus-daemon")
    puid = person.grant(application)
    with application.service() as app, Computer(tmp_path) as computer:
        desktop = computer.desktop(service.origin)
        confirm(person, desktop.line().split()[1])
        assert person.email in desktop.line()
        assert computer.logind.line() == "delayed"
        assert app.next_updates() == [(puid, "online", "explicit")]
        for command, status in (("hint true", "unavailable"), ("hint false", "online"), ("lock", "unavailable"), ("unlock", "online")):
            computer.logind.say(command)
            assert app.next_updates() == [(puid, status, "explicit")], command
        computer.logind.say("sleep")
        assert app.next_updates() == [(puid, "offline", "explicit")]
        assert computer.logind.line() == "released"
        computer.logind.say("wake")
        assert app.next_updates() == [(puid, "online", "explicit")]
        [stored] = tmp_path.iterdir()
        assert stored.stat().st_mode & 0o777 == 0o600
        [device] = person.call("GET", "/devices")["paired"]
        person.call("DELETE", f"/devices/{device['device']}")
        assert "signed out" in desktop.line()
        assert (desktop.process.wait(30), stored.exists()) == (2, False)


@pytest.mark.parametrize("damaged", ["", "[1]", '{"url": "URL", "credential": "device:x"}'])
def test_a_desktop_whose_stored_credential_is_damaged_pairs_again(service: Service, tmp_path: Path, damaged: str) -> None:
    (tmp_path / "dpresence-desktop.json").write_text(damaged.replace("URL", service.origin))
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": str(EXAMPLES.parent / "clients" / "python")}
    command = [sys.executable, EXAMPLES / "desktop" / "desktop.py", "--service", service.origin]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as desktop:
        try:
            assert desktop.stdout and desktop.stdout.readline().startswith(f"Open {service.origin}/pair?code=")
        finally:
            desktop.kill()
