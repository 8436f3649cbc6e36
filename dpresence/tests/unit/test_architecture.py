"""The functions that docs/architecture.md names on the way of an update, a notification or a grant exist where it says."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2]
FLOWS = (
    (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Data flows")[2].partition("## Data after")[0]
)
DEFINITION = re.compile(r"^(?:    )?(?:async )?(?:def|class) (\w+)|^\s+self\.(\w+)\b.* = |^(?:    )?(\w+)(?:: .*)?(?: =|$)", re.MULTILINE)
NAMES = sorted(set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.[a-z_.]+)`", FLOWS)))


@cache
def definitions() -> dict[str, set[str]]:
    """Return the functions, classes and attributes that each module defines, by its path without the ending."""
    paths = (path for path in PACKAGE.rglob("*.py") if PACKAGE / "tests" not in path.parents)
    return {
        str(path.relative_to(PACKAGE).with_suffix("")).removesuffix("/__init__"): set(
            filter(None, (name for found in DEFINITION.findall(path.read_text(encoding="utf-8")) for name in found))
        )
        for path in paths
    }


def is_defined(name: str) -> bool:
    """Return whether a name is a file, a module, or a function of a module or folder, as in ``tracker.update``."""
    path = name.replace(".", "/")
    if any(f"/{file.relative_to(PACKAGE)}".endswith(f"/{name}") for file in PACKAGE.rglob(Path(name).name)):
        return True
    if any(f"/{module}".endswith(f"/{path}") for module in definitions()):
        return True
    owner, _, attribute = path.rpartition("/")
    return any(attribute in names for module, names in definitions().items() if f"/{owner}/" in f"/{module}/")


@pytest.mark.parametrize("name", ["tracker.updated", "service.grant.grant", "channels/device.nothing"])
def test_a_name_that_does_not_exist_is_found(name: str) -> None:
    assert not is_defined(name)


@pytest.mark.slow
def test_every_function_on_a_way_exists_in_its_module() -> None:
    assert len(NAMES) > 60
    assert [name for name in NAMES if not is_defined(name)] == []
