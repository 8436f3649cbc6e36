"""Ten thousand grants end in the same second; nobody else waits for it."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from sqlalchemy import Connection, func, select, update

from bench.seed import register, seed
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import accounts, grants, outbox
from dpresence.tests.waiting import PATIENCE_SECONDS

from ..live.service import running
from .cluster import Cluster, stores

pytestmark = pytest.mark.faults

GRANTS = 10_000
STATED_SECONDS = 10.0


def end_together(url: str, start: float) -> float:
    """Have all grants end at a time (seconds since the epoch); return how many seconds later the last one had ended for everybody."""
    at = int(start * 1000)

    def set_end(connection: Connection) -> None:
        connection.execute(update(grants).values(until=at))
        connection.execute(update(accounts).values(due_at=at))

    def left(connection: Connection) -> int:
        return sum(connection.scalar(select(func.count()).select_from(table)) or 0 for table in (grants, outbox))

    with closing(Database(url, deadline_seconds=PATIENCE_SECONDS)) as database:
        database.run(set_end)
        while database.run(left):
            assert time.time() < start + PATIENCE_SECONDS * 2
            time.sleep(0.2)
    return time.time() - start


def test_grants_that_end_in_the_same_second_end_within_seconds_on_sqlite(tmp_path, figures):
    with running(tmp_path):
        database = tmp_path / "live.db"
        seed(database, [register(database)[0]], GRANTS)
        figures.time("due at once", f"{GRANTS} grants, SQLite", end_together(f"sqlite:///{database}", time.time() + 2), STATED_SECONDS)


def test_grants_that_end_in_the_same_second_end_within_seconds_on_postgresql(figures):
    with stores() as servers, Cluster(servers) as cluster:
        cluster.start(), cluster.start()
        seed(cluster.url, [register(cluster.url)[0]], GRANTS)
        figures.time("due at once", f"{GRANTS} grants, PostgreSQL", end_together(cluster.url, time.time() + 2), STATED_SECONDS)
