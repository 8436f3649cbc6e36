"""Files of root's that a service reads as another user, as below /etc: what is warned of there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dpresence.backends.sql.file import DatabaseFile
from dpresence.secret_files import create, warn_of_readers, warn_of_writers

NOBODY = 65534
PROGRAM = f"""
import logging, os, sys
logging.basicConfig(format="%(message)s")
from dpresence.secret_files import warn_of_readers
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
warn_of_readers(sys.argv[1], "a secret")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(
    ("owner", "group", "mode", "right"),
    [
        (0, NOBODY, 0o640, None),
        (0, NOBODY, 0o660, 640),
        (0, NOBODY, 0o644, 640),
        (0, 1, 0o640, 600),
        (NOBODY, NOBODY, 0o640, 600),
        (NOBODY, NOBODY, 0o600, None),
    ],
)
def test_a_file_of_roots_may_be_read_by_the_services_group_alone(owner: int, group: int, mode: int, right: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder, "secret")
        file.touch()
        os.chown(file, owner, group)
        file.chmod(mode)
        done = subprocess.run([sys.executable, "-c", PROGRAM, file], capture_output=True, text=True, timeout=60, check=True)
        said = f"{file} holds a secret, and others may read or write it (mode {mode:04o}): chmod {right} {file}\n"
        assert done.stderr == ("" if right is None else said)


@pytest.mark.parametrize(("mode", "warned"), [(0o644, False), (0o664, True), (0o646, True)])
def test_a_key_that_others_may_write_is_warned_of(tmp_path: Path, mode: int, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "key.json"
    file.touch()
    file.chmod(mode)
    warn_of_writers(str(file), "a key")
    assert caplog.messages == [f"{file} holds a key, and others may write it (mode {mode:04o}): chmod go-w {file}"] * warned
    warn_of_writers(str(tmp_path / "missing"), "a key")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(("group", "mode", "right"), [(NOBODY, 0o640, None), (NOBODY, 0o644, 640), (0, 0o640, 600)])
def test_root_is_not_asked_to_take_a_file_from_the_services_group(
    tmp_path: Path, group: int, mode: int, right: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "secret"
    file.touch()
    os.chown(file, 0, group)
    file.chmod(mode)
    warn_of_readers(str(file), "a secret")
    assert [message.rpartition("chmod ")[2] for message in caplog.messages] == ([] if right is None else [f"{right} {file}"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_files_of_root_in_the_folder_of_the_service_belong_to_the_services_user(tmp_path: Path) -> None:
    for owner in (NOBODY, 0):
        folder = tmp_path / str(owner)
        folder.mkdir()
        os.chown(folder, owner, owner)
        os.close(create(folder / "secret"))
        DatabaseFile(str(folder / "presence.db"), alone=True).close()
        assert {(path.stat().st_uid, path.stat().st_mode & 0o777) for path in folder.iterdir()} == {(owner, 0o600)}
        assert {path.name for path in folder.iterdir()} == {"secret", "presence.db", "presence.db.lock"}
