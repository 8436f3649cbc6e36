"""The operator's command on real stores: copies and backups of PostgreSQL, SQLite and Redis, and their restoration."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.backends.sql.copying import summaries
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.commands import backup
from dpresence.commands.cli import main
from dpresence.model import Session
from dpresence.tests.waiting import eventually

from .directory_values import NOW, application, grant, person
from .mailbox import one
from .postgresql import pgserver


def fill(database: Database) -> SqlDirectory:
    """Store something in most tables, and leave a gap in the numbers of the outbox."""
    directory = SqlDirectory(database)
    directory.claim_mode("production")
    ann, bob = person(directory, "ann"), person(directory, "Zoë")
    made = application(directory, ann)
    directory.change_application(made.id, {"validated_scheme": "https", "active": True})
    directory.set_icon(made.id, b"\x00\xffRIFF")
    grant(directory, made, bob)
    directory.add_session(Session(b"\x00\xff", bob.id, NOW, 2 * NOW))
    directory.end_sessions(ann.id)
    directory.clear_outbox(directory.outbox(None, 0, 100)[1:])
    return directory


@pytest.fixture
def ini(tmp_path: Path, redis_server, migrated, database) -> Path:
    """The ini of a service on PostgreSQL and Redis, with an empty database."""
    file = tmp_path / "presence.ini"
    keys = {
        "directory.url": migrated,
        "tracker": "redis",
        "mailbox": "redis",
        "redis.url": redis_server.url,
        "identity.audience": "http://127.0.0.1:1",
        "mailbox.redis.allow_volatile": "true",
    }
    lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
    file.write_text(f"[app:main]\nuse = egg:dpresence\n{lines}\n[server:main]\nuse = egg:dpresence\n")
    return file


@pytest.fixture
def pg_dump(monkeypatch) -> None:
    """Put the programs of the PostgreSQL of the tests into the PATH."""
    monkeypatch.setenv("PATH", f"{Path(str(pgserver().__file__)).parent}/pginstall/bin")


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """The URL of an SQLite database that is not empty."""
    url = f"sqlite:///{tmp_path}/filled.db"
    database = Database(url)
    migrate(database)
    fill(database).close()
    return url


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
def test_a_backup_of_postgresql_and_redis_is_restored(ini, database, migrated, redis_server, pg_dump, tmp_path, capsys) -> None:
    fill(database)
    mailbox, before = RedisMailbox(redis_server.server(), allow_volatile=False), summaries(migrated)
    version = SqlDirectory(database).version()
    mailbox.enqueue([one("a")], 100)
    folder = tmp_path / "backup"
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    files = ["inboxes.jsonl", "mailbox.jsonl", "manifest.json", "presence.dump", "presence.ini"]
    assert sorted(path.name for path in folder.iterdir()) == files
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600} and folder.stat().st_mode & 0o777 == 0o700
    mailbox.enqueue([one("b")], 100)
    SqlDirectory(database).end_sessions(SqlDirectory(database).account_of("ann@example.org").id)
    capsys.readouterr()
    assert main(["--ini", str(ini), "restore", str(folder)]) == 1
    assert capsys.readouterr().err == "dpresence: not empty: the database and the mailbox; --force overwrites\n"
    assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 0, capsys.readouterr()
    assert summaries(migrated) == before
    assert SqlDirectory(database).version() == version, "the services see that the directory was restored"
    assert [each.notification.id for each in mailbox.pending("jane", 0, 10)] == ["a"]
    assert [each.notification.id for each in mailbox.inbox("jane", None, 10)] == ["a"]
    mailbox.close()


def upgrade(database: Database) -> None:
    """Change a database as a newer version does, which this one cannot use."""
    statements = [
        "CREATE TABLE newer (appid VARCHAR REFERENCES applications (id))",
        "CREATE FUNCTION newer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "CREATE TRIGGER newer BEFORE INSERT ON outcomes FOR EACH ROW EXECUTE FUNCTION newer()",
        "UPDATE alembic_version SET version_num = '9999'",
    ]
    for statement in statements:
        database.run(lambda connection, statement=statement: connection.exec_driver_sql(statement))


def newer(database: Database) -> list[str]:
    """Return the names of what a newer version has made."""
    query = "SELECT relname FROM pg_class WHERE relname = 'newer' UNION SELECT proname FROM pg_proc WHERE proname = 'newer'"
    return list(database.run(lambda connection: connection.exec_driver_sql(query).scalars().all()))


@pytest.mark.slow
def test_a_backup_from_before_an_upgrade_of_postgresql_is_restored(ini, database, migrated, pg_dump, tmp_path, capsys, monkeypatch) -> None:
    fill(database)
    before, folder = summaries(migrated), tmp_path / "saved"
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    upgrade(database)
    capsys.readouterr()
    assert main(["--ini", str(ini), "restore", str(folder)]) == 1
    assert capsys.readouterr().err == "dpresence: not empty: the database; --force overwrites\n"
    failing = tmp_path / "bin" / "pg_restore"
    failing.parent.mkdir()
    failing.write_text("#!/bin/sh\necho 'CREATE TABLE half (id integer);'\necho 'it fails' >&2\nexit 1\n")
    failing.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(failing.parent), prepend=":")
        assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 1
    assert capsys.readouterr().err == "dpresence: pg_restore: it fails\n"
    assert newer(database) == ["newer"] and summaries(migrated) == before, "nothing was changed"
    assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 0, capsys.readouterr()
    assert newer(database) == [] and summaries(migrated) == before
    migrate(database)


@pytest.mark.parametrize("change", ["UPDATE alembic_version SET version_num = '9999'", "ALTER TABLE accounts DROP COLUMN hours"])
def test_a_backup_is_restored_over_an_sqlite_database_of_another_version(ini, filled, tmp_path, capsys, change) -> None:
    ini.write_text(f"[app:main]\ndirectory.url = {filled}\n")
    before, folder = summaries(filled), tmp_path / "saved"
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    database = Database(filled)
    database.run(lambda connection: connection.exec_driver_sql(change))
    database.close()
    capsys.readouterr()
    assert main(["--ini", str(ini), "restore", str(folder)]) == 1
    assert capsys.readouterr().err == "dpresence: not empty: the database; --force overwrites\n"
    assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 0
    assert summaries(filled) == before


@pytest.mark.slow
def test_a_backup_with_a_mailbox_for_which_the_ini_has_no_place_is_not_restored(ini, database, pg_dump, tmp_path, capsys) -> None:
    fill(database)
    folder = tmp_path / "saved"
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    database.run(lambda connection: connection.exec_driver_sql("UPDATE accounts SET blocked = true"))
    ini.write_text(ini.read_text().replace("mailbox = redis", "mailbox = sql"))
    capsys.readouterr()
    assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 3
    assert capsys.readouterr().err.endswith("dpresence: mailbox: must be redis, as in the backup\n")
    assert database.run(lambda connection: connection.exec_driver_sql("SELECT blocked FROM accounts").scalars().all()) == [True, True]
    assert main(["--ini", str(ini), "backup", str(tmp_path / "sql")]) == 0
    ini.write_text(ini.read_text().replace("mailbox = sql", "mailbox = redis"))
    assert main(["--ini", str(ini), "restore", str(tmp_path / "sql"), "--force"]) == 3
    assert capsys.readouterr().err.endswith("dpresence: mailbox: must be sql, as in the backup\n")


def test_a_backup_that_was_written_is_on_the_disk(ini, filled, tmp_path, monkeypatch) -> None:
    ini.write_text(f"[app:main]\ndirectory.url = {filled}\n")
    synced, sync = set[str](), os.fsync
    monkeypatch.setattr(os, "fsync", lambda opened: synced.add(os.readlink(f"/proc/self/fd/{opened}")) or sync(opened))
    assert main(["--ini", str(ini), "backup", str(tmp_path / "saved")]) == 0
    names = ["", "/manifest.json", "/presence.db", "/presence.ini"]
    assert synced == {str(tmp_path), *(f"{tmp_path}/saved.partial{name}" for name in names)}


@pytest.mark.slow
def test_more_notifications_are_restored_than_are_in_memory_at_once(ini, database, redis_server, pg_dump, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(backup, "_RESTORED", 2)
    fill(database)
    mailbox, folder = RedisMailbox(redis_server.server(), allow_volatile=False), tmp_path / "saved"
    mailbox.enqueue([one(name) for name in "abcde"], 100)
    before = [(each.position, each.notification) for each in mailbox.pending("jane", 0, 10)]
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    redis_server.client.flushall()
    assert main(["--ini", str(ini), "restore", "--force", str(folder)]) == 0
    assert [(each.position, each.notification) for each in mailbox.pending("jane", 0, 10)] == before
    mailbox.enqueue([one("f")], 100)
    assert [each.notification.id for each in mailbox.pending("jane", before[-1][0], 10)] == ["f"]
    mailbox.close()


def test_an_ini_that_differs_from_that_of_the_backup_is_named(ini, filled, tmp_path, capsys) -> None:
    ini.write_text("[app:main]\ndirectory.url = sqlite:///%(here)s/filled.db\n")
    folder = tmp_path / "backup"
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 0
    assert capsys.readouterr().err == "", "%(here)s is another folder in the backup"
    ini.write_text(f"{ini.read_text()}admin.emails = ann@example.org\n")
    assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 0
    assert capsys.readouterr().err == f"dpresence: {ini} is not the ini of the backup, and stays as it is\n"


def test_a_backup_that_was_changed_is_not_restored(ini, filled, tmp_path, capsys) -> None:
    ini.write_text(f"[app:main]\ndirectory.url = {filled}\n")
    folder = tmp_path / "backup"
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    assert main(["--ini", str(ini), "restore", str(folder), "--check"]) == 0
    with (folder / "presence.db").open("ab") as file:
        file.write(b"x")
    capsys.readouterr()
    assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 1
    assert capsys.readouterr().err == f"dpresence: {folder}/presence.db: was changed after the backup\n"


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


@pytest.mark.parametrize("change", ["UPDATE alembic_version SET version_num = '0001'", "UPDATE alembic_version SET version_num = '9999'"])
def test_a_backup_is_not_restored_while_processes_of_another_version_run(
    ini, filled, redis_server, trackers, tmp_path, capsys, change
) -> None:
    ini.write_text(ini.read_text().replace("directory.url = ", f"directory.url = {filled}\n#"))
    folder, database = tmp_path / "saved", Database(filled)
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    database.run(lambda connection: connection.exec_driver_sql(change))
    database.close()
    before = Path(filled.removeprefix("sqlite:///")).read_bytes()
    trackers(redis_server.server())
    capsys.readouterr()
    assert main(["--ini", str(ini), "restore", "--force", str(folder)]) == 1
    running = "the service runs, as its processes are connected to Redis: stop all of them first"
    assert capsys.readouterr().err.splitlines()[-1] == f"dpresence: {running}"
    assert Path(filled.removeprefix("sqlite:///")).read_bytes() == before
