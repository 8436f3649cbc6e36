"""Calls and waits that the tests of PostgreSQL in a patched process share."""

from __future__ import annotations

import time
from contextlib import contextmanager

import gevent
from sqlalchemy import insert, select, text

from dpresence.backends.sql.postgresql import CONNECTIONS, SLOTS
from dpresence.backends.sql.tables import service
from dpresence.errors import BackendUnavailable

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


def fill(database, seconds):
    """Use every connection at the same time."""
    calls = [gevent.spawn(database.run, sleep(seconds), key=f"user-{n}", urgent=n < SLOTS["reserved"]) for n in range(CONNECTIONS)]
    gevent.joinall(calls, raise_error=True)


def write(connection):
    connection.execute(insert(service).values(id=1, mode="development"))


def mode(connection):
    return connection.scalar(select(service.c.mode))


def check_sessions(database):
    """The server ends what was abandoned as soon as it notices."""
    with gevent.Timeout(5):
        while database.run(sessions) > CONNECTIONS + 1:
            gevent.sleep(0.05)


def within(seconds, call):
    """Call until it succeeds; return after how many seconds it did."""
    began = time.monotonic()
    while True:
        try:
            call()
            return time.monotonic() - began
        except BackendUnavailable:
            assert time.monotonic() - began < seconds
            gevent.sleep(0.05)
