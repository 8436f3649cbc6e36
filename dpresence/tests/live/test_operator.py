"""The operator's command line against a running service: block, unblock and unpin, without a restart (docs/operations.md)."""

from __future__ import annotations

import subprocess
import sys

import pytest
import requests
from sqlalchemy import create_engine, text

from dpresence.tests.waiting import PATIENCE_SECONDS

from . import warm
from .clients import Channel, Person
from .warm import running

ANN = "ann@example.org"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("operator"), presence__sweep_seconds=1) as service:
        yield service


def operate(service, *arguments):
    """Run ``dpresence`` as an operator does; return exit status and what it said."""
    log = service.ini.with_name("said")
    log.unlink(missing_ok=True)
    return warm.run(["dpresence", "--ini", str(service.ini), *arguments], log, 60, "dpresence.command"), log.read_text()


def update(person):
    return {"email": person.email, "assertion": person.assertion(), "status": "online"}


def test_a_block_reaches_a_running_service_and_an_unblock_undoes_it(service):
    ann, bob = Person(service.origin, ANN), Person(service.origin, "bob@example.org")
    device, bystander = ann.device(), bob.device()
    with requests.Session() as browser:
        browser.post(f"{service.origin}/login", json={"assertion": ann.assertion()}, timeout=PATIENCE_SECONDS).raise_for_status()
        assert operate(service, "block", "ann@EXAMPLE.org") == (0, f"{ANN}: block done\n")
        assert device.wait_closed() == (4009, "signed out")
        assert browser.get(f"{service.origin}/devices", timeout=PATIENCE_SECONDS).json()["errno"] == 130
    with Channel(service.origin, "/presence") as channel:
        assert channel.ask(**update(ann))["errno"] == 34
        bystander.assert_silent()
        assert operate(service, "unblock", ANN) == (0, f"{ANN}: unblock done\n")
        assert channel.ask(**update(ann)) == {"result": "OK"}
    bystander.close()


def test_an_unpin_lets_the_next_issuer_have_the_account(service):
    ann = Person(service.origin, ANN)
    ann.call("GET", "/devices")
    engine = create_engine(service.settings["directory.url"].replace("%(here)s", str(service.ini.parent)))
    with engine.begin() as connection:  # as if she had come by a provider that is gone
        connection.execute(text("UPDATE accounts SET issuer = 'https://old.example.org', subject = '1'"))
    engine.dispose()
    assert ann.call("GET", "/devices", status=409)["errno"] == 122
    assert operate(service, "unpin", ANN) == (0, f"{ANN}: unpin done\n")
    assert ann.call("GET", "/account")["account"]["issuer"] == "dev.invalid"
    operate(service, "unpin", ANN)
    assert ann.call("GET", "/devices", status=409)["errno"] == 122, "that is who was unpinned"
    assert operate(service, "unpin", "--same", ANN) == (0, f"{ANN}: unpin done\n")
    assert ann.call("GET", "/account")["account"]["issuer"] == "dev.invalid"


def test_a_merge_ends_one_account_and_gives_what_it_has_to_the_other(service):
    old, kept = Person(service.origin, "old@example.org"), Person(service.origin, "kept@example.org")
    made = old.call("POST", "/myapps", {"name": "Go", "domain": "go.example.org", "description": ""}, status=201)
    device, bystander = old.device(), kept.device()
    assert operate(service, "merge", "old@EXAMPLE.org", "kept@example.org") == (0, "old@example.org: merged into kept@example.org\n")
    assert device.wait_closed() == (4009, "signed out")
    assert [one["appid"] for one in kept.call("GET", "/myapps")["applications"]] == [made["appid"]]
    bystander.assert_silent()
    bystander.close()
    refused = "there is no account of old@example.org, or none of kept@example.org\n"
    assert operate(service, "merge", "old@example.org", "kept@example.org") == (1, refused)
    same = "kept@example.org: an account cannot be merged into itself\n"
    assert operate(service, "merge", "kept@EXAMPLE.org", "kept@example.org") == (1, same)


@pytest.mark.parametrize("command", ["block", "unblock", "unpin"])
def test_an_account_that_is_not_there_is_said_to_be_missing(service, command):
    assert operate(service, command, "nobody@example.org") == (1, "there is no account of nobody@example.org\n")


def test_an_application_that_is_stopped_or_started_is_named(service):
    assert operate(service, "stop", "nothing") == (1, "there is no application nothing\n")
    dev = Person(service.origin, "dev@example.org")
    made = dev.call("POST", "/myapps", {"name": "Chess", "domain": "chess.example.org", "description": ""}, status=201)
    assert operate(service, "stop", made["appid"]) == (0, "chess.example.org: stop done\n")
    assert dev.call("POST", f"/myapps/{made['appid']}/activate", status=409)["error"] == "the operator has stopped this application"
    assert operate(service, "start", made["appid"]) == (0, "chess.example.org: start done\n")
    assert dev.call("POST", f"/myapps/{made['appid']}/activate", status=403)["errno"] == 140


def test_a_command_works_while_the_ini_names_a_redis_that_is_away(service, tmp_path):
    redis = "tracker = redis\nmailbox = redis\nredis.url = redis://127.0.0.1:1/0\n"
    kept = [line for line in service.ini.read_text().splitlines() if not line.startswith(("tracker", "mailbox", "redis."))]
    ini = tmp_path / "cluster.ini"
    ini.write_text("\n".join(kept).replace("%(here)s", str(service.ini.parent)).replace("[app:main]\n", f"[app:main]\n{redis}", 1))
    command = [sys.executable, "-m", "dpresence.command", "--ini", str(ini), "block", "nobody@example.org"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "there is no account of nobody@example.org\n"), done.stderr
