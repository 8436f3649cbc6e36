"""Databases as files and as copies: SQLite by its backup interface, PostgreSQL by ``pg_dump`` and ``pg_restore``."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from ..backends.sql import copying, sqlite
from ..backends.sql.engine import Database
from ..backends.sql.migrate import check
from ..backends.sql.tables import metadata
from ..backends.sql.urls import parse_url
from ..clock import Clock
from ..secret_files import create
from ..settings import Settings
from .context import CommandFailed


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

    :raises CommandFailed: ``pg_dump`` is missing or failed.
    """
    url, path = settings.storage.directory_url, sqlite_file(settings)
    if path:
        copying.back_up(str(path), str(file))
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
    """Return whether the database has accounts.

    :raises CommandFailed: a service with the tracker in memory uses it.
    """
    path = sqlite_file(settings)
    if path and not path.exists():
        return False
    database = Database(settings.storage.directory_url, clock=clock)
    try:
        if database.service_pid():
            raise CommandFailed(f"process {database.service_pid()} uses the database: stop the service first")
        accounts = metadata.tables["accounts"]
        return (
            check(database)[0] is not None
            and database.run(lambda connection: connection.execute(accounts.select().limit(1)).first()) is not None
        )
    finally:
        database.close()


def load_dump(file: Path, settings: Settings, clock: Clock) -> None:
    """Replace the database by the one in a backup.

    :raises CommandFailed: ``pg_restore`` is missing or failed.
    """
    url, path = settings.storage.directory_url, sqlite_file(settings)
    if not path:
        _run_tool(
            "pg_restore",
            url,
            "--clean",
            "--if-exists",
            "--no-owner",
            "--no-privileges",
            "--single-transaction",
            "--exit-on-error",
            str(file),
        )
        return
    new = path.with_name(f"{path.name}.restored")
    new.unlink(missing_ok=True)
    os.close(create(new))
    shutil.copyfile(file, new)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    new.replace(path)


def without_password(url: str) -> tuple[str, str]:
    """Return a URL of PostgreSQL as its programs read it, without the password, and the password."""
    parsed = make_url(url)
    plain = parsed._replace(drivername="postgresql", password=None)  # ``set`` leaves a password as it is
    return plain.render_as_string(), str(parsed.password or "")


def _run_tool(name: str, url: str, *options: str) -> None:
    """Run a program of PostgreSQL. The password is in its environment, where other users cannot read it."""
    program = shutil.which(name)
    if program is None:
        raise CommandFailed(f"{name} is not installed; it is in the package postgresql-client")
    plain, password = without_password(url)
    environment: dict[str, Any] = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    done = subprocess.run([program, f"--dbname={plain}", *options], env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise CommandFailed(f"{name}: {lines[0]}")
