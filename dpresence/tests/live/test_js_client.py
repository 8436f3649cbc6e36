"""The JavaScript client in Node: its vectors, and both roles against a real service (clients/js)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any, Self

import pytest
import requests

from dpresence.tests.contract_check import check_client_frame, check_frame
from dpresence.tests.support import DEVELOPMENT_TOKEN

from .clients import ANSWER_SECONDS, Application, Person
from .service import Service
from .warm import running

CLIENT = Path(__file__).parents[3] / "clients" / "js"
SECONDS = 60.0


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        assert os.environ.get("CI") != "true", "node is not installed"
        pytest.skip("needs node")
    subprocess.run([found, "scripts/copy-device.mjs"], cwd=CLIENT, check=True, timeout=SECONDS)
    return str(found)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("js"), presence__grace_seconds=1) as service:
        yield service


class Script:
    """A script of the client's tests; a context that stops it, and then compares its frames with the contract.

    :param websockets: whether a websocket of it opens.
    """

    def __init__(self, node: str, *arguments: str, websockets: bool = True) -> None:
        self._websockets = websockets
        command = [node, "--no-warnings", "--experimental-websocket", *arguments]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(command, cwd=CLIENT / "tests", **pipes)
        self._lines: Queue[Any] = Queue()
        self._frames: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for text in self._process.stdout or ():
            line = json.loads(text)
            if "frame" in line:
                self._frames.append(line)
            else:
                self._lines.put(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            assert self._process.wait(SECONDS) == 0
        finally:
            self._process.kill()
            self._reader.join(SECONDS)
            self._process.stdout.close()
        assert {"sent" in each for each in self._frames} == ({True, False} if self._websockets else set()), "wrong frames"
        for each in self._frames:
            if "sent" in each:
                check_client_frame(each["path"], each["frame"])
            else:
                check_frame(each["path"], json.loads(each["frame"]))

    def say(self, value: object) -> None:
        """Write a line."""
        assert self._process.stdin
        self._process.stdin.write(f"{value if isinstance(value, str) else json.dumps(value)}\n")
        self._process.stdin.flush()

    def until(self, wanted: Callable[[Any], bool]) -> list[Any]:
        """Return the lines up to the first that is wanted."""
        found = [self._lines.get(timeout=SECONDS)]
        while not wanted(found[-1]):
            found.append(self._lines.get(timeout=SECONDS))
        return found


@pytest.mark.slow
def test_the_cores_of_the_javascript_client_pass_the_vectors(node: str) -> None:
    tests = sorted(str(path) for path in (CLIENT / "tests").glob("*.test.mjs"))
    ran = subprocess.run([node, "--test", *tests], cwd=CLIENT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]


@pytest.mark.slow
def test_an_app_service_follows_a_person_and_reaches_them_across_a_crash(
    node: str, service: Service, application: Application, tmp_path: Path
) -> None:
    ann = Person(service.origin, "ann-js@example.org")
    puid, table = ann.grant(application), tmp_path / "table.json"
    arguments = ("app.mjs", service.origin, application.appid, application.key, str(table))
    with Script(node, *arguments) as app:
        app.until(lambda line: line.get("change", {}).get("puid") == puid)
        with ann.device(ack=True) as device:
            (*_, last) = app.until(lambda line: line.get("change", {}).get("status") == "online")
            assert last["change"] == {
                "puid": puid,
                "status": "online",
                "reason": "explicit",
                "at": last["change"]["at"],
                "origin": "update",
            }
            app.say({"notify": {"puid": puid, "message": "Your move"}})
            (*_, answered) = app.until(lambda line: "answer" in line)
            assert [item["id"] for item in device.notifications(1)] == [answered["answer"]["id"]]
            app.say({"notify": {"puid": "nobody", "message": "Your move"}})
            assert app.until(lambda line: "failed" in line)[-1] == {"failed": "Refused", "errno": 110}
            app.say({"notify": {"puid": puid, "message": "Your move", "outcome": True}})
            (*_, followed) = app.until(lambda line: "answer" in line)
            assert [item["id"] for item in device.notifications(1)] == [followed["answer"]["id"]]
            device.send(action="ack", notifications=[followed["answer"]["id"]])
            app.until(lambda line: line.get("outcome", {}).get("outcome") == "delivered")
            service.crash()
        app.until(lambda line: line.get("state") == "connected")
        app.until(lambda line: line.get("change", {}).get("status") == "offline")
        app.say({"notify": {"puid": puid, "message": "Your move", "outcome": True}})
        (*_, waiting) = app.until(lambda line: "answer" in line)
        app.say({"cancel": waiting["answer"]})
        (*_, cancelled) = app.until(lambda line: "outcome" in line)
        assert (cancelled["outcome"]["id"], cancelled["outcome"]["outcome"]) == (waiting["answer"]["id"], "cancelled"), (
            "delivered comes once"
        )
        app.say({"cancel": {**waiting["answer"], "puid": "nobody"}})
        assert app.until(lambda line: "failed" in line)[-1] == {"failed": "Refused", "errno": 110}
        app.say({"table": True})
        assert app.until(lambda line: "table" in line)[-1] == {"table": {puid: "offline"}}
    stored = json.loads(table.read_text())
    assert stored["outcomes"].isdigit()
    assert [entry[:2] for entry in stored["table"]] == [[puid, "offline"]]
    assert table.stat().st_mode & 0o777 == 0o600
    with Script(node, *arguments) as app, ann.device():
        first = app.until(lambda line: line.get("change", {}).get("status") == "online")
        assert [line["change"]["origin"] for line in first if "change" in line] == ["replay"], "it continues from the stored cursor"
        app.until(lambda line: line.get("current"))


def test_an_app_service_with_a_wrong_key_stops_and_says_so(node: str, service: Service, application: Application, tmp_path: Path) -> None:
    with Script(node, "app.mjs", service.origin, application.appid, "dpk_wrong", str(tmp_path / "table.json")) as app:
        (*_, last) = app.until(lambda line: line.get("state") == "stopped")
    assert last["error"] == "errno 105: the API key is not valid"


@pytest.mark.slow
def test_a_device_sets_its_status_and_receives_notifications_across_a_crash(node: str, service: Service, application: Application) -> None:
    dan = Person(service.origin, "dan-js@example.org")
    puid = dan.grant(application)
    url = f"{service.origin.replace('http', 'ws', 1)}/presence"
    with application.service() as app, Script(node, "device.mjs", url, dan.email, "desk") as device:
        device.say(dan.assertion())
        device.until(lambda line: line.get("state") == "connected")
        device.say("unavailable")
        while (puid, "unavailable", "explicit") not in app.next_updates(seconds=ANSWER_SECONDS):
            pass
        (answer,) = app.notify({"puid": puid, "message": "Your move"})
        (*_, shown) = device.until(lambda line: "notification" in line)
        assert (shown["notification"]["id"], shown["notification"]["message"]) == (answer["id"], "Your move")
        service.crash()
        device.until(lambda line: line.get("state") == "connected")
        assert [(one["device"], one["status"]) for one in dan.call("GET", "/devices")["devices"]] == [("desk", "unavailable")]


def test_a_device_that_stops_before_its_offline_is_due_leaves_no_grace(node: str, service: Service, application: Application) -> None:
    gil = Person(service.origin, "gil-js@example.org")
    puid, url = gil.grant(application), f"{service.origin.replace('http', 'ws')}/presence"
    with application.service() as app:
        with Script(node, "device.mjs", url, gil.email, "desk") as device:
            device.say(gil.assertion())
            device.until(lambda line: line.get("state") == "connected")
            device.say("unavailable\noffline")
        updates = app.next_updates()
        while updates[-1][:2] != (puid, "offline"):
            updates += app.next_updates()
        assert updates[-1] == (puid, "offline", "explicit")


def test_a_device_without_a_browser_pairs_and_connects(node: str, service: Service) -> None:
    with Script(node, "pairing.mjs", service.origin, "lamp") as device:
        [begun] = device.until(lambda line: "codes" in line)
        user = Person(service.origin, "fay-js@example.org")
        browser = requests.Session()
        csrf = browser.post(f"{user.origin}/login", json={"assertion": user.assertion()}, timeout=SECONDS).json()["csrf"]
        assert begun["codes"]["verificationUriComplete"] == f"{service.origin}/pair?code={begun['codes']['userCode']}"
        allowed = {"code": begun["codes"]["userCode"], "allow": True}
        assert browser.post(f"{user.origin}/pair/answer", json=allowed, headers={"X-CSRF-Token": csrf}, timeout=SECONDS).ok
        device.say("answered")
        (*_, connected) = device.until(lambda line: line.get("state") == "connected")
        assert (connected["email"], connected["device"]) == (user.email, "lamp")
        assert [one["client"] for one in user.call("GET", "/devices")["paired"]] == ["Example lamp"]


def test_a_user_s_account_is_shown_and_changed(node: str, service: Service, application: Application) -> None:
    eve = Person(service.origin, "eve-js@example.org")
    puid = eve.grant(application)
    with application.service() as app:
        app.notify(*({"puid": puid, "message": message} for message in ("one", "two")))
    command = [node, "--no-warnings", "account.mjs", service.origin, DEVELOPMENT_TOKEN, eve.email, application.appid]
    ran = subprocess.run(command, cwd=CLIENT / "tests", capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ran.returncode == 0, ran.stderr
    answers = dict(json.loads(line) for line in ran.stdout.splitlines())
    hours = {"zone": "Europe/Berlin", "weekly": [{"days": ["sat"], "from": "03:00", "to": "03:01"}]}
    override = {"status": "offline", "merged": "offline", "override": "unavailable", "until": 4102444800000}
    assert (answers["setOverride"], answers["endOverride"]) == (override, None)
    assert answers["status"] == {**override, "override": None, "until": None}
    assert (answers["setHours"]["hours"], answers["removeHours"]) == (hours, None)
    assert answers["hours"] == {"hours": None, "quiet": False}
    changed, [listed] = answers["changeGrant"], answers["grants"]
    assert (changed["puid"], changed["shows"], changed["hours"], changed["paused"]) == (puid, "reachable", hours, False)
    assert {name: listed[name] for name in changed} == changed and changed["grantedAt"] > 0 and "granted_at" not in listed
    assert (listed["sees"], listed["why"][0]) == ("offline", {"link": "devices", "status": "offline"})
    assert [answers[name] for name in ("markRead", "markReadUntil", "deleteNotification", "clearNotifications")] == [1, 0, None, None]
    [one] = answers["notifications"]["notifications"]
    assert (one["message"], one["read"], answers["notifications"]["unread"]) == ("one", True, 0)
    assert answers["refused"] == {"error": "Refused", "errno": 107, "field": "until"}
    assert answers["signedOut"] == {"error": "Refused", "errno": 104, "field": ""}
    assert answers["unreachable"] == {"error": "NotConnected"}
