"""Short reads and non-durable writes in the hub's thread: they wait for nobody, or for the deadline at most."""

from __future__ import annotations

import threading

import gevent
import pytest
from gevent import monkey
from sqlalchemy import text

from dpresence.backends.sql import sqlite
from dpresence.backends.sql.engine import Database
from dpresence.errors import BackendUnavailable
from dpresence.tests.shared_tables import make_tables
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

native_sleep = monkey.get_original("time", "sleep")
DEADLINE_SECONDS = 0.2


def test_a_note_waits_for_nobody_and_is_there_for_everybody(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/presence.db")
    make_tables(database)
    started = gevent.spawn(database.run, lambda connection: native_sleep(0.2))
    assert database.write_nondurable(lambda connection: connection.scalar(text("select 1"))) == 1
    assert not started.ready() or started.get() is None
    database.write_nondurable(lambda connection: connection.execute(text("insert into service (id, mode) values (1, 'production')")))
    for way in (database.run, database.read):
        assert way(lambda connection: connection.scalar(text("select mode from service"))) == "production"
    database.close()


def test_a_note_takes_its_turn_while_somebody_else_writes(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/presence.db")
    make_tables(database)

    def slow(connection):
        connection.execute(text("insert into spent values (x'01', 1)"))
        begun.set()
        assert end.wait(PATIENCE_SECONDS)

    begun, end = threading.Event(), threading.Event()
    writer = gevent.spawn(database.run, slow)
    eventually(begun.is_set)
    assert database.read(lambda connection: connection.scalar(text("select count(*) from spent"))) == 0, "not written yet"
    gevent.spawn_later(0.1, end.set)
    database.write_nondurable(lambda connection: connection.execute(text("insert into spent values (x'02', 1)")))
    assert writer.ready()
    assert database.read(lambda connection: connection.scalar(text("select count(*) from spent"))) == 2
    database.close()


def test_a_reader_cannot_write(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/presence.db")
    make_tables(database)
    with pytest.raises(BackendUnavailable):
        database.read(lambda connection: connection.execute(text("insert into spent values (x'01', 1)")))
    database.close()


@pytest.fixture
def stuck(tmp_path, monkeypatch):
    """A database whose disk does not answer while the log is copied; ``threads`` are those of the transactions that began meanwhile."""
    setup = Database(f"sqlite:///{tmp_path}/presence.db")
    make_tables(setup)
    setup.close()
    database = Database(f"sqlite:///{tmp_path}/presence.db", deadline_seconds=DEADLINE_SECONDS)
    real, ended = sqlite.checkpoint, threading.Event()

    def checkpoint(engine, mode):
        ended.wait(PATIENCE_SECONDS)
        return real(engine, mode)

    monkeypatch.setattr(sqlite, "checkpoint", checkpoint)
    database.ended = ended
    yield database
    ended.set()
    database.close()


def test_a_write_waits_for_a_stuck_disk_until_the_deadline_at_most(stuck):
    scrub = gevent.spawn(stuck.scrub)
    gevent.sleep(0)
    with pytest.raises(BackendUnavailable), gevent.Timeout(PATIENCE_SECONDS):
        stuck.write_nondurable(lambda connection: None)
    scrub.get(timeout=PATIENCE_SECONDS)
    assert not stuck.ended.is_set(), "both ended at their deadline"


def test_no_write_of_the_hub_begins_before_a_late_copy_of_the_log_has_ended(stuck):
    began = []
    gevent.spawn(stuck.scrub).join()  # gives up at the deadline, the copy goes on
    with pytest.raises(BackendUnavailable):
        stuck.write_nondurable(lambda connection: began.append(stuck.ended.is_set()))
    assert began == []
    stuck.ended.set()
    with gevent.Timeout(PATIENCE_SECONDS):
        while not began:
            try:
                stuck.write_nondurable(lambda connection: began.append(stuck.ended.is_set()))
            except BackendUnavailable:
                gevent.sleep(0.01)
    assert began == [True]
