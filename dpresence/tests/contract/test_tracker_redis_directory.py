"""A tracker in Redis knows how new the directory is, and starts again after a reset."""

from __future__ import annotations

import pytest

from dpresence.model import DirectoryVersion
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from .tracker_values import JANE, SignalListener, connect, seen


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def one(redis_server, trackers, clock):
    return trackers(redis_server.server(), clock=clock)


@pytest.fixture
def two(redis_server, trackers, clock):
    return trackers(redis_server.server(), clock=clock)


def test_a_directory_that_is_older_or_another_one_is_distinguished_from_the_one_that_was_seen(one, two):
    assert one.record_version(DirectoryVersion("a", 5)) and two.record_version(DirectoryVersion("a", 7))
    assert not one.record_version(DirectoryVersion("a", 6))
    assert not one.record_version(DirectoryVersion("b", 8))
    assert one.record_version(DirectoryVersion("a", 7)), "what is refused is not noted"


def test_a_new_beginning_forgets_feeds_devices_and_the_directory_at_every_process(one, two, clock):
    listeners = SignalListener(one), SignalListener(two)
    one.record_version(DirectoryVersion("a", 5))
    connect(one)
    one.append_revocation(JANE)
    cursors = one.cursor(2), two.cursor(2)
    clock.advance(100)
    one.reset()
    assert [one.offset("chess", cursors[0]), two.offset("chess", cursors[1])] == [None, None]
    assert one.read("chess", 2, 10) is None
    assert one.remembers_since == two.remembers_since == clock.now()
    eventually(lambda: all(("forgotten", "") in listener._signals for listener in listeners))
    assert one.record_version(DirectoryVersion("b", 1))
    connect(two)
    assert seen(one) == {JANE.puid: "online"}, "the PUID is not dead any more"
