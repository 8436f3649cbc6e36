"""The README's programs, run as they stand there but for the address of the service and the application."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from dpresence.tests.support import DEVELOPMENT_TOKEN

from .support import wait_until
from .test_command import answer

CLIENT = Path(__file__).parents[2]
PROGRAMS = re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def readme(words: str) -> str:
    """Return the only program that contains some words."""
    [code] = [code for code in PROGRAMS if words in code]
    return code


APP_SERVICE, DEVICE, ASYNCIO = readme("FileStore"), readme("me.set_override"), readme("import asyncio")


@contextmanager
def program(code, service, application, folder):
    """Run a program; yields the lines that it prints. Its only error is the KeyboardInterrupt that ends it."""
    for own, actual in (
        ("https://presence.example.org", service.origin),
        ("http://127.0.0.1:8282", service.origin),
        ("3fVZhsi7n1yBSfwv", application.appid),
        ("https://chess.example.org", f"http://{application.domain}"),
    ):
        code = code.replace(own, actual)
    (folder / "development.token").write_text(DEVELOPMENT_TOKEN)
    environment = {**os.environ, "PYTHONPATH": str(CLIENT), "DPRESENCE_KEY": application.key}
    command = [sys.executable, "-u", "-W", "error", "-c", code]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    limit = threading.Timer(60, process.kill)
    limit.start()
    try:
        yield process.stdout
        process.send_signal(2)
        errors = process.communicate()[1]
        assert errors.splitlines()[-1] == "KeyboardInterrupt" and application.key not in errors, errors
    finally:
        limit.cancel()
        process.kill()
        process.communicate()


def test_the_application_s_service_and_the_device_meet(service, application, person, tmp_path):
    person.email = "ada@example.org"
    puid = person.grant(application)
    with program(APP_SERVICE, service, application, tmp_path) as changes:
        assert next(changes) == f"{puid} offline snapshot\n"
        with program(DEVICE, service, application, tmp_path) as notifications:
            assert next(changes).split()[:2] in ([puid, "online"], [puid, "unavailable"])
            with person.device("online"):
                assert any("Delivery(" in line for line in changes)
                assert "message='Your move'" in next(notifications)
    assert (tmp_path / "table.json").exists()


def test_the_program_with_asyncio(service, application, person, tmp_path):
    puid = person.grant(application)
    with program(ASYNCIO, service, application, tmp_path) as changes:
        assert next(changes) == f"{puid} offline snapshot\n"


@pytest.mark.slow
def test_the_program_without_a_browser(service, application, person, tmp_path):
    with program(readme("begin_pairing"), service, application, tmp_path) as printed:
        answer(person, next(printed).split()[-1])
        wait_until(lambda: [device["device"] for device in person.call("GET", "/devices")["devices"]] == ["lamp"])


def test_the_program_of_a_user_s_account(service, application, person, tmp_path, monkeypatch, capsys):
    puid = person.grant(application)
    with application.service() as app:
        app.notify({"puid": puid, "message": "Your move"})
    (tmp_path / "development.token").write_text(DEVELOPMENT_TOKEN)
    monkeypatch.chdir(tmp_path)
    exec(readme("import Account").replace("http://127.0.0.1:8282", service.origin).replace("ada@example.org", person.email), {})
    assert "Chess club sees offline because of [Link(link='devices', status='offline')]" in capsys.readouterr().out
    [grant] = person.call("GET", "/grants")["grants"]
    assert (grant["shows"], grant["hours"]["zone"], person.call("GET", "/notifications")["unread"]) == ("reachable", "Europe/Berlin", 0)
