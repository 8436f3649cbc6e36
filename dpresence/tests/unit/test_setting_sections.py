"""A setting that stands where nothing reads it stops the start, of the service and of the operator's command alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from paste.deploy import loadwsgi

from dpresence.errors import SettingError
from dpresence.ini_file import read_raw, read_section

CANARY = "Canary7x"
ROOT = Path(__file__).resolve().parents[3]


def read_as_pserve(file: Path) -> None:
    loadwsgi.ConfigLoader(str(file)).app_context("main")


def read_server_as_pserve(file: Path) -> None:
    parser = loadwsgi.ConfigLoader(str(file)).parser
    for option in parser.options("server:main"):  # not server_context, which imports the server: it patches this process
        parser.get("server:main", option)


def read_as_command(file: Path) -> None:
    read_section(file, "app:main")


@pytest.fixture(params=[read_as_pserve, read_server_as_pserve, read_as_command])
def read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    monkeypatch.setattr(loadwsgi.NicerConfigParser, "InterpolateWrapper", loadwsgi.NicerConfigParser.InterpolateWrapper)
    read_raw()
    return request.param


def refusal(read: Callable[[Path], None], file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingError) as refused:
        read(file)
    assert CANARY not in str(refused.value)
    return str(refused.value)


def with_line(line: str, section: str) -> str:
    """Return the text of presence.ini with a line at the beginning of a section, which is made if it is not there."""
    text = (ROOT / "presence.ini").read_text(encoding="utf-8")
    return text.replace(f"[{section}]\n", f"[{section}]\n{line}\n", 1) if f"[{section}]\n" in text else f"[{section}]\n{line}\n{text}"


@pytest.mark.parametrize("section", ["formatter_line", "logger_root", "server:main", "DEFAULT", "pserve"])
@pytest.mark.parametrize("key", ["identity.development_token", "channels.trusted_proxies", "redis.password", "tracker"])
def test_a_setting_of_the_application_in_another_section_stops_the_start(read, tmp_path: Path, key: str, section: str) -> None:
    text = with_line(f"{key} = {CANARY}", section)
    assert refusal(read, tmp_path / "presence.ini", text) == f"{key}: must be in [app:main], not in [{section}]"


@pytest.mark.parametrize("section", ["app:main", "DEFAULT"])
@pytest.mark.parametrize("key", ["host", "port", "workers", "certfile", "keyfile"])
def test_a_setting_of_the_server_in_another_section_stops_the_start(read, tmp_path: Path, key: str, section: str) -> None:
    text = with_line(f"{key} = {CANARY}", section)
    assert refusal(read, tmp_path / "presence.ini", text) == f"{key}: must be in [server:main], not in [{section}]"


@pytest.mark.parametrize(("section", "key"), [("app:main", "redis.password"), ("server:main", "keyfile")])
@pytest.mark.parametrize("form", ["set", "get"])
def test_forms_of_pastedeploy_stop_the_start_without_the_value(read, tmp_path: Path, form: str, key: str, section: str) -> None:
    text = with_line(f"{form} {key} = {CANARY}", section)
    assert refusal(read, tmp_path / "presence.ini", text) == f"{form} {key}: must be written without {form}"


def test_the_lines_of_the_documentation_at_the_end_of_the_file_stop_the_start(read, tmp_path: Path) -> None:
    text = (ROOT / "presence.ini").read_text(encoding="utf-8") + "identity.verifiers = oidc\noidc.providers = corp\n"
    assert refusal(read, tmp_path / "presence.ini", text) == "identity.verifiers: must be in [app:main], not in [formatter_line]"


def test_unknown_words_of_a_key_and_of_a_section_are_not_reported(read, tmp_path: Path) -> None:
    text = with_line(f"redis.{CANARY.lower()} = 1", CANARY)
    said = refusal(read, tmp_path / "presence.ini", text)
    assert said == "redis.c…: must be in [app:main], not in a section of another name"


@pytest.mark.parametrize(
    "lines",
    [
        "[app:other]\nuse = egg:other\nredis.sessions.url = x\nport = 1",
        "[logger_redis]\nlevel = INFO\nhandlers =\nqualname = redis.client\nhost = x",
        "[pserve]\nwatch_files = identity.html",
    ],
)
def test_sections_of_other_programs_are_left_alone(read, tmp_path: Path, lines: str) -> None:
    file = tmp_path / "presence.ini"
    file.write_text(f"{lines}\n{(ROOT / 'presence.ini').read_text(encoding='utf-8')}", encoding="utf-8")
    read(file)


@pytest.mark.parametrize("ini", ["presence.ini", "presence-cluster.ini", "development.ini"])
def test_the_shipped_files_are_read(read, ini: str) -> None:
    read(ROOT / ini)
