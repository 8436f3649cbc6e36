"""The command ``dpresence-client`` against a running dpresence."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from dpresence.tests.live.service import Site
from dpresence.tests.support import DEVELOPMENT_TOKEN

from dpresence_client import AppService, PairingCodes
from dpresence_client.cli import main, parser
from dpresence_client.cli.devices import _show
from dpresence_client.cli.output import Output, printable
from dpresence_client.cli.services import _show as _show_table
from dpresence_client.values import Batch, Update

from .support import wait_until

PACKAGE = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path, service):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("DPRESENCE_URL", service.origin)
    monkeypatch.delenv("DPRESENCE_KEY", raising=False)
    return tmp_path


class Running:
    """The command in a process of its own, as somebody starts it."""

    def __init__(self, *arguments):
        self.ends_by_interrupt = arguments[0] != "login"
        env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
        command = [sys.executable, "-m", "dpresence_client.cli", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        self.lines = []
        self._thread = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")))
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.ends_by_interrupt or kind:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self.errors = self.process.stderr.read()
        assert kind or code == (130 if self.ends_by_interrupt else 0), self.errors
        self._thread.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def line(self, pattern):
        """Return the match of the first line with a pattern."""
        return wait_until(lambda: next(filter(None, (re.search(pattern, line) for line in self.lines)), None), 60)


def written(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_login_connects_this_computer_and_status_shows_the_person_and_prints_their_notifications(application, person, home):
    puid = person.grant(application)
    with Running("login", "--device", "desk") as login:
        code = login.line(r"[B-Z]{4}-[B-Z]{4}")[0]
        answer(person, code)
        login.line(f"device desk of {person.email}")
    (file,) = (home / "config" / "dpresence-client").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    with application.service() as app, Running("status", "unavailable") as status:
        status.line("is unavailable on desk")
        wait_until(lambda: (puid, "unavailable", "explicit") in app.next_updates())
        app.notify({"puid": puid, "message": "Your move"})
        status.line("Chess club: Your move")
        status.process.send_signal(signal.SIGINT)
        wait_until(lambda: (puid, "offline", "explicit") in app.next_updates())
    with Running("login", "--device", "lamp") as login:
        answer(person, login.line(r"[B-Z]{4}-[B-Z]{4}")[0])
        login.line(f"The credential of the device desk of {person.email} is deleted here. .* sign that device out on")


class Terminal(io.StringIO):
    """A stream that a person watches."""

    def isatty(self):
        return True


def test_a_code_is_shown_also_if_no_picture_of_it_can_be_drawn():
    codes = PairingCodes("d", "WDJB-MJHT", "", "http://127.0.0.1:9/pair?code=WDJB-MJHT", 600, 5)
    _show(codes, "http://127.0.0.1:9", Output(terminal := Terminal(), False))
    assert "WDJB-MJHT" in terminal.getvalue()


def answer(person, code):
    """Confirm a pairing as a browser does."""
    import requests

    session = requests.Session()
    csrf = session.post(f"{person.origin}/login", json={"assertion": person.assertion()}, timeout=30).json()["csrf"]
    headers = {"X-CSRF-Token": csrf}
    assert session.post(f"{person.origin}/pair/answer", json={"code": code, "allow": True}, headers=headers, timeout=30).ok


def test_status_and_logout_without_a_login_say_what_to_do(capsys, service):
    for command in (["status", "online"], ["logout"]):
        assert main(command) == 1
        assert f"run dpresence-client --service {service.origin} login" in capsys.readouterr().err


def test_watch_shows_each_change(application, person, monkeypatch):
    puid = person.grant(application)
    monkeypatch.setenv("DPRESENCE_KEY", application.key)
    with Running("watch", application.appid) as watch:
        watch.line(f"{puid}  offline")
        with person.device():
            watch.line(f"{puid}  online  explicit")


@pytest.mark.slow
def test_watch_says_when_the_statuses_are_not_known(service, application, person, monkeypatch):
    puid = person.grant(application)
    monkeypatch.setenv("DPRESENCE_KEY", application.key)
    with Running("--json", "watch", application.appid) as watch:
        watch.line('{"current": true}')
        service.kill()
        try:
            watch.line('{"current": false}')
            shown = Terminal()
            with AppService(service.origin, application.appid, application.key, open_seconds=0) as app:
                app.table.apply(Batch([Update(puid, "online", "explicit", 1000)], "e:1", "update"))
                _show_table(app, Output(shown, False))
            assert f"unknown  {puid}\n" in shown.getvalue() and "online" not in shown.getvalue()
        finally:
            watch.lines.clear()
            service.start()
        watch.line('{"current": true}')


@pytest.mark.slow
def test_watch_says_at_its_start_that_the_statuses_are_not_known_if_the_service_cannot_be_reached(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        monkeypatch.setenv("DPRESENCE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("DPRESENCE_KEY", "dpk_x_y")
        with Running("--json", "watch", "app") as for_programs, Running("watch", "app") as for_people:
            for_programs.line('{"current": false}')
            for_people.line("The statuses are not known: the service does not answer.")
    assert len(for_programs.lines) == len(for_people.lines) == 1


def test_a_command_that_is_interrupted_again_and_again_ends_without_a_warning(application, person, monkeypatch):
    person.grant(application)
    monkeypatch.setenv("DPRESENCE_KEY", application.key)
    with Running("watch", application.appid) as watch:
        watch.line("offline")
        while watch.process.poll() is None:
            watch.process.send_signal(signal.SIGINT)
            time.sleep(0.002)
    assert watch.errors == ""


def test_notify_answers_the_id_and_refuses_by_name(application, person, capsys, caplog, home):
    puid = person.grant(application)
    key = home / "key"
    key.write_text(f"{application.key}\n")
    assert main(["--json", "notify", application.appid, puid, "Your move", "--key-file", str(key)]) == 0
    (answer,) = written(capsys)
    assert answer["puid"] == puid and answer["id"].startswith("n_")
    once = ["--json", "notify", application.appid, puid, "Your move", "--key-file", str(key), "--idempotency", "move-7", "--urgency", "low"]
    assert [main(once), main(once)] == [0, 0]
    first, again = written(capsys)
    assert first["id"] == again["id"] != answer["id"]
    assert main(["notify", application.appid, puid, "Now or never", "--ttl", "0", "--key-file", str(key)]) == 0
    assert capsys.readouterr().out.endswith(": It was not sent to a device, and waits for none.\n")
    assert main(["notify", application.appid, "nobody", "Your move", "--key-file", str(key)]) == 1
    assert capsys.readouterr().err == "dpresence-client: errno 110: not found\n"
    assert main(["notify", application.appid, puid, "Your move"]) == 1
    assert "DPRESENCE_KEY" in capsys.readouterr().err
    (home / "key").write_text("dpk_wrong")
    with caplog.at_level("WARNING"):
        assert main(["notify", application.appid, puid, "--key-file", str(home / "key"), "Your move"]) == 1
    assert caplog.records == [] and capsys.readouterr().err == "dpresence-client: errno 105: the API key is not valid\n"


@pytest.mark.slow
def test_an_application_is_registered_listed_and_deleted(capsys, home):
    token = home / "token"
    token.write_text(DEVELOPMENT_TOKEN)
    apps = ["--json", "apps", "--email", "dev@example.org", "--token-file", str(token)]
    assert main([*apps, "register", "Chess", "chess.example.org"]) == 0
    (made,) = written(capsys)
    assert main([*apps, "list"]) == 0
    assert made in written(capsys)
    assert main([*apps, "validate", made["appid"]]) == 1
    assert "errno 141" in capsys.readouterr().err
    assert main([*apps, "delete", made["appid"]]) == 0
    assert main([*apps, "show", made["appid"]]) == 1


def test_an_application_is_activated_as_the_command_says(capsys, home):
    (home / "token").write_text(DEVELOPMENT_TOKEN)
    apps = ["apps", "--email", "dev@example.org", "--token-file", str(home / "token")]
    with Site() as site:
        assert main([*apps, "register", "Chess", site.domain]) == 0
        said = re.search(
            r"Next: serve (\S+) at /__presence on (\S+), then: dpresence-client (apps validate (\S+))\n", capsys.readouterr().out
        )
        key, domain, command, appid = said.groups()
        assert domain == site.domain
        site.pages["/__presence"] = key
        assert main([*apps, *command.split()[1:]]) == 0
        assert f"Next: dpresence-client apps activate {appid}\n" in capsys.readouterr().out
        assert main([*apps, "activate", appid]) == 0
        assert re.search(r"^api_key: dpk_", capsys.readouterr().out, re.MULTILINE)
    assert main([*apps, "show", appid]) == 0
    shown = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert shown["active"] == "true" and json.loads(shown["keys"])[0]["last_used"] is None


@pytest.mark.parametrize("hyphens", ["-", "--", "-h", "-hR-"])
def test_ids_may_begin_with_a_hyphen(hyphens):
    appid, puid = hyphens.ljust(16, "a"), hyphens.ljust(22, "b")
    assert parser().parse_args(["apps", "show", appid]).appid == appid
    found = parser().parse_args(["notify", appid, puid, "Your move", "--ttl", "5"])
    assert (found.appid, found.puid, found.ttl) == (appid, puid, 5)
    with pytest.raises(SystemExit):
        parser().parse_args(["notify", appid, puid, "Your move", "--tll", "5"])


def test_text_that_the_terminal_cannot_show_does_not_end_the_command(home, monkeypatch):
    (home / "token").write_text(DEVELOPMENT_TOKEN)
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    with Running("apps", "--email", "dev@example.org", "--token-file", str(home / "token"), "register", "Café", "cafe.example.org") as made:
        made.ends_by_interrupt = False
        made.line(r"name: Caf\\xe9")


def test_apps_without_credentials_say_what_to_do(capsys):
    assert main(["apps", "list"]) == 1
    assert "DPRESENCE_ASSERTION" in capsys.readouterr().err


def test_a_service_that_does_not_answer_is_named(capsys, monkeypatch):
    monkeypatch.setenv("DPRESENCE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DPRESENCE_ASSERTION", "a.b.c")
    assert main(["apps", "list"]) == 1
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().err


def test_text_of_others_cannot_control_the_terminal():
    assert printable("a\x1b[2Jb\u202e") == "a?[2Jb?"


def test_the_completion_of_a_shell_is_written(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "bash"])
    assert ended.value.code == 0 and "dpresence" in capsys.readouterr().out


@pytest.mark.slow
def test_simulated_people_are_seen_by_their_application(capsys, home):
    (home / "token").write_text(DEVELOPMENT_TOKEN)
    scenario = home / "scenario.toml"
    script = '[[0, "online"], [0.1, "unavailable"], [0.2, "cut"], [0.3, "online"]]'
    scenario.write_text(  # with this seed, the steady people begin in the first quarter of a second
        f'seconds = 4\nseed = 82\napplications = ["Go"]\n[[people]]\nemail = "sim@example.org"\nscript = {script}\n[[people]]\ncount = 2\n'
    )
    assert main(["--json", "simulate", str(scenario), "--token-file", str(home / "token")]) == 0
    application, *steps = written(capsys)
    assert application["application"] == "Go" and application["key"].startswith("dpk_")
    assert [step["action"] for step in steps if step["email"] == "sim@example.org"] == ["online", "unavailable", "cut", "online"]
    assert {step["email"] for step in steps} == {"sim@example.org", "person-1-0@example.org", "person-1-1@example.org"}
    scenario.write_text("people = 7")
    assert main(["simulate", str(scenario), "--token-file", str(home / "token")]) == 1
