"""The file of an SQLite database: one service holds it, nobody else reads it, and its loss under the service is noticed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap

import pytest
from sqlalchemy import text

from dpresence.backends import load
from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.clock import Clock
from dpresence.errors import BackendUnavailable, SettingError
from dpresence.secret_files import warn_of_secrets
from dpresence.settings import Settings, StorageSettings
from dpresence.tests.contract.directory_values import END, NOW, person
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import PATIENCE_SECONDS

ALONE = (
    "must be a database that no other service uses while tracker = memory, which is known to one process only: stop the other "
    "service, or give this one a database of its own; tracker = redis is for several"
)
TOGETHER = "must not be used by a service with tracker = memory: stop that one, or give this one a database of its own"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "presence.db"


@pytest.fixture
def make(path):
    made = []

    def make(alone: bool | None = None, at: object = None) -> Database:
        made.append(Database(f"sqlite:///{at or path}", clock=FakeClock(), alone=alone))
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def directory(make):
    database = make()
    migrate(database)
    return SqlDirectory(database)


# -- one service


@pytest.mark.parametrize(("first", "second", "why"), [(True, True, ALONE), (False, True, ALONE), (True, False, TOGETHER)])
def test_a_second_service_is_refused_with_advice(make, path, first, second, why):
    make(alone=first)
    with pytest.raises(SettingError) as refused:
        make(alone=second)
    assert str(refused.value) == f"directory.url = sqlite:///{path}: {why}"


def test_services_whose_tracker_is_shared_share_a_file(make):
    make(alone=False), make(alone=False)


def test_the_operators_command_works_beside_a_service(make):
    make(alone=True)
    migrate(make(alone=None))


def test_a_service_that_closes_other_files_meanwhile_is_found(make, path, monkeypatch):
    """A service that serves opens and closes connections all the time."""
    make(alone=True)
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: ["999999", *listed(folder)])
    assert make().service_pid() == os.getpid()


def test_a_service_that_has_ended_holds_nothing(make):
    make(alone=True).close()
    make(alone=True)


def test_a_service_that_was_killed_holds_nothing(make, path):
    script = f"""
        import os, signal
        from dpresence.backends.sql.engine import Database
        Database("sqlite:///{path}", alone=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=PATIENCE_SECONDS, check=False)
    assert path.with_name("presence.db.lock").exists()
    make(alone=True)


def test_one_file_under_two_names_is_one_database(make, path, tmp_path):
    make(alone=True)
    other = tmp_path / "other.db"
    other.symlink_to(path)
    with pytest.raises(SettingError):
        make(alone=True, at=other)


def test_a_program_that_the_service_starts_does_not_hold_the_file_for_it(make):
    database = make(alone=True)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, close_fds=False):
        database.close()
        make(alone=True)


@pytest.mark.parametrize(("tracker", "held"), [("memory", True), ("memory", False)])
def test_a_service_holds_its_database_and_a_command_does_not(path, tracker, held):
    settings = Settings(storage=StorageSettings(directory_url=f"sqlite:///{path}", tracker=tracker))
    first = load(settings, Clock(), serving=True)
    try:
        if held:
            with pytest.raises(SettingError, match="must be a database that no other service uses"):
                load(settings, Clock(), serving=True)
        else:
            load(settings, Clock()).close()
    finally:
        first.close()


# -- the same file


def lose(path):
    path.unlink()


def replace(path):
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def lose_folder(path):
    path.parent.rename(path.parent.with_name("elsewhere"))


def logged(caplog):
    """Return what the database has logged; the threads of other tests may still log as well."""
    return [record.getMessage() for record in caplog.records if not record.name.startswith("dpresence.backends.redis")]


@pytest.mark.parametrize("how", [lose, replace, lose_folder])
def test_a_file_that_is_gone_or_another_one_is_written_to_no_more(directory, path, how, caplog):
    jane = person(directory)
    directory.ping()
    how(path)
    for call in (
        directory.ping,
        lambda: directory.use_assertion(b"x", END),
        lambda: directory.account(jane.id),
        lambda: directory.touch_key("k", "d"),
    ):
        with pytest.raises(BackendUnavailable):
            call()
    said = f"database: {path} was deleted, moved or replaced under the service: put it back, or restore a backup; "
    said += "a restart alone begins with an empty database"
    assert logged(caplog) == [said]


