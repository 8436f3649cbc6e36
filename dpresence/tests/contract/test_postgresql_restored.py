"""A PostgreSQL that is restored as docs/operations.md says has the version it had at the backup."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate

from .directory_values import application, grant, person
from .postgresql import pgserver

OPERATIONS = Path(__file__).parents[3] / "docs/operations.md"
COMMANDS = re.findall(r"pg_(?:dump|restore) -[^`)]*", OPERATIONS.read_text(encoding="utf-8"))


@pytest.fixture
def directory(postgresql):
    database = Database(postgresql.make_database("restored"))
    migrate(database)
    yield SqlDirectory(database)
    database.close()


def test_a_restored_directory_is_as_old_as_its_backup(directory, postgresql, tmp_path):
    directory.claim_mode("production")
    jane, joe = person(directory, "jane"), person(directory, "joe")
    chess = application(directory, joe)
    kept = grant(directory, chess, jane)
    directory.clear_outbox([entry.id for entry in directory.outbox(None, 0, 100)])
    dump, restore = (command.replace(" dpresence ", " restored ").split() for command in COMMANDS)

    programs = Path(pgserver().__file__ or "").parent / "pginstall/bin"

    def run(command: list[str]) -> bytes:
        options = ["-h", str(postgresql.socket.parent), "-U", "postgres"]
        call = [str(programs / command[0]), *options, *(part for part in command[1:] if part not in (">", "presence.dump"))]
        call += ["presence.dump"] if command[0] == "pg_restore" else []
        return subprocess.run(call, cwd=tmp_path, check=True, capture_output=True, timeout=60).stdout

    (tmp_path / "presence.dump").write_bytes(run(dump))
    before = directory.version()
    directory.revoke(chess.id, jane.id)
    assert directory.version() > before
    directory.database.close()
    run(restore)
    again = SqlDirectory(Database(postgresql.url("restored")))
    assert again.version() == before
    assert again.grant(chess.id, jane.id) == kept
    again.close()
