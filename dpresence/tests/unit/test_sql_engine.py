"""The database itself: transactions, deadlines, bounds, and a hub that keeps turning."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import gevent
import pytest
from gevent import monkey
from sqlalchemy import insert, select, text

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import metadata, service
from dpresence.errors import BackendUnavailable, Conflict, SettingError
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

native_sleep = monkey.get_original("time", "sleep")


@pytest.fixture
def make(tmp_path):
    made = []

    def make(url: str = f"sqlite:///{tmp_path}/presence.db", **options: float) -> Database:
        if "deadline_seconds" in options:  # the tables may take longer than that
            make(url)
        made.append(Database(url, **options))
        if "deadline_seconds" not in options:
            made[-1].run(metadata.create_all)
        return made[-1]

    yield make
    for database in made:
        database.close()


def write(connection):
    connection.execute(insert(service).values(id=1, mode="development"))


def mode(connection):
    return connection.scalar(select(service.c.mode))


def test_a_refusal_rolls_back_and_reaches_the_caller(make, capfd):
    database = make()

    def work(connection):
        write(connection)
        raise Conflict("no")

    with pytest.raises(Conflict):
        database.run(work)
    assert database.run(mode) is None
    assert capfd.readouterr() == ("", ""), "gevent prints nothing of it"


def test_a_mistake_in_the_code_is_not_taken_for_a_lost_database(make):
    with pytest.raises(ZeroDivisionError):
        make().run(lambda connection: 1 / 0)


def test_a_drivers_error_is_logged_without_values(make, caplog):
    with pytest.raises(BackendUnavailable):
        make().run(lambda connection: connection.execute(text("insert into nowhere values (:it)"), {"it": "secret"}))
    assert [record.getMessage() for record in caplog.records] == ["database: OperationalError: no such table: nowhere"]


def test_all_work_runs_in_one_other_native_thread(make):
    database = make()
    calls = [gevent.spawn(database.run, lambda connection: threading.get_native_id()) for _ in range(10)]
    gevent.joinall(calls, raise_error=True)
    assert len({call.value for call in calls} - {threading.get_native_id()}) == 1


def test_the_hub_keeps_turning_during_a_slow_call(make):
    database, ticks = make(), []

    def tick():
        while True:
            ticks.append(1)
            gevent.sleep(0.005)

    def wait_for_ticks(connection):
        return any(len(ticks) > 10 or native_sleep(0.005) for _ in range(2000))

    ticker = gevent.spawn(tick)
    assert database.run(wait_for_ticks)
    ticker.kill()


@pytest.fixture
def held():
    """A call that takes until ``held.end`` is set; ``held.begun`` is set meanwhile."""

    def call(connection):
        call.begun.set()
        assert call.end.wait(PATIENCE_SECONDS)

    call.begun, call.end = threading.Event(), threading.Event()
    yield call
    call.end.set()


def test_a_call_past_its_deadline_changes_nothing(make, held):
    database = make()
    with pytest.raises(BackendUnavailable):
        database.run(lambda connection: write(connection) or held(connection), deadline_seconds=0.05)
    held.end.set()
    assert database.run(mode) is None


def test_a_call_that_waited_in_vain_is_never_made(make, held):
    database, made = make(), []
    slow = gevent.spawn(database.run, held)
    gevent.sleep(0)
    for _ in range(3):
        with pytest.raises(BackendUnavailable):
            database.run(lambda connection: made.append(1), deadline_seconds=0.02)
    held.end.set()
    slow.get()
    assert database.run(mode) is None
    assert made == []


def test_somebody_elses_timeout_is_left_alone(make, held):
    database = make()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.02):
        database.run(held)
    held.end.set()
    assert database.run(mode) is None


def test_too_many_waiting_calls_are_refused_at_once(make):
    database = make(waiting=2)
    waiting = [gevent.spawn(database.run, lambda connection: native_sleep(0.1), key="jane") for _ in range(2)]
    gevent.sleep(0)
    with pytest.raises(BackendUnavailable):
        database.run(mode, key="joe")
    gevent.joinall(waiting, raise_error=True)
    assert database.run(mode) is None


def test_a_database_locked_by_another_process_is_unavailable_then_back(make, held):
    ours, theirs = make(deadline_seconds=0.3), make()
    holding = gevent.spawn(theirs.run, held)
    eventually(held.begun.is_set)
    with pytest.raises(BackendUnavailable):
        ours.run(write)
    held.end.set()
    holding.get()
    eventually(lambda: ours.run(write) or True)
    assert theirs.run(mode) == "development"


def test_a_short_lock_is_waited_for(make):
    ours, theirs = make(), make()
    holding = gevent.spawn(theirs.run, lambda connection: native_sleep(0.1))
    gevent.sleep(0.02)
    ours.run(write)
    holding.get()


def test_a_file_that_was_no_database_is_tried_again(tmp_path, make):
    path = tmp_path / "presence.db"
    path.write_bytes(b"not a database. " * 512)
    with pytest.raises(BackendUnavailable):
        make()
    path.write_bytes(b"")
    make().run(write)


def test_sqlite_is_asked_to_keep_what_was_answered(shipped_deadlines, shipped_durability, make):
    database = make()
    asked = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
    values = database.run(lambda connection: [connection.scalar(text(f"PRAGMA {name}")) for name in asked])
    assert values == ["wal", 2, 1, 1, 4000]


def test_the_files_are_their_owners_only(make, tmp_path):
    before = os.umask(0)
    try:
        make().run(write)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"presence.db": 0o600, "presence.db-wal": 0o600, "presence.db-shm": 0o600}


def test_memory_is_one_database_for_all_calls(make):
    database = make("sqlite://")
    database.run(write)
    assert database.run(mode) == "development"


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql://joe:secret@db/presence", "sqlite:///presence.db?mode=ro", "sqlite:///file:presence.db"),
        *("sqlite+aiosqlite:///presence.db", "sqlite://joe:secret@db/presence", "presence.db"),
    ],
)
def test_another_url_stops_the_start(url):
    with pytest.raises(SettingError) as caught:
        Database(url)
    assert str(caught.value).startswith("directory.url: must be a sqlite or postgresql+psycopg URL")


def test_a_file_that_cannot_be_made_stops_the_start(tmp_path):
    url = f"sqlite:///{tmp_path}/missing/presence.db"
    with pytest.raises(SettingError) as caught:
        Database(url)
    assert str(caught.value) == "directory.url: must be a file that can be opened (No such file or directory)"


def test_a_closed_database_is_unavailable(make):
    database = make()
    database.close()
    database.close()
    with pytest.raises(BackendUnavailable):
        database.run(mode)


def test_closing_does_not_wait_longer_than_the_deadline(make):
    database = make(deadline_seconds=0.1)
    stuck = gevent.spawn(database.run, lambda connection: native_sleep(3))
    gevent.sleep(0)
    with gevent.Timeout(PATIENCE_SECONDS):
        database.close()
    with pytest.raises(BackendUnavailable):
        stuck.get()


def test_no_file_stays_open_after_closing_within_the_deadline_in_vain(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/presence.db", deadline_seconds=0.5)
    for use in (database.read, database.write_nondurable):
        use(lambda connection: connection.execute(text("SELECT 1")))
    end = threading.Event()
    stuck = gevent.spawn(database.run, lambda connection: end.wait(PATIENCE_SECONDS))
    gevent.sleep(0)
    database.close()
    with pytest.raises(BackendUnavailable):
        stuck.get()
    end.set()
    eventually(lambda: not [file for file in map(os.path.realpath, Path("/proc/self/fd").iterdir()) if file.startswith(str(tmp_path))])


@pytest.mark.slow
def test_it_works_the_same_in_a_patched_process(tmp_path):
    script = f"""
        from gevent import monkey
        monkey.patch_all()
        import gevent, threading
        from dpresence.tests.contract.directory_values import *
        from dpresence.backends.directory.sql import SqlDirectory
        from dpresence.tests.contract.sql import opened
        ticks = []
        def tick():
            while True:
                ticks.append(1)
                gevent.sleep(0.005)
        with opened("sqlite:///{tmp_path}/presence.db") as database, opened("sqlite://") as other:
            gevent.spawn(tick)
            sides = [SqlDirectory(database), SqlDirectory(other)] * 50
            found = at_once(*[lambda side=side: side.sign_in(IDENTITY, NOW) for side in sides])
            assert len(set(found)) == 2, found
            before = len(ticks)
            database.run(lambda connection: monkey.get_original("time", "sleep")(0.2))
            assert len(ticks) - before > 10, ticks
        print("OK")
    """
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert (run.stdout, run.stderr) == ("OK\n", "")


def test_an_account_whose_calls_get_no_answer_writes_a_few_lines(make, held, caplog):
    database = make()
    calls = [gevent.spawn(pytest.raises, BackendUnavailable, database.run, held, deadline_seconds=0.01) for _ in range(50)]
    gevent.joinall(calls, raise_error=True)
    assert len(caplog.records) == 10 and database.measures.errors == 50


def test_a_missed_deadline_is_logged(make, held, caplog):
    database = make()
    with pytest.raises(BackendUnavailable):
        database.run(held, deadline_seconds=0.01)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.WARNING, "database: no answer within 0.01 s")]
