"""Calls and waits that the tests of PostgreSQL in a patched process share."""

from __future__ import annotations

from contextlib import contextmanager

import gevent
import gevent.event
from sqlalchemy import insert, select, text

from dpresence.backends.sql.postgresql import CONNECTIONS, SLOTS
from dpresence.backends.sql.tables import service
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .postgresql import sessions


@contextmanager
def turning(times: int = 10):
    """Fail when the hub turned less often: a wait that blocks it lets it turn once."""
    turns = []

    def tick():
        while True:
            gevent.sleep(0.005)
            turns.append(1)

    ticker = gevent.spawn(tick)
    gevent.sleep(0)
    yield
    ticker.kill()
    assert len(turns) >= times


def sleep(seconds):
    return lambda connection: connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})


def sleep_often(seconds):
    """Return the work of several statements, which the driver sends in one pipeline."""
    return lambda connection: connection.execute(text("SELECT pg_sleep(:seconds)"), [{"seconds": seconds}] * 5)


def fill(database, seconds):
    """Use every connection at the same time."""
    calls = [gevent.spawn(database.run, sleep(seconds), key=f"user-{n}", urgent=n < SLOTS["reserved"]) for n in range(CONNECTIONS)]
    gevent.joinall(calls, raise_error=True)


def fill_at_once(database):
    """Use every connection, each until all are in use."""
    begun, everybody = [], gevent.event.Event()

    def work(connection):
        begun.append(1)
        if len(begun) == CONNECTIONS:
            everybody.set()
        assert everybody.wait(PATIENCE_SECONDS)

    calls = [gevent.spawn(database.run, work, PATIENCE_SECONDS, key=f"user-{n}", urgent=n < SLOTS["reserved"]) for n in range(CONNECTIONS)]
    gevent.joinall(calls, raise_error=True)


def write(connection):
    connection.execute(insert(service).values(id=1, mode="development"))


def mode(connection):
    return connection.scalar(select(service.c.mode))


def check_sessions(database):
    """The server ends what was abandoned as soon as it notices."""
    eventually(lambda: database.run(sessions) <= CONNECTIONS + 1)
