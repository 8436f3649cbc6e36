"""The published clients, each in a process of its own, with an application and people: what they say is compared with the truth."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import requests

from dpresence.tests.contract_check import check_answer, check_frame
from dpresence.tests.waiting import PATIENCE_SECONDS

from ..live.clients import Application, activate
from ..live.service import Service, Site
from .cluster import seed_people

PEOPLE = 6
FAST = {"presence__status_rate": 1000, "presence__status_burst": 10000, "channels__device_frame_rate": 10000}
"""Settings of a service that limits no device."""
CLIENTS = Path(__file__).parents[3] / "clients"
COMMANDS = {
    "sync": [sys.executable, "-W", "ignore", "-m", "dpresence.tests.faults.client_driver", "sync"],
    "asyncio": [sys.executable, "-W", "ignore", "-m", "dpresence.tests.faults.client_driver", "asyncio"],
    "Node": ["node", "--no-warnings", "--experimental-websocket", str(CLIENTS / "js" / "tests" / "driver.mjs")],
}
"""Command of each client; ``client_driver`` and ``driver.mjs`` have the same interface."""


class World:
    """A client with one service and the devices of its people; a context that ends it.

    :param url: where it connects to.
    :param database: the service's, as a URL.
    :param people: how many.
    """

    def __init__(self, kind: str, application: Application, url: str, database: str, store: Path, people: int) -> None:
        emails = [f"{kind.lower()}{number}@example.org" for number in range(people)]
        found = seed_people(database, application.appid, emails)
        given = {"url": url, "appid": application.appid, "key": application.key, "store": str(store)}
        self.kind, self.application = kind, application
        self._given = {**given, "people": [[puid, email, ticket] for email, (ticket, puid) in found.items()]}
        self.clients = people + 1

    def __enter__(self) -> Self:
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": f"{CLIENTS / 'python'}:{CLIENTS.parent}"}
        self._process = subprocess.Popen(
            COMMANDS[self.kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=CLIENTS.parent
        )
        self._write(self._given)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            assert self._process.wait(PATIENCE_SECONDS) == 0 or kind
        finally:
            self._process.kill()
            self._process.stdout.close()

    def _write(self, value: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def do(self, command: str = "report", **arguments: Any) -> dict[str, Any]:
        """Give a command; return what was seen so far. Every frame must be in the AsyncAPI document."""
        self._write({"do": command, **arguments})
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"the {self.kind} client ended with {self._process.wait(PATIENCE_SECONDS)}"
        report: dict[str, Any] = json.loads(line)
        for path, frame in report.pop("frames", ()):
            check_frame(path, json.loads(frame))
        return report

    def truth(self) -> dict[str, list[Any]]:
        """Return the status of everybody and since when, as REST says."""
        found: dict[str, list[Any]] = {}
        path, after = f"/myapps/{self.application.appid}/presence", ""
        headers = {"Authorization": f"Bearer {self.application.key}"}
        while True:
            answer = requests.get(
                self.application.origin + path, {"after": after} if after else {}, headers=headers, timeout=PATIENCE_SECONDS
            )
            check_answer("GET", path, answer.status_code, answer.headers["Content-Type"], answer.content)
            if not answer.ok:
                return {}  # held back
            found |= {entry["puid"]: [entry["status"], entry["at"]] for entry in answer.json()["presence"]}
            if not (after := answer.json().get("next", "")):
                return found

    def problems(self) -> list[str]:
        """Return everything that is not as it has to be once all has arrived."""
        report = self.do()
        copy = {puid: status for puid, (status, _) in report["copy"].items()}
        holds = {
            "every client is connected": report["connected"] == self.clients,
            "all was done": not report["acting"],
            "the table is current": report["current"],
            "the table is the truth": report["table"] == self.truth(),
            "the changes lead to the statuses of the devices": not report["statuses"] or copy == report["statuses"],
            "the changes lead to the table": report["copy"] == report["table"],
            "no notification is lost": not report["missing"],
            "no notification came twice": not report["doubled"],
            "no notification is unaccounted for": report["received"] <= report["accepted"] + report["uncertain"],
            "no change came twice": not report["repeated"],
            "no error": not report["errors"],
        }
        return [f"{self.kind}: not: {name} ({report})" for name, held in holds.items() if not held]

    def agree(self) -> None:
        """Wait until everything is as it has to be."""
        until = time.monotonic() + PATIENCE_SECONDS
        while problems := self.problems():
            assert time.monotonic() < until, problems
            time.sleep(0.1)


def act(worlds: Iterable[World]) -> None:
    """Have every client change each status and send each person a notification."""
    for world in worlds:
        world.do("act")


def agree(worlds: Iterable[World]) -> None:
    """Wait until every client is right about everything."""
    for world in worlds:
        world.agree()


@contextmanager
def clients(kinds: Iterable[str], folder: Path, origin: str, port: int, database: str, people: int = PEOPLE) -> Iterator[list[World]]:
    """A world of each client, all signed in and right; ``port`` is where they connect to."""
    with ExitStack() as stack:
        worlds = []
        for kind in kinds:
            application = activate(origin, stack.enter_context(Site()), name=kind)
            store = folder / f"{kind}.json"
            worlds.append(stack.enter_context(World(kind, application, f"http://127.0.0.1:{port}", database, store, people)))
        agree(worlds)
        yield worlds


def database_of(service: Service) -> str:
    """Return the URL of a service's database."""
    return f"sqlite:///{service.ini.with_name('live.db')}"
