"""Errors of the operator's command: one line, and no traceback."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql import copying
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.commands.cli import main, parser
from dpresence.tests.contract.directory_values import person
from dpresence.tests.waiting import PATIENCE_SECONDS

FULL = "No space left on device"


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    """The ini of a service whose database has two accounts."""
    database = Database(f"sqlite:///{tmp_path}/presence.db")
    migrate(database)
    for name in ("ann", "bob"):
        person(SqlDirectory(database), name)
    database.close()
    file = tmp_path / "presence.ini"
    file.write_text("[app:main]\ndirectory.url = sqlite:///%(here)s/presence.db\n")
    return file


def fail(error: Exception):
    def failing(*arguments, **options):
        raise error

    return failing


def test_an_ini_in_a_folder_of_another_user_is_named(ini, monkeypatch, capsys) -> None:
    monkeypatch.setattr(Path, "is_file", fail(PermissionError(13, "Permission denied", str(ini))))
    assert main(["--ini", str(ini), "accounts", "list"]) == 3
    assert capsys.readouterr().err == f"dpresence: {ini}: Permission denied\n"


def test_a_file_that_cannot_be_read_is_named(ini, tmp_path, capsys) -> None:
    (tmp_path / "presence-vapid.pem").mkdir()
    assert main(["--ini", str(ini), "rotate", "vapid"]) == 1
    assert capsys.readouterr().err == f"dpresence: {tmp_path}/presence-vapid.pem: Is a directory\n"


def test_a_full_disk_is_named_by_a_backup_and_its_restoration(ini, tmp_path, monkeypatch, capsys) -> None:
    folder = tmp_path / "saved"
    with monkeypatch.context() as patched:
        patched.setattr(copying, "back_up", fail(sqlite3.OperationalError("database or disk is full")))
        assert main(["--ini", str(ini), "backup", str(folder)]) == 1
    assert capsys.readouterr().err == "dpresence: the database cannot be copied: database or disk is full\n"
    assert main(["--ini", str(ini), "backup", str(folder)]) == 0
    monkeypatch.setattr(shutil, "copyfileobj", fail(OSError(28, FULL)))
    capsys.readouterr()
    assert main(["--ini", str(ini), "restore", "--force", str(folder)]) == 1
    assert capsys.readouterr().err == f"dpresence: {FULL}\n"
    assert not (tmp_path / "presence.db.restored").exists()
    assert main(["--ini", str(ini), "accounts", "show", "ann@example.org"]) == 0


def test_the_end_of_the_reader_of_the_output_is_no_error(ini) -> None:
    command = [sys.executable, "-W", "error", "-m", "dpresence.commands", "--ini", str(ini), "accounts", "list"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e30", "soon"])
def test_a_deadline_that_none_can_wait_for_is_refused(seconds, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--deadline", seconds, "status"])
    assert ended.value.code == 2 and "--deadline: must be more than 0, and at most 10000000" in capsys.readouterr().err


def test_a_url_of_a_server_that_is_none_is_refused(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("dpresence.commands.partitions._require_servers", lambda context: None)
    ini = tmp_path / "cluster.ini"
    ini.write_text("[app:main]\ntracker = redis\n")
    for old in ("redis://127.0.0.1:99999/0", "redis://[::1"):
        assert main(["--ini", str(ini), "partitions", "replace", old, "redis://127.0.0.1:1/0"]) == 1
        assert capsys.readouterr().err.startswith("dpresence: OLD: must be the name of a server, such as 10.0.0.22:6379/0, or a redis://")
