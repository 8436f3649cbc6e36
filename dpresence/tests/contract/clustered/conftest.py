"""Two processes whose tracker is in a Redis Cluster of three primaries with replicas."""

from __future__ import annotations

import pytest

from dpresence.settings import RedisSettings, Settings, StorageSettings

from ..partitioned import processes, users_of
from ..redis_cluster import running_cluster
from ..tracker_values import connect, grant
from .steps import PARTITIONS

__all__ = ["processes"]


@pytest.fixture
def cluster(cooperative_redis, request):
    """A cluster of the test's own. A parameter is the time without an answer after which a node is down (ms)."""
    with running_cluster(replicated=True, timeout_ms=getattr(request, "param", 60_000)) as started:
        yield started


@pytest.fixture
def settings(tmp_path, cluster):
    urls = tuple(node.url for node in cluster.nodes)
    redis = RedisSettings(urls=urls, partitions=PARTITIONS, timeout_seconds=1, cluster=True)
    return Settings(storage=StorageSettings(f"sqlite:///{tmp_path}/presence.db", tracker="redis", mailbox="sql"), redis=redis)


@pytest.fixture
def users(processes):
    """One user of each partition, who is online at the first process."""
    users = [some[0] for some in users_of(1, PARTITIONS)]
    for user in users:
        connect(processes[0], user=user, grants=(grant(user),))
    return users
