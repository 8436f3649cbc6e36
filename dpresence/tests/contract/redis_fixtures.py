"""Fixtures of the tests on Redis."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from dpresence.backends.tracker.redis import RedisTracker
from dpresence.backends.tracker.redis_server import TrackerServer
from dpresence.clock import Clock
from dpresence.settings import PresenceSettings
from dpresence.tests.support import FakeClock

from . import redis
from .redis_cluster import running_cluster
from .tracker_values import SETTINGS


@pytest.fixture(scope="package")
def cooperative_redis():
    """Ends with the package: other tests talk to Redis from threads."""
    with redis.cooperative():
        yield


@pytest.fixture(scope="package")
def redis_process(cooperative_redis):
    with redis.running() as server:
        yield server


@pytest.fixture
def redis_server(redis_process):
    """An empty Redis that is there."""
    redis_process.client.flushall()
    return redis_process


@pytest.fixture(scope="package")
def _redis_processes(redis_process):
    """All servers that partitions are spread over; those after the first start when a test asks for them."""
    with ExitStack() as started:
        yield [redis_process], started


@pytest.fixture
def redis_servers(_redis_processes):
    """Return a function that returns so many empty servers that are there."""
    known, started = _redis_processes

    def servers(count: int) -> list[Any]:
        while len(known) < count:
            known.append(started.enter_context(redis.running()))
        for server in known[:count]:
            server.client.flushall()
        return known[:count]

    return servers


@pytest.fixture(scope="package")
def _redis_cluster(cooperative_redis):
    """A function that returns a cluster of three nodes, which starts when a test asks for it."""
    with ExitStack() as started:
        yield cache(lambda: started.enter_context(running_cluster()))


@pytest.fixture
def redis_nodes(_redis_cluster):
    """Return a function that returns the node of each of so many partitions, in an empty cluster."""

    def nodes(partitions: int) -> Sequence[Any]:
        cluster = _redis_cluster()
        cluster.clear()
        return cluster.nodes_of(partitions)

    return nodes


@pytest.fixture(scope="package")
def breakable_redis(cooperative_redis):
    with redis.running(fsync="always") as server:
        yield server


@pytest.fixture
def lost_redis(breakable_redis):
    """A Redis that is not there, and empty when it is started; the test may do to it what it likes."""
    breakable_redis.forget()
    yield breakable_redis
    breakable_redis.kill()


_LET_FILL = """
local milliseconds, prefix = tonumber(ARGV[1]), ARGV[2]
for _, key in ipairs(redis.call('KEYS', prefix .. 'user:*')) do
  local record = cmsgpack.unpack(redis.call('GET', key))
  if record.full then
    record.full = record.full - milliseconds
    redis.call('SET', key, cmsgpack.pack(record), 'KEEPTTL')
  end
end
for _, user in ipairs(redis.call('ZRANGE', prefix .. 'postponed', 0, -1)) do
  redis.call('ZINCRBY', prefix .. 'postponed', -milliseconds, user)
end
"""


def let_buckets_fill(client: Any, seconds: float, prefix: str = "dpresence:t:") -> None:
    """Let the buckets of status changes be as after so many seconds; they run by the clock of the server."""
    client.eval(_LET_FILL, 0, seconds * 1000, prefix)


def make_redis_tracker(server: Any, settings: PresenceSettings, clock: Clock) -> RedisTracker:
    """Return a tracker with the only partition of a server."""
    return RedisTracker(TrackerServer(server, settings, clock), settings, clock)


@pytest.fixture
def trackers():
    """Make trackers; each stands for a process."""
    made = []

    def make(server: Any, settings: PresenceSettings = SETTINGS, clock: Clock | None = None) -> RedisTracker:
        made.append(make_redis_tracker(server, settings, clock or FakeClock()))
        return made[-1]

    yield make
    for tracker in made:
        tracker.close()
