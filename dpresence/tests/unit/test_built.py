"""The commit of a checkout, from the files that Git itself writes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from dpresence.build_info import commit_of

NOBODY = {f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(folder: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *words], cwd=folder, env={**environment, **NOBODY}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_that_of_git_wherever_it_stores_it(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(checkout))
    assert commit_of(checkout) == {}  # nothing is committed
    git(checkout, "commit", "--quiet", "--allow-empty", "--message=First")
    assert commit_of(checkout) == {"commit": git(checkout, "rev-parse", "HEAD")}
    git(checkout, "worktree", "add", "--quiet", "-b", "topic/one", str(tmp_path / "other"))
    git(tmp_path / "other", "commit", "--quiet", "--allow-empty", "--message=Second")
    for packed in (False, True):
        if packed:
            git(checkout, "pack-refs", "--all")
        for folder in (checkout, tmp_path / "other"):
            assert commit_of(folder) == {"commit": git(folder, "rev-parse", "HEAD")}
    git(checkout, "checkout", "--quiet", "--detach")
    assert commit_of(checkout) == {"commit": git(checkout, "rev-parse", "HEAD")}


def test_a_folder_without_git_has_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == {}
