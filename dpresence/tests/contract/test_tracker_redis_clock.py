"""A Redis whose clock is set while the service runs: leases last as long as they should, and nobody alive is swept."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import gevent
import pytest

from dpresence.model import GrantSet
from dpresence.tests.faketime import needed
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from .leases import QUICK, lease_clock, leased, lose
from .redis import RedisOfItsOwnTime, running
from .tracker_rates import append_postponed
from .tracker_values import SignalListener, changes, connect, grant, update

HOUR = 3600
META = "dpresence:t:meta"


@pytest.fixture(scope="module")
def server(cooperative_redis):
    """A Redis whose clock can be set. Without libfaketime these tests are skipped, but not in CI."""
    needed()
    with running(RedisOfItsOwnTime) as redis:
        yield redis


@pytest.fixture
def redis(server):
    server.set(0)
    server.client.flushall()
    return server


@pytest.fixture
def one(redis, trackers):
    return trackers(redis.server(), QUICK, FakeClock())


@pytest.fixture
def two(redis, trackers):
    return trackers(redis.server(), QUICK, FakeClock())


def sweep_all(tracker):
    for user in tracker.due():
        tracker.expire(user, GrantSet(0, (grant(user),)))


def is_swept(tracker):
    sweep_all(tracker)
    return tracker.status("jane") == "offline"


@pytest.mark.parametrize("jump", [-HOUR, -1, HOUR])
def test_a_dead_process_is_swept_in_time_although_the_clock_was_set(redis, one, two, jump):
    connect(one)
    two.due()
    lose(one)
    redis.set(jump)
    assert 0.1 < leased(redis, lambda: is_swept(two)) < 1
    assert changes(two) == [("online", "explicit"), ("offline", "lost")]


def test_a_dead_process_is_swept_in_time_although_the_clock_was_set_back_again_and_again(redis, one, two):
    connect(one)
    lose(one)
    for number in range(1, 4):
        redis.set(-number * HOUR)
        two.due()
    assert leased(redis, lambda: is_swept(two)) < 1


@pytest.mark.slow
def test_nobody_alive_is_swept_whatever_the_clock_is_set_to(redis, one, two):
    listener = SignalListener(one)
    connect(one)
    until, jumps = time.monotonic() + 1.2, [HOUR, -HOUR, 0, 24 * HOUR, 0, HOUR]
    while time.monotonic() < until:
        if jumps:
            redis.set(jumps.pop())
        sweep_all(two)
        gevent.sleep(0.05)
        one.renew()
    assert changes(two) == [("online", "explicit")]
    assert ("forgotten", "") not in listener.received()


def was_sent(tracker, status):
    append_postponed(tracker)
    return changes(tracker)[-1] == (status, "explicit")


@pytest.mark.slow
@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_applications_are_updated_at_the_rate_again_after_the_clock_was_set(redis, one, jump):
    connect(one)
    redis.set(jump)
    for status in ("unavailable", "online"):
        update(one, status)
        eventually(partial(was_sent, one, status))


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_time_that_jumped_is_no_time_by_the_lease_clock(redis_server, trackers, jump):
    """The same without libfaketime: the time of the last look is moved instead of the clock."""
    tracker = trackers(redis_server.server(), replace(QUICK, lease_seconds=120), FakeClock())
    before = lease_clock(redis_server)
    redis_server.client.hincrby(META, "time", -jump * 1000)
    tracker.renew()
    assert lease_clock(redis_server) == before
    gevent.sleep(0.1)
    tracker.renew()
    assert before + 0.1 <= lease_clock(redis_server) < before + 60


def test_values_of_a_dead_process_end_with_its_lease_although_the_clock_was_set_back(redis, one, two):
    one.publish("of one", {})
    lose(one)
    redis.set(-HOUR)
    eventually(lambda: two.due() or not two.published().reports)
    assert redis.client.keys("*figures*") == []
