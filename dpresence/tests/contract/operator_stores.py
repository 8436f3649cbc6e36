"""The ini of the operator's command on real stores, and a database with something in most tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.model import Session

from .directory_values import NOW, application, grant, person
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
