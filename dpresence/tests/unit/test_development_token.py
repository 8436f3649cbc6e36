"""The file of the development token: readable by its owner alone, written in one step, and never through a symlink."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dpresence.errors import SettingError
from dpresence.identity.development_token import DevelopmentToken


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "development.token"


def mode(file: Path) -> int:
    return stat.S_IMODE(file.lstat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_it_is_the_owners_alone_whatever_the_umask(file: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        DevelopmentToken(file, "token-of-the-tests").write()
    finally:
        os.umask(before)
    assert (file.read_bytes(), mode(file)) == (b"token-of-the-tests", 0o600)


def test_an_older_file_with_wider_rights_is_replaced_and_not_written_to(file: Path) -> None:
    file.write_text("old")
    file.chmod(0o644)
    with file.open() as reader:  # of somebody who opened it while that was possible
        token = DevelopmentToken(file)
        token.write()
        assert (reader.read(), file.read_text(), mode(file)) == ("old", token.value, 0o600)


def test_a_symlink_is_replaced_and_its_target_stays(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("somebody's file")
    file.symlink_to(target)
    DevelopmentToken(file, "token-of-the-tests").write()
    assert (target.read_text(), file.is_symlink(), file.read_text()) == ("somebody's file", False, "token-of-the-tests")


def test_nothing_else_is_left_in_the_folder(file: Path, tmp_path: Path) -> None:
    for _ in range(2):
        DevelopmentToken(file).write()
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_in_the_way_stops_the_start_and_leaves_nothing_behind(file: Path, tmp_path: Path) -> None:
    file.mkdir()
    (file / "x").touch()
    with pytest.raises(SettingError, match=r"development\.token: must be in a folder that can be written to \(Is a directory\)"):
        DevelopmentToken(file).write()
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    token = DevelopmentToken(tmp_path / "nowhere" / "development.token", "token-of-the-tests")
    with pytest.raises(SettingError) as refused:
        token.write()
    assert "No such file or directory" in str(refused.value) and "token-of-the-tests" not in str(refused.value)
