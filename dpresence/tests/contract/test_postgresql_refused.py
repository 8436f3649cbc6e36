"""Error texts of starts and commands when PostgreSQL refuses a connection or a statement."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dpresence.backends.sql.postgresql import reason_of
from dpresence.commands.cli import main

CANARY = "Canary7x"
DENIED = "refuses this user: correct the user, the password or the rights"
REFUSED = "refuses connections: the log of PostgreSQL has the reason"
MISSING = "is not there: create it, or correct its name"
FULL = "has no free connection: raise max_connections of PostgreSQL, or the limit of the user"
ROLES = (
    f"CREATE ROLE denied LOGIN PASSWORD '{CANARY}'",
    f"CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD '{CANARY}'",
    "CREATE ROLE barred NOLOGIN",
    "CREATE ROLE powerless LOGIN",
    "CREATE DATABASE refusing",
    "CREATE DATABASE closed",
    "REVOKE CONNECT ON DATABASE closed FROM public",
)


@pytest.fixture(scope="module")
def refusing(postgresql):
    """Return the URL of a user at a server that asks two users for a password."""
    rules = postgresql.folder / "data" / "pg_hba.conf"
    rules.write_text(f"local all denied,crowded scram-sha-256\n{rules.read_text()}")
    for statement in ROLES:
        postgresql._server.psql(statement)
    postgresql._server.psql("SELECT pg_reload_conf()")
    return lambda user, name="refusing": postgresql.url(name).replace("postgres@", f"{user}@")


def ini_of(url: str, folder: Path) -> str:
    file = folder / "presence.ini"
    secret = folder / "presence.secret"
    lines = ("[app:main]", "use = egg:dpresence", f"directory.url = {url}", f"identity.secret_file = {secret}")
    file.write_text("\n".join((*lines, "[server:main]", "use = egg:dpresence", "port = 0", "")))
    return str(file)


@pytest.mark.parametrize(
    ("user", "name", "reason"),
    [
        (f"denied:{CANARY}%40wrong", "refusing", DENIED),
        ("denied", "refusing", DENIED),
        ("nobody", "refusing", DENIED),
        ("barred", "refusing", DENIED),
        ("powerless", "closed", DENIED),
        ("powerless", "refusing", DENIED),
        (f"denied:{CANARY}", "missing", MISSING),
        (f"crowded:{CANARY}", "refusing", FULL),
    ],
)
def test_a_command_says_why_the_database_refuses(refusing, tmp_path, capsys, user, name, reason):
    ini = ini_of(refusing(user, name), tmp_path)
    assert main(["--ini", ini, "migrate"]) == 4
    written = capsys.readouterr()
    assert written.err.splitlines()[-1] == f"dpresence: directory.url: the database {reason}"
    assert CANARY not in written.err + written.out


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("FATAL:  Passwort-Authentifizierung für Benutzer »ada« fehlgeschlagen", REFUSED),
        ('ВАЖНО:  пользователь "ada" не прошёл проверку подлинности', REFUSED),
        ('FATAL:  password authentication failed for user "ada"', DENIED),
        ("Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?", ""),
        ("server closed the connection unexpectedly", ""),
    ],
)
def test_a_refusal_in_another_language_is_an_answer(said, reason):
    assert reason_of(Exception(f'connection to server at "192.0.2.7", port 5432 failed: {said}')) == reason


@pytest.fixture
def denied(refusing, tmp_path) -> str:
    """The ini of a service with a wrong password."""
    return ini_of(refusing(f"denied:{CANARY}%40wrong"), tmp_path)


SAID = f"directory.url: the database {DENIED}"


@pytest.mark.parametrize("command", [["status"], ["migrate", "--check"], ["accounts", "list"], ["accounts", "block", "ada@example.org"]])
def test_every_command_says_that_the_database_refuses_the_user(denied, capsys, command):
    assert main(["--ini", denied, *command]) == 4
    assert capsys.readouterr().err.splitlines()[-1] == f"dpresence: {SAID}"


def test_a_copy_says_that_the_database_refuses_the_user(denied, tmp_path, capsys):
    assert main(["copy", "--from", denied, "--to", f"sqlite:///{tmp_path}/copy.db"]) == 4
    assert capsys.readouterr().err.splitlines()[-1] == f"dpresence: {SAID}"


@pytest.mark.slow
def test_a_check_and_the_doctor_say_that_the_database_refuses_the_user(denied, capsys):
    assert main(["--ini", denied, "check"]) == 1
    assert SAID in capsys.readouterr().out.splitlines()
    assert main(["--ini", denied, "doctor"]) == 1
    written = capsys.readouterr()
    assert f"error    database: {SAID}" in written.out.splitlines() and CANARY not in written.err + written.out


@pytest.mark.slow
def test_a_start_says_that_the_database_refuses_the_user(denied):
    starting = "import sys; from dpresence.pserve import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", starting, denied], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode and done.stderr.splitlines()[-1] == f"dpresence does not start: {SAID}"
    assert CANARY not in done.stderr + done.stdout
