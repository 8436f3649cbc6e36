"""The operator's command on real stores: copies of databases and mailboxes, the doctor, and changes."""

from __future__ import annotations

import json

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.backends.sql.copying import summaries
from dpresence.backends.sql.engine import Database
from dpresence.commands.cli import main
from dpresence.tests.waiting import eventually

from .directory_values import NOW, person
from .mailbox import one
from .operator_stores import fill, filled, ini

__all__ = ["filled", "ini"]


@pytest.mark.slow
def test_a_copy_to_the_other_kind_of_database_and_back_is_the_same(ini, filled, tmp_path, capsys) -> None:
    postgresql, back = str(ini), f"sqlite:///{tmp_path}/back.db"
    assert main(["copy", "--from", filled, "--to", postgresql, "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["accounts"], counts["grants"], counts["outbox"]) == (2, 1, 1)
    assert main(["copy", "--from", postgresql, "--to", back]) == 0
    assert summaries(back) == summaries(filled)
    versions = []
    for url in (filled, back):
        directory = SqlDirectory(Database(url))
        versions.append((directory.version(), directory.note("x", "y")))
        directory.close()
    assert versions[0] == versions[1] and versions[0][0].revision > 1, "Redis sees the same version of the directory"


def test_a_copy_into_a_database_with_rows_is_refused(ini, filled, capsys) -> None:
    before = summaries(filled)
    assert main(["copy", "--from", filled, "--to", filled]) == 3
    assert capsys.readouterr().err == "dpresence: the target has rows in the table accounts: it must be empty\n"
    assert main(["copy", "--from", "sqlite:////none/x.db", "--to", str(ini)]) == 3
    assert summaries(filled) == before


@pytest.mark.slow
def test_waiting_notifications_move_from_one_mailbox_to_the_other_and_back(ini, redis_server, capsys) -> None:
    mailbox = RedisMailbox(redis_server.server(), allow_volatile=False)
    mailbox.enqueue([one("a"), one("b"), one("c", user="joe")], 100)
    mailbox.discard_received("jane", ["a"], None, NOW)
    mailbox.mark_read("jane", ["a"])
    before, inbox = [each.notification for each in mailbox.pending("jane", 0, 10)], mailbox.inbox("jane", None, 10)
    assert main(["--ini", str(ini), "copy", "--from", "redis", "--to", "sql", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"notifications": 3, "inbox_entries": 3}
    assert main(["--ini", str(ini), "copy", "--from", "sql", "--to", "redis"]) == 1
    assert capsys.readouterr().err == "dpresence: the mailbox in redis has notifications: it must be empty\n"
    redis_server.client.flushall()
    assert main(["--ini", str(ini), "copy", "--from", "sql", "--to", "redis"]) == 0
    assert [each.notification for each in mailbox.pending("jane", 0, 10)] == before
    assert mailbox.inbox("jane", None, 10) == inbox and [each.read for each in inbox] == [False, True]
    mailbox.close()


@pytest.mark.slow
def test_the_doctor_examines_the_stores_and_says_what_to_do(ini, database, capsys) -> None:
    SqlDirectory(database).claim_mode("production")
    assert main(["--ini", str(ini), "--json", "doctor"]) == 1, "nothing answers at the public URL"
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    texts = {(each["check"], each["level"]): each["text"] for each in found}
    assert texts["database", "ok"].startswith("its clock differs by") and texts["redis", "ok"].startswith("its clock differs by")
    assert texts["public URL", "error"] == "http://127.0.0.1:1 does not answer (ConnectionError)"
    assert texts["sign-in", "warning"] == "nobody can sign in: identity.verifiers is empty"
    assert all(each["advice"] for each in found if each["level"] != "ok")
    assert ("file modes", "warning") in texts, "the ini is not private"


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["presence.grace_seconds = 100", "[server:main]\nport = none"])
def test_the_doctor_names_a_wrong_setting_once(ini, capsys, wrong) -> None:
    ini.write_text(ini.read_text().replace("[server:main]", wrong if "server" in wrong else f"{wrong}\n[server:main]"))
    assert main(["--ini", str(ini), "--json", "doctor"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (error,) = (each for each in found if each["level"] == "error")
    assert error["check"] == "start" and "must be" in error["text"], found


@pytest.mark.slow
def test_the_doctor_names_what_is_away(ini, database, capsys, monkeypatch) -> None:
    monkeypatch.setenv("DPRESENCE_REDIS_URL", "redis://:Canary7x@127.0.0.1:1/0")
    assert main(["--ini", str(ini), "doctor"]) == 1
    written = capsys.readouterr().out
    assert "error    redis: " in written and "start it, and check the address" in written and "Canary7x" not in written


@pytest.mark.slow
def test_a_check_and_the_doctor_say_that_redis_is_full(ini, database, redis_server, capsys) -> None:
    SqlDirectory(database).claim_mode("production")
    redis_server.client.config_set("maxmemory", "1")
    try:
        assert main(["--ini", str(ini), "check"]) == 1
        full = "redis.url: the Redis refuses writes because its memory is full: raise its maxmemory, or delete what fills it"
        assert full in capsys.readouterr().out.splitlines()
        assert main(["--ini", str(ini), "--json", "doctor"]) == 1
    finally:
        redis_server.client.config_set("maxmemory", "0")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    texts = [(each["level"], each["text"]) for each in found if each["check"] == "redis"]
    assert ("error", full) in texts and any(text.startswith("it uses 1 MiB of 0 MiB") or "of 0 MiB" in text for _, text in texts)


def test_a_change_is_signalled_to_the_services_on_redis(ini, database, redis_server, trackers, capsys) -> None:
    directory, received = SqlDirectory(database), []
    person(directory, "ann")
    trackers(redis_server.server()).subscribe(lambda *signal: received.append(signal))
    assert main(["--ini", str(ini), "--json", "accounts", "sign-out", "ann@example.org"]) == 0
    assert json.loads(capsys.readouterr().out)["applied"] is True
    eventually(lambda: ("changes", str(directory.version().revision)) in received)


def test_a_change_is_said_to_be_made_also_if_the_settings_of_redis_do_not_fit(ini, database, capsys) -> None:
    fill(database).claim_partitions(["127.0.0.1:1/0"] * 2)
    ini.write_text(ini.read_text().replace("[app:main]", "[app:main]\nredis.partitions = 3"))
    assert main(["--ini", str(ini), "--json", "accounts", "block", "ann@example.org"]) == 0, capsys.readouterr()
    assert json.loads(capsys.readouterr().out) == {"email": "ann@example.org", "done": "blocked", "applied": False}


def test_keys_are_said_to_be_replaced_also_if_the_database_does_not_answer(ini, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("DPRESENCE_DIRECTORY_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    for done in ("made", "replaced"):
        assert main(["--ini", str(ini), "rotate", "vapid"]) == 0, capsys.readouterr()
        assert f"{tmp_path}/presence-vapid.pem: {done}. Copy it to every machine" in capsys.readouterr().out