def test_a_file_that_was_put_back_is_used_again(directory, path, tmp_path):
    jane = person(directory)
    path.rename(tmp_path / "moved.db")
    with pytest.raises(BackendUnavailable):
        directory.ping()
    (tmp_path / "moved.db").rename(path)
    directory.ping()
    assert directory.use_assertion(b"x", END)
    assert directory.account(jane.id) == jane


# -- nobody else's


def test_a_database_that_others_may_read_is_warned_of(make, path, caplog):
    path.touch()
    path.chmod(0o644)
    make()
    said = f"{path} holds everybody's e-mail addresses, and others may read or write it (mode 0644): chmod 600 {path}"
    assert logged(caplog) == [said]


def test_the_lock_is_its_owners_only(make, path):
    before = os.umask(0)
    try:
        make(alone=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.with_name("presence.db.lock").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("ini", "mode", "warned"),
    [
        ({"directory.url": "postgresql+psycopg://joe:secret@db/presence"}, 0o640, True),
        ({"redis.url": "redis://:secret@db/0"}, 0o604, True),
        ({"redis.url": "redis://db:6379/5?username=default&password=secret"}, 0o644, True),
        ({"directory.url": "postgresql+psycopg://joe@db/presence?sslmode=require&sslPassword=secret"}, 0o644, True),
        ({"redis.url": "redis://db:6379/5?password=&username=default"}, 0o644, False),
        ({"redis.password": "secret"}, 0o644, True),
        ({"identity.development_token": "secret"}, 0o644, True),
        ({"redis.password": "secret"}, 0o600, False),
        ({"redis.password": "", "directory.url": "sqlite:///presence.db", "identity.secret_file": "a"}, 0o644, False),
    ],
)
def test_an_ini_with_secrets_that_others_may_read_is_warned_of(tmp_path, ini, mode, warned, caplog):
    path = tmp_path / "presence.ini"
    path.touch()
    path.chmod(mode)
    warn_of_secrets(str(path), ini)
    said = f"{path} holds passwords or secrets, and others may read or write it (mode {mode:04o}): chmod 600 {path}"
    assert logged(caplog) == [said] * warned


# -- what was erased


def left(path, *words):
    """Return the files beside a database that hold any of some words."""
    return [each.name for each in path.parent.iterdir() if any(word.encode() in each.read_bytes() for word in words)]


def test_an_erasure_leaves_no_trace_in_any_file_while_the_service_runs(directory, path):
    people = [person(directory, f"jane.the.erased.{n}") for n in range(40)]
    bystanders = [person(directory, f"joe-{n}") for n in range(40)]
    assert left(path, "jane.the.erased") != []
    for jane in people:
        directory.erase(jane.id)
    assert left(path, "jane.the.erased") == []
    directory.clear_outbox(directory.outbox(None, 0, 1000))  # what names them by their ids
    directory.sweep()
    assert left(path, "jane.the.erased", *[jane.id for jane in people]) == []
    assert directory.account(bystanders[-1].id) == bystanders[-1]


def test_an_erasure_while_somebody_reads_is_finished_at_the_next_sweep(directory, make, path, caplog):
    caplog.set_level("INFO")
    jane = person(directory, "jane.the.erased")

    def read(connection):
        connection.execute(text("SELECT * FROM accounts"))
        directory.erase(jane.id)
        assert left(path, "jane.the.erased") != []

    make().read(read)
    assert logged(caplog) == ["database: the write-ahead log could not be truncated; the next deletion tries again"]
    directory.sweep()
    assert left(path, "jane.the.erased") == []


@pytest.mark.slow
def test_the_log_of_a_killed_service_is_cleared_by_the_first_sweep(path):
    script = f"""
        import os, signal
        from dpresence.backends.directory.sql import SqlDirectory
        from dpresence.backends.sql.engine import Database
        from dpresence.backends.sql.migrate import migrate
        from dpresence.tests.contract.directory_values import person
        database = Database("sqlite:///{path}")
        migrate(database)
        directory = SqlDirectory(database)
        jane = person(directory, "jane.the.erased")
        directory._erase = database.run
        database.scrub = lambda: os.kill(os.getpid(), signal.SIGKILL)
        directory.erase(jane.id)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=PATIENCE_SECONDS, check=False)
    assert left(path, "jane.the.erased") != []
    database = Database(f"sqlite:///{path}")
    assert SqlDirectory(database).session(b"x", NOW) is None
    SqlDirectory(database).sweep()
    assert left(path, "jane.the.erased") == []
    database.close()
