"""Non-durable writes of one iteration of the event loop: they share a transaction, and a failure stays its own."""

from __future__ import annotations

import sqlite3

import gevent
import pytest
from sqlalchemy import make_url, text

from dpresence.backends.sql.sqlite import make_nondurable_writer
from dpresence.backends.sql.write_group import MAX_WRITES, Locked, WriteGroup


class Scene:
    """A database with one table, a group of writes, and the transactions that it has begun."""

    def __init__(self, path: str) -> None:
        self.path, self.ready = path, True
        with sqlite3.connect(path) as driver:
            driver.execute("PRAGMA journal_mode = WAL")
            driver.execute("CREATE TABLE items (id INTEGER PRIMARY KEY)")
        driver.close()
        connection = make_nondurable_writer(make_url(f"sqlite:///{path}"))
        self.group = WriteGroup(connection, lambda: self.ready)
        self.statements: list[str] = []
        self.group.run(lambda opened: opened.connection.dbapi_connection.set_trace_callback(self.statements.append))
        self.statements.clear()

    def add(self, number: int) -> int:
        def work(connection):
            connection.execute(text(f"INSERT INTO items VALUES ({number})"))
            return number

        return self.group.run(work)

    def stored(self) -> list[int]:
        driver = sqlite3.connect(self.path)
        found = [number for (number,) in driver.execute("SELECT id FROM items ORDER BY id")]
        driver.close()
        return found


@pytest.fixture
def scene(tmp_path):
    scene = Scene(f"{tmp_path}/items.db")
    yield scene
    scene.group.close()


def test_writes_of_one_iteration_share_transactions(scene):
    count = MAX_WRITES * 2 + 1
    greenlets = [gevent.spawn(scene.add, number) for number in range(count)]
    gevent.joinall(greenlets, raise_error=True)
    assert [greenlet.value for greenlet in greenlets] == scene.stored() == list(range(count))
    assert scene.statements.count("BEGIN IMMEDIATE") == scene.statements.count("COMMIT") == 3


def test_a_write_that_fails_fails_alone(scene):
    scene.add(3)
    greenlets = [gevent.spawn(scene.add, number) for number in (1, 2, 3, 4)]
    gevent.joinall(greenlets)
    assert [greenlet.value for greenlet in greenlets] == [1, 2, None, 4] and scene.stored() == [1, 2, 3, 4]
    assert isinstance(greenlets[2].exception.orig, sqlite3.IntegrityError)


def test_a_killed_write_is_left_out_before_its_group_is_executed(scene):
    def killed() -> None:
        greenlet = gevent.getcurrent()
        gevent.get_hub().loop.run_callback(greenlet.throw, gevent.GreenletExit)
        scene.add(1)

    gevent.joinall([gevent.spawn(killed), gevent.spawn(scene.add, 2)])
    assert scene.stored() == [2]


def test_while_another_connection_writes_every_write_is_refused_as_locked(scene):
    other = sqlite3.connect(scene.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    greenlets = [gevent.spawn(scene.add, number) for number in (1, 2)]
    gevent.joinall(greenlets)
    assert [type(greenlet.exception) for greenlet in greenlets] == [Locked, Locked]
    other.execute("COMMIT")
    other.close()
    assert scene.add(1) == 1 and scene.stored() == [1]


def test_before_a_new_log_has_begun_writes_are_refused_as_locked(scene):
    scene.ready = False
    with pytest.raises(Locked):
        scene.add(1)
    assert scene.stored() == [] and scene.statements == []
