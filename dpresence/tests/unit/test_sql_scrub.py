"""Deletions remove what they delete from SQLite's write-ahead log as well, and delay nobody by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import gevent
import pytest

from dpresence.backends.mailbox import Mailbox
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql import sqlite
from dpresence.backends.sql.engine import Database
from dpresence.tests.contract.mailbox import push
from dpresence.tests.shared_tables import make_tables

COPY_SECONDS = 0.02


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """When copies of the log that deletions wait for began and ended; each takes ``COPY_SECONDS``."""
    real, found = sqlite.checkpoint, list[tuple[float, float]]()

    def checkpoint(engine: object, mode: str) -> bool:
        began = time.monotonic()
        time.sleep(COPY_SECONDS)
        done = real(engine, mode)  # type: ignore[arg-type]
        if mode == "TRUNCATE":
            found.append((began, time.monotonic()))
        return done

    monkeypatch.setattr(sqlite, "checkpoint", checkpoint)
    return found


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    database = Database(f"sqlite:///{tmp_path}/presence.db")
    make_tables(database)
    mailbox = SqlMailbox(database)
    yield mailbox
    mailbox.close()


def test_many_deletions_at_once_share_a_copy_of_the_log(mailbox: Mailbox, copies: list[tuple[float, float]]) -> None:
    names = [f"n{number}" for number in range(40)]
    push(mailbox, *names)
    calls = [gevent.spawn(mailbox.cancel, "jane", "puid-of-app-1", name) for name in names]
    gevent.joinall(calls, raise_error=True)
    assert all(call.value for call in calls) and 1 <= len(copies) <= 6


def test_deletions_one_after_the_other_leave_most_of_the_time_to_others(mailbox: Mailbox, copies: list[tuple[float, float]]) -> None:
    names = [f"n{number}" for number in range(5)]
    push(mailbox, *names)
    for name in names:
        assert mailbox.cancel("jane", "puid-of-app-1", name)
    pauses = [began - ended for (_, ended), (began, _) in pairwise(copies)]
    assert len(copies) == 5 and min(pauses) >= 0.9 * sqlite.SCRUB_PAUSE * COPY_SECONDS


def test_a_deletion_of_what_is_not_there_copies_nothing(mailbox: Mailbox, copies: list[tuple[float, float]]) -> None:
    assert not mailbox.cancel("jane", "puid-of-app-1", "unknown")
    assert not mailbox.remove_entry("jane", "unknown")
    assert not mailbox.clear_inbox("jane")
    mailbox.sweep()
    assert copies == []
