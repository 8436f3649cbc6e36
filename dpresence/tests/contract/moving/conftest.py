"""Two processes whose tracker has its partitions at two servers, and a third server."""

from __future__ import annotations

import pytest

from dpresence.backends import load_directory
from dpresence.backends.moving import Mover
from dpresence.backends.partitions import open_named
from dpresence.backends.tracker.partition_keys import PartitionKeys
from dpresence.settings import RedisSettings, Settings, StorageSettings
from dpresence.settings.allowed import redis_name
from dpresence.tests.support import FakeClock

from ..partitioned import processes, users_of
from ..redis import running
from .steps import PARTITIONS

__all__ = ["processes"]


@pytest.fixture(scope="module")
def others(cooperative_redis):
    """Two more servers; the settings do not name the last one."""
    with running() as second, running() as third:
        yield second, third


@pytest.fixture
def servers(redis_server, others):
    for server in others:
        if server.process is None:
            server.start()
        server.client.flushall()
    return redis_server, *others


@pytest.fixture
def settings(tmp_path, servers):
    redis = RedisSettings(servers[0].url, urls=(servers[0].url, servers[1].url), partitions=PARTITIONS, timeout_seconds=1)
    return Settings(storage=StorageSettings(f"sqlite:///{tmp_path}/presence.db", tracker="redis", mailbox="sql"), redis=redis)


@pytest.fixture
def names(servers):
    return [redis_name(server.url) for server in servers]


@pytest.fixture
def directory(settings, processes):
    directory = load_directory(settings, FakeClock())
    yield directory
    directory.close()


@pytest.fixture
def mover_of(settings, directory):
    def make(kind: type[PartitionKeys] = PartitionKeys) -> Mover:
        return Mover(directory, lambda server, partition, mover: kind(open_named(settings.redis, server), partition, mover))

    return make


@pytest.fixture
def users():
    """One user of each partition."""
    return [some[0] for some in users_of(1, PARTITIONS)]
