"""An upgrade of a single process on SQLite: this version starts on the data of the previous one while people use it."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from signal import SIGHUP
from typing import Any

import pytest
import requests
from websockets.exceptions import WebSocketException

from dpresence.backends.sql.migrate import newest_revision
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from ..live.clients import Application, Person, activate
from ..live.service import Service, Site
from .previous import Package

pytestmark = pytest.mark.faults

PEOPLE = 4
AWAY = (OSError, WebSocketException, requests.RequestException)
"""What a client meets while the process replaces itself."""


class Guest:
    """A person with a browser session, a ticket and a paired device, who signs in with an assertion once."""

    def __init__(self, service: Service, number: int) -> None:
        self.person = Person(service.origin, f"guest{number}@example.org")
        self.browser = requests.Session()
        csrf = self._post("/login", {"assertion": self.person.assertion()})["csrf"]
        codes = self._post("/pair", {"device": "lamp", "client": "Example lamp"})
        self._post("/pair/answer", {"code": codes["user_code"], "allow": True}, csrf)
        self.proofs = {"lamp": self._post("/pair/token", {"device_code": codes["device_code"]})["credential"]}
        with self.person.device("online", device="phone", ticket=True) as device:
            self.proofs["phone"] = device.ticket

    def _post(self, path: str, body: Any, csrf: str = "") -> Any:
        url, headers = self.person.origin + path, {"X-CSRF-Token": csrf}
        answer = self.browser.post(url, json=body, headers=headers, timeout=PATIENCE_SECONDS)
        assert answer.ok, answer.text
        return answer.json()

    def status(self) -> int:
        """Return the status of a call with the session."""
        return self.browser.get(f"{self.person.origin}/account", timeout=PATIENCE_SECONDS).status_code


class Use(threading.Thread):
    """Somebody who reads their account and whose device comes and goes, again and again."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(daemon=True)
        self.seen = Counter[str]()
        self.over = threading.Event()
        self._guest = guest

    def run(self) -> None:
        while not self.over.wait(0.05):
            try:
                self.seen[str(self._guest.status())] += 1
                with self._guest.person.device("online", assertion=self._guest.proofs["lamp"], device="lamp"):
                    self.seen["device"] += 1
            except AWAY:
                self.seen["away"] += 1
            except AssertionError as error:
                self.seen[f"wrong: {error}"] += 1


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def revision(service: Service) -> str:
    with closing(sqlite3.connect(service.ini.parent / "live.db", timeout=PATIENCE_SECONDS)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def notify(application: Application, puid: str) -> None:
    with application.service() as service:
        assert service.notify({"puid": puid, "message": "Your move"})[0]["result"] == "OK"


def test_this_version_goes_on_with_the_data_of_the_previous_one_while_people_use_it(tmp_path: Path, site: Site) -> None:
    package, service = Package(tmp_path), Service(tmp_path, {"presence.grace_seconds": 3, "presence.sweep_seconds": 1})
    package.used_by(service)
    service.start()
    try:
        before = revision(service)
        assert before != newest_revision()
        application = activate(service.origin, site)
        guests = [Guest(service, number) for number in range(PEOPLE)]
        puids = [guest.person.grant(application) for guest in guests]
        absent = Person(service.origin, "absent@example.org")
        notify(application, absent.grant(application))
        users = [Use(guest) for guest in guests]
        for user in users:
            user.start()
        eventually(lambda: all(user.seen["device"] > 3 for user in users))

        package.upgrade()
        service.send_signal(SIGHUP)
        eventually(lambda: revision(service) == newest_revision())
        counts = [user.seen["device"] for user in users]
        eventually(lambda: all(user.seen["device"] > count + 3 for user, count in zip(users, counts, strict=True)))
        for user in users:
            user.over.set()
            user.join(PATIENCE_SECONDS)

        assert [set(user.seen) - {"200", "device", "away"} for user in users] == [set()] * PEOPLE
        assert [guest.status() for guest in guests] == [200] * PEOPLE
        for guest in guests:
            guest.person.device("online", assertion=guest.proofs["phone"], device="phone").close()
        with application.service() as app_service:
            eventually(lambda: set(puids) <= set(app_service.statuses))
        with absent.device(device="phone") as device:
            assert [one["message"] for one in device.notifications(1)] == ["Your move"]
        assert service.stop() == 0
    finally:
        service.kill()
    service.assert_clean()
