"""The programs and commands of docs/, run as they stand there but for the address of the service."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dpresence.tests.support import DEVELOPMENT_TOKEN
from dpresence.tests.waiting import PATIENCE_SECONDS

from .clients import Application, Person, activate
from .service import Service, Site
from .warm import WarmService

ROOT = Path(__file__).parents[3]


def blocks(name: str, language: str) -> list[str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def own(tmp_path):
    """A service that a test may stop and start."""
    service = WarmService(tmp_path, {"presence.grace_seconds": 1, "presence.sweep_seconds": 1})
    service.start()
    yield service
    service.kill()


def shell(command: str, service: Service, folder: Path) -> str:
    (folder / "development.token").write_text(DEVELOPMENT_TOKEN)
    command = command.replace("http://127.0.0.1:8282", service.origin)
    done = subprocess.run(["sh", "-ec", command], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    return done.stdout


def test_the_command_that_mints_an_assertion_prints_one(own, tmp_path) -> None:
    (command,) = blocks("protocol.md", "sh")
    assert "~" in json.loads(shell(command, own, tmp_path))["assertion"]


def test_the_command_that_asks_for_the_heartbeat_prints_what_the_page_shows(own, tmp_path) -> None:
    (block,) = [block for block in blocks("operations.md", "sh") if "heartbeat" in block]
    command, shown = block.removeprefix("$ ").splitlines()
    assert shell(command, own, tmp_path) == shown


class Table:
    """The program of docs/clients.md that keeps a table, run for an application; ``shown`` is the table it printed last."""

    def __init__(self, application: Application, port: int) -> None:
        (code,) = blocks("clients.md", "python")
        code = code.replace("wss://presence.example.org/myapps/3fVZhsi7n1yBSfwv", f"ws://127.0.0.1:{port}/myapps/{application.appid}")
        environment = {**os.environ, "DPRESENCE_KEY": application.key}
        self.process = subprocess.Popen([sys.executable, "-u", "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        self._limit = threading.Timer(60, self.process.kill)
        self._limit.start()
        self.lines: list[str] = []

    def until(self, table: dict[str, str]) -> None:
        """Read until it prints this table; fail at its end."""
        for line in self.process.stdout or ():
            self.lines.append(line)
            if line.startswith("{") and ast.literal_eval(line) == table:
                return
        raise AssertionError(f"it never printed {table}: {self.lines}")

    def end(self) -> None:
        self._limit.cancel()
        self.process.kill()
        self.process.communicate()


@pytest.mark.slow
def test_the_program_that_keeps_the_table_is_right_after_updates_a_restart_and_a_snapshot(own) -> None:
    ann, bob = Person(own.origin, "ann@example.org"), Person(own.origin, "bob@example.org")
    with Site() as site:
        application = activate(own.origin, site)
        first, second = ann.grant(application), bob.grant(application)
        table = Table(application, own.port)
        try:
            table.until({first: "offline", second: "offline"})
            with ann.device("unavailable"):
                table.until({first: "unavailable", second: "offline"})
            own.stop()
            own.start()  # with `tracker = memory` its cursor continues nowhere: a snapshot
            bob.call("DELETE", f"/grant/{application.appid}")
            with ann.device("online"):
                table.until({first: "online"})
        finally:
            table.end()


def test_the_program_that_keeps_the_table_ends_where_it_should_not_come_back(own) -> None:
    with Site() as site:
        application = activate(own.origin, site)
        table = Table(application, own.port)
        try:
            table.until({})
            application.owner.call("DELETE", f"/myapps/{application.appid}")
            assert table.process.wait(PATIENCE_SECONDS) == 1
        finally:
            table.end()


@pytest.mark.parametrize("status", [None, 500, 503])
def test_the_program_that_keeps_the_table_comes_back_after_a_handshake_that_was_not_answered(status: int | None) -> None:
    answer = b"" if status is None else b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        application = Application("", "chess", "dpk_key", Person("", "dev@example.org"), "")
        table = Table(application, listener.getsockname()[1])
        try:
            for _ in range(2):
                with listener.accept()[0] as client:
                    client.recv(65536)
                    client.sendall(answer)
        finally:
            table.end()
