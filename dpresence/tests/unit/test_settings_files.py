"""``make settings``: the ini files and docs/settings.md are written from the declarations, and a difference is an error."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from jinja2 import DictLoader, Environment

ROOT = Path(__file__).resolve().parents[3]


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_settings", ROOT / "packaging/settings/generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with copies of the files that the generator writes."""
    (tmp_path / "docs").mkdir()
    for file in GENERATOR.FILES:
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_the_files_of_the_repository_are_as_declared() -> None:
    assert GENERATOR.main(["--check"]) == 0


@pytest.mark.parametrize("file", GENERATOR.FILES)
def test_a_changed_file_fails_the_check_by_name_and_is_written_again(file: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / file
    path.write_text(path.read_text(encoding="utf-8").replace("8282", "8283"), encoding="utf-8")
    assert GENERATOR.main(["--check", str(copy)]) == 1
    errors = capsys.readouterr().err
    assert f"{file} differs from the declared settings: `make settings` writes it\n" in errors and "8283" in errors
    assert [line for line in errors.splitlines() if "differs" in line] == errors.splitlines()[-1:]
    assert GENERATOR.main([str(copy)]) == 0
    assert path.read_bytes() == (ROOT / file).read_bytes()


def test_a_missing_file_fails_the_check(copy: Path) -> None:
    (copy / "presence.ini").unlink()
    assert GENERATOR.main(["--check", str(copy)]) == 1


@pytest.mark.parametrize("template", ["{{ show('tracker', 'trackers') }}", "{% set values = {'trackers': 'x'} %}{{ show('tracker') }}"])
def test_a_template_with_a_key_that_does_not_exist_is_an_error(template: str) -> None:
    templates = Environment(loader=DictLoader({"x": template}))
    templates.globals["show"] = GENERATOR.show
    with pytest.raises(ValueError, match=r"^no such keys: trackers$"):
        templates.get_template("x").render()


def test_no_generated_line_of_an_ini_is_longer_than_a_line_of_code() -> None:
    for file, text in GENERATOR.generate().items():
        assert file.endswith(".md") or max(map(len, text.splitlines())) <= 140, file
