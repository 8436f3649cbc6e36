"""Backups of PostgreSQL, SQLite and Redis by the operator's command, and their restoration."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.backends.sql.copying import summaries
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.commands import backup
from dpresence.commands.cli import main

from .mailbox import one
from .operator_stores import fill, filled, ini, pg_dump

__all__ = ["filled", "ini", "pg_dump"]


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


@pytest.fixture
def in_schema(postgresql, ini) -> str:
    """The URL of a database with the tables of a service in a schema of its own and those of another program in ``public``, for the ini."""
    url = postgresql.make_database("in_schema")
    database = Database(url)
    database.run(lambda connection: connection.exec_driver_sql("CREATE TABLE others AS SELECT 1 AS number; CREATE SCHEMA service"))
    database.run(lambda connection: connection.exec_driver_sql("ALTER DATABASE in_schema SET search_path = service"))
    database.close()
    database = Database(url)
    migrate(database)
    fill(database).close()
    ini.write_text("\n".join(f"directory.url = {url}" if "directory.url" in line else line for line in ini.read_text().splitlines()))
    return url


def objects(database: Database) -> list[tuple[str, str]]:
    """Return kind and name of every object in the schema ``service``."""
    within = "service'::regnamespace"
    query = f"""
        SELECT 'relation', relname FROM pg_class WHERE relnamespace = '{within}
        UNION SELECT 'constraint', conname || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = '{within}
        UNION SELECT 'function', proname FROM pg_proc WHERE pronamespace = '{within}
        UNION SELECT 'default', pg_get_expr(adbin, adrelid) FROM pg_attrdef"""
    return sorted((kind, name) for kind, name in database.run(lambda connection: connection.exec_driver_sql(query).all()))


@pytest.mark.slow
def test_a_backup_of_postgresql_is_restored_into_the_schema_of_the_service_only(in_schema, ini, pg_dump, tmp_path, capsys) -> None:
    before, folder = summaries(in_schema), tmp_path / "saved"
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    database = Database(in_schema)
    made = objects(database)
    for statement in ("UPDATE accounts SET blocked = true", "UPDATE public.others SET number = 2"):
        database.run(lambda connection, statement=statement: connection.exec_driver_sql(statement))
    assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 0, capsys.readouterr()
    assert summaries(in_schema) == before and objects(database) == made
    assert {kind for kind, _ in made} >= {"relation", "constraint", "default"}
    assert database.run(lambda connection: connection.exec_driver_sql("SELECT number FROM public.others").scalar_one()) == 2
    for statement in ("CREATE SCHEMA elsewhere", "ALTER DATABASE in_schema SET search_path = elsewhere"):
        database.run(lambda connection, statement=statement: connection.exec_driver_sql(statement))
    database.close()
    capsys.readouterr()
    assert main(["--ini", str(ini), "restore", str(folder), "--force"]) == 1
    assert capsys.readouterr().err == 'dpresence: pg_restore: pg_restore: error: schema "elsewhere" not found\n'


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


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.EACCES])
def test_a_backup_is_written_where_the_file_system_does_not_sync_folders(ini, filled, tmp_path, monkeypatch, capsys, number) -> None:
    ini.write_text(f"[app:main]\ndirectory.url = {filled}\n")
    sync, folder = os.fsync, tmp_path / "saved"

    def refuse(opened: int) -> None:
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            raise OSError(number, os.strerror(number))
        sync(opened)

    monkeypatch.setattr(os, "fsync", refuse)
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0, capsys.readouterr()
    assert main(["--ini", str(ini), "restore", "--check", str(folder)]) == 0


@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL])
def test_a_backup_whose_files_cannot_be_synced_fails(ini, filled, tmp_path, monkeypatch, capsys, number) -> None:
    ini.write_text(f"[app:main]\ndirectory.url = {filled}\n")

    def fail(opened: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    assert main(["--ini", str(ini), "backup", str(tmp_path / "saved")]) == 1
    assert capsys.readouterr().err == f"dpresence: {tmp_path}/saved: {os.strerror(number)}\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("saved")] == []


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
