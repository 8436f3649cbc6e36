"""The status setter of ``examples/``, with a real Matrix server."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dpresence.tests.waiting import eventually

from .clients import Application, Person
from .desktop import ROOT, Program
from .service import Service
from .status_services import Slack, Synapse
from .warm import running

SETTER = ROOT / "examples" / "status" / "setter.py"
TOKEN = "xoxp-1"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), presence__grace_seconds=1, presence__sweep_seconds=1) as service:
        yield service


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack(TOKEN) as slack:
        yield slack


@contextmanager
def setter(folder: Path, application: Application, slack: Slack, matrix_url: str, person: str) -> Iterator[Program]:
    """Run the example.

    :param person: lines of the section of a person, its header first.
    """
    (folder / "presence.json").write_text(json.dumps({"service": application.origin, "appid": application.appid, "key": application.key}))
    file = folder / "setter.ini"
    file.write_text(f"[dpresence]\nregistered = presence.json\n[slack]\nurl = {slack.url}\n[matrix]\nurl = {matrix_url}\n{person}\n")
    with Program([sys.executable, str(SETTER), str(file)], {"PYTHONPATH": str(ROOT / "clients" / "python")}) as program:
        yield program


@pytest.mark.slow
def test_slack_and_matrix_show_a_person_and_nobody_online_who_is_not_known_to_be(
    service: Service, application: Application, person: Person, slack: Slack, tmp_path: Path
) -> None:
    puid = person.grant(application)
    with Synapse(tmp_path / "synapse") as synapse:
        token = synapse.register("ada")

        def shows(presence: str) -> Callable[[], bool]:
            return lambda: synapse.presence("@ada:localhost", token) == presence

        assert shows("offline")()  # Synapse loads the presence of a user once, and a load during the first change would undo it
        accounts = f"[{puid}]\nslack = {TOKEN}\nmatrix = @ada:localhost {token}"
        with setter(tmp_path, application, slack, synapse.url, accounts) as program:
            with person.device("online") as device:
                slack.until("Reachable")
                eventually(shows("online"))
                device.say("unavailable")
                profile = slack.next()
                assert (profile["status_text"], profile["status_emoji"]) == ("Busy", ":no_entry:")
                assert 0 < profile["status_expiration"] - time.time() <= 601
                eventually(shows("unavailable"))
                service.kill()
                assert slack.next() == {"status_text": "", "status_emoji": "", "status_expiration": 0}
                eventually(shows("offline"))
            service.start()
            with person.device("online"):
                slack.until("Reachable")
                program.process.terminate()
                slack.until("")
                assert program.process.wait(60) == 0
            assert shows("offline")()


@pytest.mark.slow
def test_the_newest_status_is_written_after_failures_and_not_before_the_given_time(
    application: Application, person: Person, slack: Slack, tmp_path: Path
) -> None:
    puid = person.grant(application)
    with setter(tmp_path, application, slack, "http://127.0.0.1:9", f"[{puid}]\nslack = {TOKEN}"):
        slack.until("")
        slack.refusals = [(503, {}), (429, {"Retry-After": "3"})]
        with person.device("online") as device:
            eventually(lambda: slack.refusals == [])
            start = time.monotonic()
            device.say("unavailable")
            device.say("online")
            device.say("unavailable")
            assert slack.next()["status_text"] == "Busy"
            assert time.monotonic() - start >= 2.5


def test_a_token_that_is_refused_is_logged_and_others_are_written(
    application: Application, person: Person, slack: Slack, tmp_path: Path
) -> None:
    puid, other = person.grant(application), Person(person.origin, "other@example.org").grant(application)
    with setter(tmp_path, application, slack, "http://127.0.0.1:9", f"[{other}]\nslack = wrong\n[{puid}]\nslack = {TOKEN}") as program:
        with person.device("online"):
            slack.until("Reachable")
        lines = iter(program.line, f"ERROR writer: Slack of {other[:4]}..: offline is not written: invalid_auth")
        assert TOKEN not in "".join(lines)
