"""The files of the example programs that hold PUIDs, which are private data of their users."""

from __future__ import annotations

import importlib.util
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


def module(monkeypatch: pytest.MonkeyPatch, path: str) -> Any:
    """Import a module of an example."""
    spec = importlib.util.spec_from_file_location(f"example_{Path(path).stem}", EXAMPLES / path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, found)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("exists", [False, True], ids=["new", "of an earlier version"])
@pytest.mark.parametrize("example", ["flask/members.py", "xmpp/records.py"])
def test_only_the_owner_can_read_the_file(example: str, exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, example_module = tmp_path / "kept.db", module(monkeypatch, example)
    if exists:
        file.touch()
        file.chmod(0o644)
    if example.startswith("flask"):
        example_module.Members(str(file))
    else:
        example_module.Records(file).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
