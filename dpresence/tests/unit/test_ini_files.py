"""The inis and docs/settings.md show what the code declares, and the service starts with each ini as shipped."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dpresence import main
from dpresence.ini import load, load_server
from dpresence.settings import ServerSettings
from dpresence.settings.catalog import documented, keys

ROOT = Path(__file__).resolve().parents[3]
INIS = ("presence.ini", "development.ini")
SERVER = keys(ServerSettings, "")
MAIN = documented()


def section(ini: str, name: str, here: Path = ROOT) -> dict[str, str]:
    """Return a section as PasteDeploy reads it, without its ``use``."""
    parser = configparser.ConfigParser(defaults={"here": str(here)}, interpolation=configparser.BasicInterpolation())
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((ROOT / ini).read_text(encoding="utf-8").replace("%(asctime)s", "").replace("%(levelname)s", ""))
    return {key: parser.get(name, key) for key in parser[name] if key not in ("use", "here")}


def shown(ini: str) -> Iterator[tuple[str, str, str]]:
    """Return (key, value, comment) of every line of the two sections the service reads, in order."""
    comment: list[str] = []
    for line in (ROOT / ini).read_text(encoding="utf-8").partition("[loggers]")[0].splitlines():
        if line.startswith("# ") and "=" not in line and not line.startswith("# --"):
            comment.append(line[2:])
        elif line.partition(" =")[0] in {**MAIN, **SERVER}:
            key, _, value = line.partition(" =")
            yield key, value.strip(), " ".join(comment)
            comment = []
        else:
            comment = []


def written(value: Any) -> str:
    """Return a default as the ini writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def test_presence_ini_shows_every_key_with_its_default_and_meaning() -> None:
    expected = {key: (written(field.default), field.metadata["doc"]) for key, field in {**MAIN, **SERVER}.items()}
    assert {key: (value, comment) for key, value, comment in shown("presence.ini")} == expected


def test_presence_ini_shows_each_key_once_in_the_order_of_the_code() -> None:
    assert [key for key, _, _ in shown("presence.ini")] == [*MAIN, *SERVER]


def test_a_comment_of_development_ini_says_what_the_code_says() -> None:
    for key, _, comment in shown("development.ini"):
        assert comment in ("", {**MAIN, **SERVER}[key].metadata["doc"]), key


def test_the_settings_page_has_one_row_for_each_key_with_its_default_and_meaning() -> None:
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.*?) \| .*? \| (.*) \|$", text, re.MULTILINE)
    expected = [
        (key, f"`{written(field.default)}`" if field.default not in ((), "") else "empty", field.metadata["doc"])
        for key, field in [*MAIN.items(), *SERVER.items()]
    ]
    assert rows == expected


def test_presence_ini_is_the_defaults() -> None:
    assert load(section("presence.ini", "app:main"), str(ROOT)) == load({}, str(ROOT))
    assert load_server(section("presence.ini", "server:main")) == ServerSettings()


def test_development_ini_is_development_on_loopback() -> None:
    settings = load(section("development.ini", "app:main"), str(ROOT))
    assert settings.identity.development and settings.outbound.allow_loopback
    assert load_server(section("development.ini", "server:main")).host == "127.0.0.1"


@pytest.mark.parametrize("ini", INIS)
def test_an_ini_starts_as_shipped(ini: str, tmp_path: Path) -> None:
    app = main({"here": str(tmp_path)}, **section(ini, "app:main", tmp_path))
    app.registry["dpresence"].close()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".db", ".lock"]


@pytest.mark.parametrize("ini", INIS)
def test_an_ini_is_complete_in_itself(ini: str) -> None:
    text = (ROOT / ini).read_text(encoding="utf-8")
    assert "[DEFAULT]" not in text and "config:" not in text
    assert text.count("use = egg:dpresence\n") == 2


def test_the_logging_of_each_ini_uses_the_line_formatter() -> None:
    for ini in INIS:
        assert "class = dpresence.logs.LineFormatter" in (ROOT / ini).read_text(encoding="utf-8")
