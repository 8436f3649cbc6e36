"""Splits that are refused, as the wrong Redis or a process that cannot follow would let users look offline."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from dpresence.backends import check_partitions, load
from dpresence.backends.partition_moves import MoveRefused
from dpresence.backends.partitions import open_named
from dpresence.backends.splitting import CANNOT_FOLLOW, NO_PRESENCE, Splitter
from dpresence.backends.tracker import registered
from dpresence.backends.tracker.split_keys import SplitKeys
from dpresence.errors import SettingError
from dpresence.tests.support import FakeClock

from .steps import PARTITIONS, bring, expire_lock, followed, keys, split_until

PROCESSES, META = "dpresence:t:processes", "dpresence:t:meta"


@pytest.fixture
def elsewhere(settings, directory, name):
    """A splitter with another prefix, at which there is nothing."""
    redis = replace(settings.redis, prefix="other:")
    return Splitter(directory, name, lambda server, mover: SplitKeys(open_named(redis, server), mover))


@pytest.fixture
def earlier(redis_server):
    """Register a process of an earlier version, which takes no notice of a fence."""

    def register():
        now, client = int(time.time() * 1000), redis_server.client
        client.hset(META, mapping={"clock": now, "time": now})
        client.hset(PROCESSES, "0123456789abcdef", f"1 {now + 30_000}")

    return register


def test_a_redis_without_presence_of_the_service_is_refused(processes, users, redis_server, directory, elsewhere):
    bring(processes[0], users)
    with pytest.raises(MoveRefused, match=f"^{NO_PRESENCE}$"):
        elsewhere.split(PARTITIONS)
    assert (list(directory.partitions()), directory.partition_move()) == ([""], None)
    assert redis_server.client.keys("other:*") == []
    assert [processes[1].status(user) for user in users] == ["online"] * len(users)


def test_a_redis_with_presence_of_a_service_that_has_moved_away_is_refused(settings, processes, redis_server, directory, elsewhere):
    load(replace(settings, redis=replace(settings.redis, prefix="other:")), FakeClock()).close()
    hour = 3_600_000
    redis_server.client.hincrby("other:t:meta", "time", -hour)
    with pytest.raises(MoveRefused, match=f"^{NO_PRESENCE}$"):
        elsewhere.split(PARTITIONS)
    assert (list(directory.partitions()), directory.partition_move()) == ([""], None)


@pytest.mark.parametrize("at", [0, 5, 12])
def test_an_interrupted_split_is_not_finished_elsewhere(processes, users, redis_server, directory, splitter_of, elsewhere, at):
    bring(processes[0], users)
    assert not split_until(splitter_of, at)
    expire_lock(redis_server)
    before = directory.partition_move()
    for number in (1, PARTITIONS):
        with pytest.raises(MoveRefused, match=f"^{NO_PRESENCE}$"):
            elsewhere.split(number)
    assert directory.partition_move() == before and redis_server.client.keys("other:*") == []


def test_a_tracker_that_an_earlier_version_uses_is_not_split(processes, users, redis_server, directory, splitter_of, earlier):
    bring(processes[0], users)
    earlier()
    with pytest.raises(MoveRefused, match=f"^{CANNOT_FOLLOW}$"):
        splitter_of().split(PARTITIONS)
    assert (list(directory.partitions()), directory.partition_move()) == ([""], None)
    redis_server.client.hset(PROCESSES, "0123456789abcdef", "1 9")  # its lease is over
    splitter_of().split(PARTITIONS)
    followed(*processes)


def test_an_earlier_version_beside_the_partitions_is_reported(settings, processes, splitter_of, earlier, redis_server, name):
    splitter_of().split(PARTITIONS)
    followed(*processes)
    check_partitions(settings, FakeClock())
    earlier()
    with pytest.raises(SettingError, match=f"^{name}: a process of an earlier version serves beside the partitions: stop it$"):
        check_partitions(settings, FakeClock())
    redis_server.client.hincrby(META, "time", -3_600_000)
    check_partitions(settings, FakeClock())


def test_a_process_says_that_it_can_follow(processes, redis_server):
    ids = [process.decode() for process in redis_server.client.hkeys(PROCESSES)]
    assert len(ids) == 2 and all(map(registered.can_follow, ids))
    assert not keys(redis_server)[1][0]
