"""Calls to PostgreSQL that end early: by a deadline, a kill, or as the database is closed; run as ``patched_postgresql``."""

from __future__ import annotations

import gc
import sys
import time

import gevent
import gevent.event
import pytest
from sqlalchemy import Result, text

from dpresence.backends.sql.postgresql import CONNECTIONS
from dpresence.errors import BackendUnavailable
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .patched_postgresql import make
from .postgresql import sessions
from .postgresql_calls import check_sessions, fill_at_once, mode, sleep, sleep_often, write

__all__ = ["make"]


def test_several_statements_past_their_deadline_leave_no_error_in_the_log(make, caplog):
    database = make(deadline_seconds=0.3)
    with pytest.raises(BackendUnavailable):
        database.run(sleep_often(0.2))
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert database.run(mode) is None


def test_a_statement_of_an_abandoned_call_ends_soon_at_the_server(make):
    ours, theirs = make(deadline_seconds=0.5), make()

    def slow(connection):
        write(connection)
        sleep(30)(connection)

    began = time.monotonic()
    with pytest.raises(BackendUnavailable):
        ours.run(slow, deadline_seconds=0.1)
    theirs.run(write)  # waits for the row of the other
    assert time.monotonic() - began < 20, "the server cancelled the statement"


def test_a_caller_that_froze_in_a_transaction_holds_nobody_up_for_long(make):
    ours, theirs = make(deadline_seconds=0.3), make()

    def freeze(connection):
        write(connection)
        written.set()
        woken.wait(PATIENCE_SECONDS)
        write(connection)

    written, woken = gevent.event.Event(), gevent.event.Event()
    frozen = gevent.spawn(ours.run, freeze, PATIENCE_SECONDS)
    assert written.wait(PATIENCE_SECONDS)
    theirs.run(write)  # waits for the row until the server ends the frozen transaction
    woken.set()
    with pytest.raises(BackendUnavailable):
        frozen.get()


@pytest.mark.parametrize("work", [sleep(1), sleep_often(1)], ids=["one statement", "several"])
def test_somebody_elses_timeout_is_left_alone(make, work):
    database = make()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        database.run(work)
    assert database.run(mode) is None


@pytest.mark.parametrize("work", [sleep(1), sleep_often(1)], ids=["one statement", "several"])
def test_a_killed_call_ends_there_and_leaves_no_connection_behind(make, caplog, work):
    database = make()
    fill_at_once(database)
    for _ in range(2 * CONNECTIONS):
        killed = gevent.spawn(database.run, work)
        gevent.sleep(0.01)
        killed.kill()
        assert isinstance(killed.value, gevent.GreenletExit), killed.exception
    assert caplog.records == []
    fill_at_once(database)
    check_sessions(database)


def test_calls_that_are_killed_at_any_moment_of_a_pipeline_print_and_log_nothing(make, monkeypatch, caplog):
    database, printed = make(), []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    database.run(mode)
    for n in range(300):
        killed = gevent.spawn(database.run, sleep_often(0))
        gevent.sleep(n * 0.00002)
        killed.kill()
        assert killed.value is None or isinstance(killed.value, gevent.GreenletExit | Result), killed.exception
    gc.collect()
    assert printed == [] and caplog.records == []


def test_missed_deadlines_leave_no_connection_behind(make):
    database = make(deadline_seconds=0.5)

    def hurry(n):
        with pytest.raises(BackendUnavailable):
            database.run(sleep(1), 0.02 + n % 7 / 100)

    for _ in range(3):
        gevent.joinall([gevent.spawn(hurry, n) for n in range(50)], raise_error=True)
    fill_at_once(database)
    check_sessions(database)


def test_a_call_that_runs_as_the_database_is_closed_leaves_no_connection_behind(make):
    database, other = make(), make()
    before = other.run(sessions)
    running = gevent.spawn(database.run, sleep(0.2))
    eventually(lambda: other.run(sessions) > before)
    database.close()
    running.get()
    eventually(lambda: other.run(sessions) == before)


def test_an_error_of_the_database_after_a_timeout_of_the_caller_is_the_databases(make):
    database, failed = make(), []
    with pytest.raises(gevent.Timeout):
        try:
            with gevent.Timeout(0.01):
                gevent.sleep(1)
        finally:
            with pytest.raises(BackendUnavailable):
                database.run(lambda connection: connection.execute(text("SELECT :it"), {"it": "\0"}))
            failed.append(True)
    assert failed and database.run(mode) is None
