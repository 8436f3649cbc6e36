"""A tracker in Redis knows how new the directory is and who has signed out, and starts again after a reset."""

from __future__ import annotations

import pytest

from dpresence.model import DirectoryVersion, GrantSet
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


def test_a_sign_out_is_known_for_as_long_as_a_channel_lasts_that_signed_in_before(one, two, redis_server):
    """Also where feeds have a shorter log: a process may be cut off for longer."""
    connect(one)
    one.remove_all("jane", GrantSet(7, (JANE,)), 7)
    one.remove("jane", "phone", GrantSet(8, (JANE,)), 8)
    assert two.signed_out("jane", "phone", "c1", 6)
    marks = redis_server.client.keys("dpresence:t:out:jane*")
    assert len(marks) == 2 and all(redis_server.client.ttl(mark) > 11 * 3600 for mark in marks)
