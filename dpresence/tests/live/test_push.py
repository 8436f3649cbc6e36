"""Web Push of a real process: keys of the operator, a push service that never answers, and a process that is killed."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpresence.tests.push_service import PushBrowser, PushService
from dpresence.tests.waiting import eventually

from .clients import Application, Person, activate
from .service import Service, Site, running

pytestmark = pytest.mark.slow  # a push of a process that was killed is sent when its lease is over, after a minute
COMMAND = Path(sys.executable).with_name("dpresence")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running(tmp_path, push__key_file=tmp_path / "keys.pem") as service:
        yield service


@pytest.fixture
def application(service: Service) -> Iterator[Application]:
    with Site() as site:
        yield activate(service.origin, site)


def dpresence(service: Service, *arguments: str) -> str:
    command = [str(COMMAND), "--ini", str(service.ini), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def subscribed(person: Person, application: Application, browser: PushBrowser) -> str:
    """Let an application push to somebody's browser; return the PUID."""
    puid = person.grant(application)
    person.call("PATCH", f"/grant/{application.appid}", {"push": True})
    person.call("PUT", "/push", browser.body(person.call("GET", "/push")["key"]))
    return puid


def test_pushes_begin_with_the_keys_and_survive_their_rotation_a_kill_and_a_service_that_never_answers(
    service: Service, application: Application, tmp_path: Path
) -> None:
    ann, bob = Person(service.origin, "ann@example.org"), Person(service.origin, "bob@example.org")
    assert ann.call("GET", "/push")["key"] is None
    assert "made" in dpresence(service, "rotate", "vapid")
    assert stat.S_IMODE((tmp_path / "keys.pem").stat().st_mode) == 0o600
    service.stop()
    service.start()
    push, slow = PushService(), PushService()
    browser, hanging = push.browser(), slow.browser()
    hanging.answers = [None] * 100
    puid, of_bob = subscribed(ann, application, browser), subscribed(bob, application, hanging)
    with application.service() as app:
        app.notify({"puid": of_bob, "message": "1"}, {"puid": of_bob, "message": "2"}, {"puid": puid, "message": "beside"})
    eventually(lambda: browser.messages == ["beside"])
    assert "replaced" in dpresence(service, "rotate", "vapid")
    with application.service() as app:
        app.notify({"puid": puid, "message": "killed"})
    service.kill()
    slow.hanging.set()
    hanging.answers = []
    service.start()
    eventually(lambda: browser.messages == ["beside", "killed"] and sorted(set(hanging.messages)) == ["1", "2"], 150)
    service.stop()
    slow.close()
    push.close()
