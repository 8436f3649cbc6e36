"""Every command of the operator that the documentation names is run as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.commands.cli import main, parser
from dpresence.files import files_needed
from dpresence.model import Identity

from .directory_values import END, NOW, application, grant

DOCS = Path(__file__).parents[3] / "docs"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^\| `dpresence ([^`]+)` \|", OPERATIONS, re.MULTILINE)
SHELL = [
    line
    for name in ("operations.md", "identity.md")
    for block in re.findall(r"```sh\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if "/bin/dpresence " in line
]
EMAILS = ("ada@example.org", "ada.king@example.org", "Ada.Lovelace@example.org")
APPID = "-pp-1234567890ab"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service with some people, an application and grants."""
    folder = tmp_path_factory.mktemp("operated")
    database = Database(f"sqlite:///{folder}/presence.db")
    migrate(database)
    directory = SqlDirectory(database)
    directory.claim_mode("production")
    people = [directory.sign_in(Identity(email, "https://id.example.org", email, END), NOW) for email in EMAILS]
    made = application(directory, people[1], APPID)
    directory.change_application(APPID, {"validated_scheme": "https", "active": True})
    grant(directory, made, people[0])
    directory.close()
    text = (DOCS.parent / "presence.ini").read_text(encoding="utf-8")
    (folder / "presence.ini").write_text(text.replace("127.0.0.1:8282", "127.0.0.1:1"))  # where nothing answers
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "service"))


def filled_in(command: str, folder: Path) -> list[str]:
    """Return a command of the table with values for its placeholders."""
    command = re.sub(r"\[([A-Z]+|--[a-z]+)\]", r"\1", command)
    values = {
        "EMAIL": EMAILS[0],
        "INTO": EMAILS[2],
        "APPID": APPID,
        "DIR": f"{folder}/backup",
        "INI": f"{folder}/presence.ini",
        "P": "0",
        "N": "4",
    }
    command = command.replace("--to URL", f"--to sqlite:///{folder}/copy.db").replace("--from URL", f"--from {folder}/presence.ini")
    return [values.get(word, word) for word in command.split()]


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in LISTED if not command.startswith("partitions")])  # they need Redis
@pytest.mark.parametrize("form", ["text", "json"])
def test_each_command_of_the_table_does_what_it_says(command: str, form: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if command.startswith("restore"):
        assert main(["--ini", f"{folder}/presence.ini", "backup", f"{folder}/backup"]) == 0
        (folder / "presence.db").unlink()
        capsys.readouterr()
    status = main(["--ini", f"{folder}/presence.ini", *(["--json"] if form == "json" else []), *filled_in(command, folder)])
    written = capsys.readouterr().out
    assert status == (1 if command == "doctor" else 0), written
    if form == "json" and not command.startswith("accounts list"):
        assert written and all(isinstance(json.loads(line), dict) for line in written.splitlines())


def test_every_command_is_in_the_table() -> None:
    def names(subparsers: dict[str, object], before: str = "") -> set[str]:
        found = set()
        for name, each in subparsers.items():
            inner = [action.choices for action in each._actions if action.dest == "what"]  # type: ignore[attr-defined]
            found |= names(inner[0], f"{name} ") if inner else {f"{before}{name}"}
        return found

    [commands] = [action.choices for action in parser()._actions if action.dest == "command"]
    listed = {
        " ".join(word for word in command.split() if re.fullmatch("[a-z-]+", word) and not word.startswith("--")) for command in LISTED
    }
    assert listed == names(commands)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_commands_of_the_shell_run_as_they_stand_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(SHELL) >= 6
    shutil.copy(folder / "presence.ini", folder / "presence-cluster.ini")
    (folder / "presence-cluster.ini").write_text(f"[app:main]\ndirectory.url = sqlite:///{folder}/empty.db\n")
    for line in SHELL:
        *prefix, program, rest = line.partition("/opt/dpresence/bin/dpresence ")
        assert prefix == ["runuser -u dpresence -- "] and program
        arguments = re.sub("/(etc|var/lib)/dpresence", str(folder), rest)
        assert main(shlex.split(arguments)) == 0, (line, capsys.readouterr())


@pytest.mark.slow
@pytest.mark.parametrize("empty", [False, True], ids=["no file", "an empty file"])
def test_before_the_first_start_a_command_creates_no_tables_and_says_that_the_service_was_not_started(
    empty: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "presence.db"
    for command in LISTED:
        if not command.startswith(("status", "accounts", "apps", "grants", "notifications", "rotate")):
            continue
        file.unlink()
        if empty:
            file.touch()
        status, written = main(["--ini", f"{folder}/presence.ini", *filled_in(command, folder)]), capsys.readouterr()
        rotates = command.startswith("rotate")
        assert (status, written.out == "") == ((0, False) if rotates else (1, True)), command
        assert rotates or written.err.startswith("dpresence: the service has not been started yet: directory.url: "), command
        assert file.exists() == empty
        if not empty:
            file.touch()
    assert not tables(file)
    assert (folder / "presence.secret").exists() and (folder / "presence-vapid.pem").exists()


def tables(file: Path) -> list[object]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT name FROM sqlite_master").fetchall()


def examined(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """Return level and text of the last finding of each check of the doctor."""
    main(["--ini", f"{folder}/presence.ini", "--json", "doctor"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len([each for each in found if each["check"] in ("database", "open files")]) == 2, found
    return {each["check"]: (each["level"], each["text"]) for each in found}


@pytest.mark.slow
def test_the_doctor_notes_that_the_first_start_is_still_to_come(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "presence.db"
    file.unlink()
    found = examined(folder, capsys)
    assert found["start"] == ("ok", "a start would succeed")
    assert found["database"] == ("ok", f"directory.url: there is no database yet at {file}; the first start creates it")
    needed = f"channels.sockets = 20000 needs {files_needed(20000)}"
    assert found["open files"][0] != "error" and found["open files"][1].endswith(needed)
    assert not file.exists()
    file.touch()
    empty = examined(folder, capsys)["database"]
    assert empty == ("ok", f"SQLite {sqlite3.sqlite_version}, empty: the first start creates its tables") and not tables(file)
    assert main(["--ini", f"{folder}/presence.ini", "migrate"]) == 0
    capsys.readouterr()
    unused = examined(folder, capsys)["database"]
    assert unused == ("ok", f"SQLite {sqlite3.sqlite_version}, and no service has been started with it yet")


@pytest.mark.slow
def test_no_command_prints_a_secret(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPRESENCE_REDIS_URL", "redis://:Canary7x@127.0.0.1:1/0")
    monkeypatch.setenv("DPRESENCE_TRACKER", "redis")
    for command in LISTED:
        main(["--ini", f"{folder}/presence.ini", *filled_in(command, folder)])
    written = capsys.readouterr()
    assert "Canary7x" not in written.out + written.err and "Traceback" not in written.err
