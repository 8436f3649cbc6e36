"""``make api``: the documents in docs/api are those of the code, and a difference is an error."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("openapi.json", "asyncapi.json")


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_documents", ROOT / "packaging/api/documents.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "docs" / "api", tmp_path / "api"))


def test_the_files_of_the_repository_are_those_of_the_code() -> None:
    assert GENERATOR.main(["--check"]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_stale_file_is_named(copy: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / name).write_text("{}\n")
    assert GENERATOR.main(["--check", str(copy)]) == 1
    assert f"docs/api/{name} is stale: `make api` writes it" in capsys.readouterr().err
    assert GENERATOR.main([str(copy)]) == 0
    assert GENERATOR.main(["--check", str(copy)]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_only_a_release_replaces_the_documents_of_the_last_release(copy: Path, name: str) -> None:
    (copy / "released" / name).write_text("{}\n")
    GENERATOR.main([str(copy)])
    assert (copy / "released" / name).read_text() == "{}\n"
    GENERATOR.main(["--release", str(copy)])
    assert json.loads((copy / "released" / name).read_text())["info"]["title"] == "dpresence"
