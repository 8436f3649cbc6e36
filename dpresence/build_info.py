"""Origin of the package: ``source``, ``commit`` and ``build``, as far as they are known. setup.py writes ``BUILD`` anew."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

BUILD: dict[str, str] = {}


@cache
def origin() -> dict[str, str]:
    """Return what setup.py has written, or the commit of the checkout that this package is in; empty if neither is there."""
    return BUILD or commit_of(Path(__file__).resolve().parents[1])


def commit_of(checkout: Path) -> dict[str, str]:
    """Return the commit of a Git checkout. It is read from the files of Git, because a process that serves starts no other."""
    try:
        head, folder = checkout / ".git", checkout / ".git"
        if head.is_file():  # of a further work tree
            folder = checkout / head.read_text(encoding="utf-8").partition(":")[2].strip()
        name = (folder / "HEAD").read_text(encoding="utf-8").strip()
        commit = _resolve(folder, name.removeprefix("ref: ")) if name.startswith("ref: ") else name
    except OSError:
        return {}
    return {"commit": commit} if re.fullmatch("[0-9a-f]{40,64}", commit) else {}


def _resolve(folder: Path, name: str) -> str:
    """Return the commit of a branch, "" if it has none yet."""
    shared = folder / "commondir"
    common = folder / shared.read_text(encoding="utf-8").strip() if shared.exists() else folder
    if (common / name).exists():
        return (common / name).read_text(encoding="utf-8").strip()
    packed = common / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.exists() else []
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {name}")), "")
