"""The operator's command line against a running service: block, unblock and unpin, without a restart (docs/operations.md)."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys

import pytest
import requests
from sqlalchemy import create_engine, text

from dpresence import __version__
from dpresence.commands.cli import parser
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from . import warm
from .clients import AppService, Channel, Person, activate
from .service import Site
from .warm import running

RUNS = itertools.count(1)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("operator"), presence__sweep_seconds=60) as service:
        yield service


@pytest.fixture
def address():
    """Make addresses of this run of the test, which finds nothing of others at the service that they share."""
    run = next(RUNS)
    return lambda name: f"{name}-{run}@example.org"


def operate(service, *arguments):
    """Run ``dpresence`` as an operator does; return exit status and what it said."""
    log = service.ini.with_name("said")
    log.unlink(missing_ok=True)
    return warm.run(["dpresence", "--ini", str(service.ini), *arguments], log, 60, "dpresence.commands.cli"), log.read_text()


def update(person):
    return {"email": person.email, "assertion": person.assertion(), "status": "online"}


@pytest.mark.slow
def test_a_block_reaches_a_running_service_and_an_unblock_undoes_it(service, address):
    email = address("ann")
    ann, bob = Person(service.origin, email), Person(service.origin, address("bob"))
    device, bystander = ann.device(), bob.device()
    with requests.Session() as browser:
        browser.post(f"{service.origin}/login", json={"assertion": ann.assertion()}, timeout=PATIENCE_SECONDS).raise_for_status()
        assert operate(service, "accounts", "block", email.replace("example", "EXAMPLE")) == (0, f"{email}: blocked\n")
        assert device.wait_closed() == (4009, "signed out")
        assert browser.get(f"{service.origin}/devices", timeout=PATIENCE_SECONDS).json()["errno"] == 130
    with Channel(service.origin, "/presence") as channel:
        assert channel.ask(**update(ann))["errno"] == 34
        bystander.assert_silent()
        assert operate(service, "accounts", "unblock", email) == (0, f"{email}: unblocked\n")
        assert channel.ask(**update(ann)) == {"result": "OK"}
    bystander.close()


@pytest.mark.slow
def test_an_unpin_lets_the_next_issuer_have_the_account(service, address):
    email = address("ann")
    ann = Person(service.origin, email)
    ann.call("GET", "/devices")
    engine = create_engine(service.settings["directory.url"].replace("%(here)s", str(service.ini.parent)))
    with engine.begin() as connection:  # as if the user had signed in by a provider that no longer exists
        connection.execute(
            text("UPDATE accounts SET issuer = 'https://old.example.org', subject = '1' WHERE email = :email"), {"email": email}
        )
    engine.dispose()
    assert ann.call("GET", "/devices", status=409)["errno"] == 122
    assert operate(service, "accounts", "unpin", email) == (0, f"{email}: unpinned\n")
    assert ann.call("GET", "/account")["account"]["issuer"] == "dev.invalid"
    operate(service, "accounts", "unpin", email)
    assert ann.call("GET", "/devices", status=409)["errno"] == 122, "that is who was unpinned"
    assert operate(service, "accounts", "unpin", "--same", email) == (0, f"{email}: unpinned\n")
    assert ann.call("GET", "/account")["account"]["issuer"] == "dev.invalid"


@pytest.mark.slow
def test_a_merge_ends_one_account_and_gives_what_it_has_to_the_other(service, address):
    old_email, new_email = address("old"), address("kept")
    old, kept = Person(service.origin, old_email), Person(service.origin, new_email)
    made = old.call("POST", "/myapps", {"name": "Go", "domain": "go.example.org", "description": ""}, status=201)
    with Site() as site:
        application = activate(service.origin, site)
        note = {"puid": old.grant(application), "message": "Your move"}
        with AppService(application) as channel:
            channel.authenticate()
            assert channel.notify(note)[0]["result"] == "OK"
    device, bystander = old.device(), kept.device()
    assert operate(service, "accounts", "merge", old_email.replace("example", "EXAMPLE"), new_email) == (
        0,
        f"{old_email}: merged into {new_email}\n",
    )
    assert device.wait_closed() == (4009, "signed out")
    assert [one["appid"] for one in kept.call("GET", "/myapps")["applications"]] == [made["appid"]]
    assert [entry["message"] for entry in eventually(lambda: kept.call("GET", "/notifications")["notifications"])] == ["Your move"]
    bystander.assert_silent()
    bystander.close()
    refused = f"dpresence: there is no account of {old_email}, or none of {new_email}\n"
    assert operate(service, "accounts", "merge", old_email, new_email) == (1, refused)
    same = f"dpresence: {new_email}: an account cannot be merged into itself\n"
    assert operate(service, "accounts", "merge", new_email.replace("example", "EXAMPLE"), new_email) == (1, same)


@pytest.mark.parametrize("command", ["show", "block", "unblock", "unpin", "sign-out", "export", "erase"])
def test_an_account_that_is_not_there_is_said_to_be_missing(service, command):
    assert operate(service, "accounts", command, "nobody@example.org") == (1, "dpresence: there is no account of nobody@example.org\n")


@pytest.mark.slow
def test_a_sign_out_and_an_erasure_take_effect_at_once_and_are_logged(service, address):
    email = address("bea")
    person = Person(service.origin, email)
    device = person.device()
    assert operate(service, "accounts", "sign-out", email) == (0, f"{email}: signed out\n")
    assert device.wait_closed() == (4009, "signed out")
    device, exported = person.device(), json.loads(operate(service, "accounts", "export", email)[1])
    assert exported["account"]["email"] == email and "devices" not in exported
    shown = json.loads(operate(service, "accounts", "show", email, "--json")[1])
    assert operate(service, "accounts", "erase", email) == (0, f"{email}: erased\n")
    assert device.wait_closed() == (4009, "signed out")
    eventually(lambda: all(f"the operator has {what} account {shown['id']}" in service.log() for what in ("signed out", "erased")))


@pytest.mark.slow
def test_a_grant_that_is_revoked_and_an_application_that_is_deleted_are_gone_at_once(service, address):
    email = address("cy")
    with Site() as site:
        application = activate(service.origin, site, address("ona"))
        cy = Person(service.origin, email)
        puid = cy.grant(application)
        with application.service() as channel:
            listed = json.loads(operate(service, "grants", "list", "--email", email, "--json")[1])
            assert (listed["appid"], listed["puid"]) == (application.appid, puid)
            assert json.loads(operate(service, "--json", "grants", "list", "--app", application.appid)[1])["puid"] == puid
            assert operate(service, "grants", "revoke", email, application.appid)[0] == 0
            assert channel.receive()["updates"][0]["reason"] == "revoked"
            assert operate(service, "notifications", "purge", email) == (0, f"{email}: 0 notifications discarded\n")
            assert operate(service, "apps", "delete", application.appid) == (0, f"{application.domain}: deleted\n")
            assert channel.wait_closed()[0] in (4001, 4003)
    assert operate(service, "apps", "show", application.appid) == (1, f"dpresence: there is no application {application.appid}\n")


@pytest.mark.slow
def test_lists_and_details_are_text_or_json(service, address):
    email = address("zoe")
    dev = Person(service.origin, email)
    made = dev.call("POST", "/myapps", {"name": "Zoo", "domain": "zoo.example.org", "description": ""}, status=201)
    status, text = operate(service, "apps", "list")
    assert status == 0 and f"{made['appid']}  inactive  zoo.example.org  Zoo\n" in text
    shown = json.loads(operate(service, "apps", "show", made["appid"], "--json")[1])
    assert (shown["owner"], shown["state"], shown["users"]) == (email, "inactive", 0)
    emails = [json.loads(line)["email"] for line in operate(service, "--json", "accounts", "list")[1].splitlines()]
    assert emails == sorted(emails) and email in emails
    assert "applications:   " + made["appid"] in operate(service, "accounts", "show", email)[1]


@pytest.mark.slow
def test_an_application_that_is_stopped_or_started_is_named(service, address):
    assert operate(service, "apps", "stop", "nothing") == (1, "dpresence: there is no application nothing\n")
    dev = Person(service.origin, address("dev"))
    made = dev.call("POST", "/myapps", {"name": "Chess", "domain": "chess.example.org", "description": ""}, status=201)
    assert operate(service, "apps", "stop", made["appid"]) == (0, "chess.example.org: stopped\n")
    assert dev.call("POST", f"/myapps/{made['appid']}/activate", status=409)["error"] == "the operator has stopped this application"
    assert operate(service, "apps", "start", made["appid"]) == (0, "chess.example.org: started\n")
    assert dev.call("POST", f"/myapps/{made['appid']}/activate", status=403)["errno"] == 140


@pytest.mark.slow
def test_a_command_works_while_the_ini_names_a_redis_that_is_away(service, tmp_path, address):
    email = address("zoe")
    Person(service.origin, email).call("GET", "/devices")
    redis = "tracker = redis\nmailbox = redis\nredis.url = redis://127.0.0.1:1/0\n"
    kept = [line for line in service.ini.read_text().splitlines() if not line.startswith(("tracker", "mailbox", "redis."))]
    ini = tmp_path / "cluster.ini"
    ini.write_text("\n".join(kept).replace("%(here)s", str(service.ini.parent)).replace("[app:main]\n", f"[app:main]\n{redis}", 1))
    command = [sys.executable, "-W", "error", "-m", "dpresence.commands", "--ini", str(ini), "accounts", "unblock", email]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.partition(";")[0]) == (0, f"{email}: unblocked"), done.stderr
    assert "no service could be asked" in done.stdout and "redis: ConnectionError" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--ini", "/nowhere/presence.ini", "accounts", "list"], 3, "no such file: /nowhere/presence.ini; --ini names the service's ini"),
        (["--deadline", "0.000001", "accounts", "list"], 5, "not done within 1e-06 s"),
    ],
)
def test_the_exit_status_says_what_is_wrong(arguments, status, said, service):
    assert operate(service, *arguments) == (status, f"dpresence: {said}\n")


def test_the_state_of_a_running_service_is_shown(service):
    found = json.loads(operate(service, "status", "--json")[1])
    assert (found["address"], found["running"], found["healthy"], found["tracker"]) == (service.origin, True, True, "memory")
    assert found["accounts"] == len(operate(service, "accounts", "list")[1].splitlines())


@pytest.mark.slow
def test_an_ini_and_a_database_are_checked_without_a_change(service, tmp_path):
    assert operate(service, "check") == (0, f"{service.ini}: a start would succeed\n")
    assert operate(service, "migrate", "--check") == (0, "the database is of this version\n")
    assert operate(service, "migrate")[0] == 0
    wrong = tmp_path / "wrong.ini"
    wrong.write_text(service.ini.read_text().replace("identity.development = true", "identity.development = maybe"))
    assert operate(service, "check", str(wrong)) == (1, "identity.development: must be true or false\n")
    text = service.ini.read_text().replace("%(here)s", str(service.ini.parent))
    wrong.write_text(re.sub("identity.development.*|outbound.allow_loopback.*", "", text))
    said = "directory.url: must be a production database; this one was made by a development service\n"
    assert operate(service, "check", str(wrong)) == (1, said)
    wrong.write_text(re.sub("directory.url.*", f"directory.url = sqlite:///{tmp_path}/none.db", text))
    assert operate(service, "check", str(wrong)) == (0, f"{wrong}: a start would succeed\n")
    assert operate(service, "--ini", str(wrong), "migrate", "--check")[0] == 3 and not (tmp_path / "none.db").exists()


def test_a_secret_is_replaced(service):
    secret = service.ini.parent / "presence.secret"
    assert operate(service, "rotate", "secret")[0] == 0
    first = secret.read_bytes()
    assert operate(service, "rotate", "secret")[0] == 0 and secret.read_bytes() != first
    assert len(first) == 64 and secret.stat().st_mode & 0o777 == 0o600
    eventually(lambda: "the operator has replaced the secret of identity.secret_file" in service.log())


@pytest.mark.slow
def test_the_command_runs_without_the_drivers_that_are_extras(tmp_path):
    without = "import sys; sys.modules.update(dict.fromkeys(('redis', 'psycopg', 'sentry_sdk', 'shtab')));"
    program = f"{without} sys.argv = ['dpresence', '--version']; from dpresence.commands.__main__ import run; run()"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (f"{__version__}\n", "", 0)


def test_a_completion_without_its_package_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--print-completion", "bash"])
    said = "--print-completion needs the package shtab: pip install shtab, or install dpresence with the extra [completion]"
    assert ended.value.code == 2 and capsys.readouterr().err.splitlines()[-1] == f"dpresence: error: {said}"


@pytest.mark.parametrize("appid", ["-" * 16, "-hR-uZAcn32DqWpg", "--deadlineabcdef", "--json0123456789"])
def test_ids_may_begin_with_a_hyphen(appid):
    show = parser().parse_args(["apps", "show", appid, "--json"])
    assert (show.appid, show.json) == (appid, True)
    assert parser().parse_args(["grants", "list", "--app", appid]).app == appid
    assert parser().parse_args(["grants", "revoke", "cy@example.org", appid]).appid == appid
    with pytest.raises(SystemExit):
        parser().parse_args(["apps", "list", "--jso-n"])
