"""Partitions at several servers, of which one accepts connections and commands, and does not answer until its timeout, a minute here."""

from __future__ import annotations

import time
from contextlib import ExitStack

import gevent
import pytest

from dpresence.backends.tracker import partition_reader
from dpresence.tests.waiting import eventually

from .partition_servers import AWAY, PARTITIONS, bring, here, processes, puid, servers, set_status, three, users
from .partitioned import Reader
from .tracker_values import SignalListener, seen

__all__ = ["here", "processes", "servers", "three", "users"]


@pytest.fixture
def reader(processes, users):
    bring(processes[0], users)
    reader = Reader(processes[1])
    assert reader.read() == 0
    return reader


def test_the_feed_of_the_others_goes_on(servers, processes, here, reader):
    began = time.monotonic()
    with servers[AWAY].stopped():
        processes[1]._reader.record_gap(AWAY)
        for status in ("unavailable", "online", "unavailable"):
            for user in here:
                set_status(processes[0], user, status)
            eventually(lambda status=status: reader.read() == 0 and {reader.statuses[puid(user)] for user in here} == {status})
    assert time.monotonic() - began < 30
    assert len(reader.entries) == 3 * len(here)


def test_its_part_follows_with_a_signal_when_it_answers(servers, processes, users, reader):
    set_status(processes[0], users[AWAY], "unavailable")
    with servers[AWAY].stopped():
        processes[1]._reader.record_gap(AWAY)
        assert reader.read() == 0
        listener = SignalListener(processes[1])
    eventually(lambda: ("feed", "chess") in listener._signals)
    eventually(lambda: reader.read() == 0 and reader.statuses == seen(processes[1]))
    assert [entry.status for entry in reader.entries] == ["unavailable"]


def test_what_follows_a_late_reading_that_found_nothing_arrives_with_its_signal(processes, users, reader, monkeypatch):
    part, listener = processes[1]._parts[AWAY], SignalListener(processes[1])
    with monkeypatch.context() as patch:
        patch.setattr(part, "read", lambda *of, read=part.read: gevent.sleep(1.2 * partition_reader.PATIENCE_SECONDS) or read(*of))
        processes[1]._reader.record_gap(AWAY)
        assert reader.read() == 0
        eventually(lambda: listener._signals)
    read_at_signals(reader, listener)
    set_status(processes[0], users[AWAY], "unavailable")
    eventually(lambda: read_at_signals(reader, listener) or reader.statuses[puid(users[AWAY])] == "unavailable")


def read_at_signals(reader, listener):
    """Read once for the signals that have come, as the fan-out of an application does."""
    if listener._signals:
        listener._signals.clear()
        reader.read()


@pytest.mark.slow
def test_one_that_is_always_slow_is_read_all_the_same(processes, users, reader, monkeypatch):
    part = processes[1]._parts[AWAY]

    def read_slowly(*of, read=part.read):
        gevent.sleep(2 * partition_reader.PATIENCE_SECONDS)
        return read(*of)

    monkeypatch.setattr(part, "read", read_slowly)
    for status in ("unavailable", "online", "unavailable"):
        for user in users:
            set_status(processes[0], user, status)
        eventually(lambda status=status: reader.read() == 0 and set(reader.statuses.values()) == {status})
    assert len(reader.entries) == 3 * len(users)


@pytest.mark.slow
def test_the_others_go_on_also_if_they_are_slow_for_a_while(servers, processes, here, reader, monkeypatch):
    parts = [part for number, part in enumerate(processes[1]._parts) if number % 3 != AWAY]
    for user in here:
        set_status(processes[0], user, "unavailable")
    began = time.monotonic()
    with servers[AWAY].stopped():
        for part in parts:
            monkeypatch.setattr(part, "read", lambda *of, read=part.read: gevent.sleep(2 * partition_reader.PATIENCE_SECONDS) or read(*of))
        for number in range(PARTITIONS):
            processes[1]._reader.record_gap(number)
        eventually(lambda: reader.read() == 0 and {reader.statuses[puid(user)] for user in here} == {"unavailable"})
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_while_all_stand_still_readers_wait(servers, processes, here, reader):
    set_status(processes[0], here[0], "unavailable")
    for number in range(PARTITIONS):
        processes[1]._reader.record_gap(number)
    with ExitStack() as stopped:
        for server in servers:
            stopped.enter_context(server.stopped())
        reading = gevent.spawn(reader.read)
        gevent.sleep(2 * partition_reader.PATIENCE_SECONDS)
        assert not reading.ready()
    assert reading.get(60) == 1
