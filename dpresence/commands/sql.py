"""Databases as files and as copies: SQLite by its backup interface, PostgreSQL by ``pg_dump`` and ``pg_restore``."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast

from sqlalchemy import make_url, select
from sqlalchemy.exc import SQLAlchemyError

from ..backends.sql import copying, sqlite
from ..backends.sql.engine import Database
from ..backends.sql.migrate import check, is_newer
from ..backends.sql.tables import metadata
from ..backends.sql.urls import parse_url
from ..clock import Clock
from ..secret_files import create
from ..settings import Settings
from .context import CommandFailed

_EMPTY = b"""
BEGIN;
SET client_min_messages = warning;
DO $$
DECLARE name text;
BEGIN
    IF to_regclass('alembic_version') IS NULL THEN RETURN; END IF;
    FOR name IN SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND pg_has_role(relowner, 'USAGE')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
    LOOP EXECUTE 'DROP TABLE ' || name || ' CASCADE'; END LOOP;
    FOR name IN SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND prokind = 'f' AND pg_has_role(proowner, 'USAGE')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
    LOOP EXECUTE 'DROP FUNCTION ' || name || ' CASCADE'; END LOOP;
END $$;
"""
"""Begins a transaction and deletes the tables and functions in the schema of a service; not those of extensions and of other users."""


def sqlite_file(settings: Settings) -> Path | None:
    """Return the file of an SQLite database; None for another kind of database.

    :raises SettingError: ``directory.url`` is invalid.
    """
    path = sqlite.path_of(parse_url(settings.storage.directory_url))
    return Path(path) if path else None


def name_in_backup(settings: Settings) -> str:
    """Return the name of the database in a backup."""
    return "presence.db" if sqlite_file(settings) else "presence.dump"


def dump(settings: Settings, file: Path) -> None:
    """Write a database into a new file, while services use it.

    :raises CommandFailed: that failed, or ``pg_dump`` is missing.
    """
    url, path = settings.storage.directory_url, sqlite_file(settings)
    if path:
        try:
            copying.back_up(str(path), str(file))
        except sqlite3.Error as error:
            raise CommandFailed(f"the database cannot be copied: {error}") from None
        return
    os.close(create(file))
    _run_tool("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")


def copy_database(source: str, target: str, clock: Clock, done: Callable[[str, int], None]) -> None:
    """Copy all rows into an empty database; see ``copying.copy``.

    :raises CommandFailed: the copy is not the same.
    """
    try:
        copying.copy(source, target, clock, done)
    except copying.Differs as error:
        raise CommandFailed(f"{error}; nothing was copied") from None
    except SQLAlchemyError as error:
        raise CommandFailed(f"nothing was copied: {str(getattr(error, 'orig', error)).splitlines()[0]}") from None


def version_and_clock(settings: Settings, clock: Clock) -> tuple[str, int | None]:
    """Return name and version of the database, and the server's time of day (ms); None for SQLite, which has the clock of this machine.

    :raises BackendUnavailable: the database does not answer.
    """
    if sqlite_file(settings):
        return f"SQLite {sqlite3.sqlite_version}", None
    database = Database(settings.storage.directory_url, clock=clock)
    try:
        version = database.run(lambda connection: connection.exec_driver_sql("SHOW server_version").scalar_one())
        return f"PostgreSQL {version}", database.run(database.now)
    finally:
        database.close()


def is_filled(settings: Settings, clock: Clock) -> bool:
    """Return whether the database has accounts, or is of a newer version of the service.

    :raises CommandFailed: a service with the tracker in memory uses it.
    :raises SettingError: it is of another program.
    """
    path = sqlite_file(settings)
    if path and not path.exists():
        return False
    database = Database(settings.storage.directory_url, clock=clock)
    try:
        if database.service_pid():
            raise CommandFailed(f"process {database.service_pid()} uses the database: stop the service first")
        accounts = metadata.tables["accounts"]
        return is_newer(database) or (
            check(database)[0] is not None
            and database.run(lambda connection: connection.execute(select(accounts.c.id).limit(1)).first()) is not None
        )
    finally:
        database.close()


def load_dump(file: Path, settings: Settings, clock: Clock) -> None:
    """Replace the database by the one in a backup.

    :raises CommandFailed: a program of PostgreSQL is missing or failed, and nothing was changed.
    """
    url, path = settings.storage.directory_url, sqlite_file(settings)
    if not path:
        _replace_tables(file, url, _schema(url, clock))
        return
    new = path.with_name(f"{path.name}.restored")
    new.unlink(missing_ok=True)
    try:
        with file.open("rb") as dumped, open(create(new), "wb") as copied:
            shutil.copyfileobj(dumped, copied)
            copied.flush()
            os.fsync(copied.fileno())
    except OSError:
        new.unlink(missing_ok=True)
        raise
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    new.replace(path)


def without_password(url: str) -> tuple[str, str]:
    """Return a URL of PostgreSQL as its programs read it, without the password, and the password."""
    parsed = make_url(url)
    plain = parsed._replace(drivername="postgresql", password=None)  # ``set`` leaves a password as it is
    return plain.render_as_string(), str(parsed.password or "")


def _schema(url: str, clock: Clock) -> str | None:
    """Return the schema of the tables of a service; None if the ``search_path`` names none that exists.

    :raises BackendUnavailable: the database does not answer.
    """
    database = Database(url, clock=clock)
    try:
        name: str | None = database.run(lambda connection: connection.exec_driver_sql("SELECT current_schema()").scalar_one())
        return name
    finally:
        database.close()


def _replace_tables(file: Path, url: str, schema: str | None) -> None:
    """Replace all tables of the service in PostgreSQL by those of a dump, in one transaction.

    ``pg_restore --clean`` deletes only what the dump has: tables of a newer version would stay, and may refer to those.

    :param schema: the schema that is restored, without creating it; None for all of the dump, with their creation.
    """
    chosen = [f"--schema={schema}", "--strict-names"] if schema else []  # strict: a dump without the schema would leave no tables
    restore = [_program("pg_restore"), "--no-owner", "--no-privileges", *chosen, "--file=-", str(file)]
    plain, environment = _connection(url)
    load = [_program("psql"), f"--dbname={plain}", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"]
    with TemporaryFile() as said, TemporaryFile() as said_by_restore:
        loader = subprocess.Popen(load, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)  # noqa: S603
        try:
            restored = _write_dump(restore, cast("IO[bytes]", loader.stdin), said_by_restore)
            loaded = loader.wait()
        finally:
            loader.kill()  # if it still runs: PostgreSQL then rolls the transaction back
        _refuse_failure("psql", loaded, said)
        _refuse_failure("pg_restore", restored, said_by_restore)


def _write_dump(restore: Sequence[str], script: IO[bytes], said: IO[bytes]) -> int:
    """Write a script that replaces all tables, and commits only if ``pg_restore`` has succeeded; return its exit status."""
    restorer = subprocess.Popen(restore, stdout=subprocess.PIPE, stderr=said)  # noqa: S603
    try:
        with suppress(BrokenPipeError), cast("IO[bytes]", restorer.stdout) as dump, script:  # psql ends at the first error
            script.write(_EMPTY)
            shutil.copyfileobj(dump, script)
            if restorer.wait() == 0:
                script.write(b"COMMIT;\n")
    finally:
        restorer.kill()
    return restorer.wait()


def _refuse_failure(name: str, status: int, said: IO[bytes]) -> None:
    said.seek(0)
    if status:
        raise _failed(name, status, said.read().decode(errors="replace"))


def _run_tool(name: str, url: str, *options: str) -> None:
    """Run a program of PostgreSQL."""
    plain, environment = _connection(url)
    done = subprocess.run([_program(name), f"--dbname={plain}", *options], env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise _failed(name, done.returncode, done.stderr)


def _program(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise CommandFailed(f"{name} is not installed; it is in the package postgresql-client")
    return program


def _connection(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL for programs of PostgreSQL, and their environment with the password, where other users cannot read it."""
    plain, password = without_password(url)
    return plain, {**os.environ, **({"PGPASSWORD": password} if password else {})}


def _failed(name: str, status: int, said: str) -> CommandFailed:
    lines = said.strip().splitlines() or [f"exit status {status}"]
    return CommandFailed(f"{name}: {lines[0]}")
