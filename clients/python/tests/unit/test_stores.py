"""The files of a table and of a ticket, and when they are written."""

from __future__ import annotations

import json
import os

import pytest

from dpresence_client import stores
from dpresence_client.errors import StoreError
from dpresence_client.stores import FileStore, FileTickets
from dpresence_client.table import Table
from dpresence_client.table_saver import TableSaver
from dpresence_client.values import Batch, Entry, Outcome, OutcomeBatch, Update


def batch(number: int) -> Batch:
    return Batch([Update("p1", "online", "explicit", number)], f"e:{number}", "update")


class Recorder:
    """A store that counts; each save takes as long as ``takes``."""

    def __init__(self, takes: float = 0.0) -> None:
        self.now = 100.0
        self.saved: list = []
        self.fails = False
        self._takes = takes

    def clock(self) -> float:
        return self.now

    def load(self, appid):
        return None

    def save(self, appid, table):
        self.now += self._takes
        if self.fails:
            raise StoreError("disk full")
        self.saved.append((table.cursor, table.copy()))


def test_a_table_is_loaded_as_it_was_saved_and_only_its_owner_can_read_it(tmp_path) -> None:
    path = tmp_path / "table.json"
    table = Table({"p1": Entry("online", 1000), "p2": Entry("offline", 2000)}, "e:7", "18")
    FileStore(path).save("app", table)
    loaded = FileStore(str(path)).load("app")
    assert dict(loaded) == dict(table) and (loaded.cursor, loaded.outcomes) == ("e:7", "18")
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["table.json"]


def test_a_missing_file_is_no_table(tmp_path) -> None:
    assert FileStore(tmp_path / "none").load("app") is None and FileTickets(tmp_path / "none").load() is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "not json", '{"appid": "app"}', '{"appid": "app", "cursor": 7, "table": {}}',
     '{"appid": "app", "cursor": "e:1", "table": {"p1": 3}}', '{"appid": "app", "cursor": "e:1", "table": {"p1": ["online", "x"]}}',
     "\udcff"],
)  # fmt: skip
def test_a_file_with_something_else_is_a_clear_error(tmp_path, text) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match=r"table\.json: "):
        FileStore(path).load("app")


def test_the_table_of_another_application_is_refused(tmp_path) -> None:
    FileStore(tmp_path / "t").save("app", Table({}, "e:1"))
    with pytest.raises(StoreError, match="another application"):
        FileStore(tmp_path / "t").load("other")


def test_a_failed_save_keeps_the_old_file_and_leaves_nothing(tmp_path, monkeypatch) -> None:
    path = tmp_path / "table.json"
    FileStore(path).save("app", Table({}, "e:1"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores.os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        FileStore(path).save("app", Table({}, "e:2"))
    assert json.loads(path.read_text())["cursor"] == "e:1" and os.listdir(tmp_path) == ["table.json"]


def test_a_ticket_is_stored_and_removed_and_not_shown(tmp_path) -> None:
    tickets = FileTickets(tmp_path / "ticket")
    tickets.save("ticket:secret")
    assert tickets.load() == "ticket:secret" and "secret" not in repr(tickets)
    assert (tmp_path / "ticket").stat().st_mode & 0o777 == 0o600
    tickets.save(None)
    assert tickets.load() is None


def test_a_table_is_saved_after_its_batch_was_processed_and_not_too_often() -> None:
    store = Recorder()
    saver = TableSaver(store, "app", 1.0, store.clock)
    saver.apply(batch(1))
    saver.save_if_due()
    assert store.saved == [] and saver.seconds_left is None
    saver.processed()
    saver.save_if_due()
    assert [cursor for cursor, _ in store.saved] == ["e:1"]
    saver.apply(batch(2))
    saver.processed()
    store.now += 0.25
    saver.save_if_due()
    assert saver.seconds_left == 0.75 and len(store.saved) == 1
    store.now += 0.75
    saver.save_if_due()
    assert store.saved[-1] == ("e:2", {"p1": Entry("online", 2)})


def test_a_batch_that_is_being_processed_is_not_saved_at_the_end() -> None:
    store = Recorder()
    saver = TableSaver(store, "app", 5.0, store.clock)
    saver.apply(batch(1))
    saver.close()
    assert store.saved == []
    saver.processed()
    saver.close()
    saver.close()
    assert [cursor for cursor, _ in store.saved] == ["e:1"]


def test_changes_that_a_program_has_left_are_there_for_its_next_loop() -> None:
    store = Recorder()
    saver = TableSaver(store, "app", 0.0, store.clock)
    saver.apply(Batch([Update(f"p{number}", "online", "explicit", 1) for number in range(3)], "e:1", "update"))
    assert [next(saver.changes).puid] == ["p0"]
    saver.close()
    assert store.saved == [] and [change.puid for change in saver.changes] == ["p1", "p2"]
    saver.processed()
    saver.processed()
    saver.save_if_due()
    assert len(store.saved) == 1 and saver.seconds_left is None


def test_a_slow_store_is_used_less_often() -> None:
    store = Recorder(takes=2.0)
    saver = TableSaver(store, "app", 1.0, store.clock)
    saver.apply(batch(1))
    saver.processed()
    saver.save_if_due()
    saver.apply(batch(2))
    saver.processed()
    assert saver.seconds_left == 40


def test_a_store_that_fails_is_tried_again_and_reported_at_the_end(caplog) -> None:
    store = Recorder()
    saver = TableSaver(store, "app", 1.0, store.clock)
    store.fails = True
    saver.apply(batch(1))
    saver.processed()
    saver.save_if_due()
    assert "the table is not stored: disk full" in caplog.text and saver.seconds_left == 1
    with pytest.raises(StoreError):
        saver.close()
    store.fails = False
    store.now += 2  # after two failures
    saver.save_if_due()
    assert [cursor for cursor, _ in store.saved] == ["e:1"]


def test_a_store_that_fails_again_and_again_is_tried_ever_more_rarely() -> None:
    store = Recorder()
    saver = TableSaver(store, "app", 0.0, store.clock)
    store.fails, waits = True, []
    saver.apply(batch(1))
    saver.processed()
    for _ in range(8):
        saver.save_if_due()
        waits.append(saver.seconds_left)
        store.now += waits[-1] or 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    store.fails = False
    saver.save_if_due()
    saver.apply(batch(2))
    saver.processed()
    assert saver.seconds_left == 0 and [cursor for cursor, _ in store.saved] == ["e:1"]


def test_the_cursor_of_outcomes_is_saved_once_all_are_processed_and_a_table_exists() -> None:
    store = Recorder()
    saver = TableSaver(store, "app", 0, store.clock)
    saver.apply(OutcomeBatch([Outcome("o_1", "p1", "delivered", 1000)], "18"))
    saver.save_if_due()
    assert [one.id for one in saver.outcomes] == ["o_1"] and store.saved == []
    saver.outcomes.popleft()
    saver.processed()
    saver.save_if_due()
    assert store.saved == [], "there is no snapshot yet: a table without a cursor could not be loaded"
    assert saver.seconds_left is None
    saver.apply(batch(1))
    saver.processed()
    saver.close()
    assert store.saved == [("e:1", {"p1": Entry("online", 1)})] and saver.table.outcomes == "18"


def test_a_file_of_an_earlier_version_has_no_cursor_of_outcomes(tmp_path) -> None:
    path = tmp_path / "table.json"
    path.write_text('{"version": 1, "appid": "app", "cursor": "e:1", "table": {}}')
    loaded = FileStore(path).load("app")
    assert loaded is not None and loaded.outcomes == ""
