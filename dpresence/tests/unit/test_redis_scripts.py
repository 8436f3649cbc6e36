"""Scripts for Redis are assembled from modules that are valid by themselves; `make check` lints each file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dpresence.backends.redis.scripts import script

BACKENDS = Path(__file__).resolve().parents[2] / "backends"
MODULES = sorted(BACKENDS.rglob("*.lua"))


def test_modules_are_beside_their_role() -> None:
    assert {path.parent.relative_to(BACKENDS).as_posix() for path in MODULES} == {"tracker/lua", "mailbox/lua"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_a_module_requires_files_of_its_folder_and_returns_a_value(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    required = {name for line in text.split("\n") for name in re.findall(r"require\('(\w+)'\)", line)}
    assert required <= {other.stem for other in MODULES if other.parent == path.parent} - {path.stem, "batch", "open"}
    assert re.search(r"^return (\w+|\{[^{}]*\}|[\w.]+\(.*\))\n\Z", text, re.MULTILINE)


@pytest.mark.parametrize(("role", "name"), [("tracker", "batch"), ("tracker", "open"), ("mailbox", "batch")])
def test_a_script_contains_each_module_once_and_ends_with_the_one_that_is_executed(role: str, name: str) -> None:
    text = script(f"dpresence.backends.{role}", name).decode()
    others = [path for path in MODULES if path.parts[-3] == role and path.stem != name]
    assert text.startswith("local modules, loaded = {}, {}\n")
    assert [text.count(f"modules['{path.stem}'] = function()\n{path.read_text(encoding='utf-8')}end\n") for path in others] == [1] * len(
        others
    )
    assert text.endswith((BACKENDS / role / "lua" / f"{name}.lua").read_text(encoding="utf-8"))
