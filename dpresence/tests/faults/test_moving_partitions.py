"""A partition moves between real servers while two processes serve, and its mover is killed."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from dpresence.settings.allowed import redis_name

from ..contract.redis import RedisServer
from ..contract.redis import running as running_redis
from ..live.clients import activate
from ..live.service import Site
from .beside import Meanwhile
from .cluster import Cluster, Stores
from .crowd import crowd
from .partition_operator import Operator

pytestmark = pytest.mark.faults

PARTITIONS, DEVICES, RATE = 4, 200, 100
LOCK_SECONDS = 16


@pytest.fixture
def servers():
    """Three servers; the service's ini does not name the last one."""
    with ExitStack() as started:
        yield [started.enter_context(running_redis(fsync="always")) for _ in range(3)]


class Mover(Operator):
    """Moves a partition."""

    def moved(self, partition: int, server: RedisServer) -> None:
        """Move, and check that it succeeds."""
        name = redis_name(server.url)
        self.succeeds("move", str(partition), "--to", name, beginning=f"partition {partition} is at {name}")

    def killed(self, partition: int, server: RedisServer, at: int) -> None:
        """Move, and be killed before a step."""
        self.is_killed("move", str(partition), "--to", redis_name(server.url), at=at)


@pytest.fixture
def service(postgresql, servers):
    """Two processes, of which two partitions are at each of two servers, and everybody online."""
    settings = {"redis.urls": " ".join(server.url for server in servers[:2]), "redis.partitions": PARTITIONS}
    with Site() as site, Cluster(Stores(servers[0], postgresql), settings) as cluster:
        one, two = cluster.start(), cluster.start()
        application = activate(one.origin, site)
        with crowd(cluster.seed(application.appid, DEVICES)) as all_:
            all_.bring(one.port, two.port)
            for process in (one, two):
                all_.audit(process.port, application.appid, application.key)
            yield all_, Mover(one.ini)


def update_during(all_, work) -> None:
    """Have devices change their status until something is done, and a little longer."""
    with Meanwhile(work) as thread:
        while thread.is_alive():
            all_.rate(1, RATE)
    all_.rate(2, RATE)


def assert_nobody_noticed(all_) -> None:
    """Check that every update arrived, and that nobody was shown as offline."""
    assert all_.all_in(60), all_.report()
    all_.say_again()
    assert all_.agree(30) < 30
    for auditor in all_.auditors:
        assert (auditor.holes, auditor.offlines(), auditor.counts["snapshots"]) == (0, 0, 1), auditor.counts
    assert set(all_.fleet.refused) <= {201}, all_.fleet.refused


def test_nobody_notices_that_a_partition_moves_there_and_back(service, servers, figures):
    all_, operator = service

    def move() -> None:
        time.sleep(1)
        operator.moved(1, servers[2])
        operator.moved(3, servers[2])  # no partition is at the second server any more
        servers[1].kill()
        time.sleep(2)
        servers[1].start()
        operator.moved(1, servers[1])
        operator.moved(2, servers[1])

    update_during(all_, move)
    figures.tell("a partition moves", "updates refused meanwhile", sum(all_.fleet.refused.values()))
    assert_nobody_noticed(all_)


@pytest.mark.parametrize("at", [5, 9, 11], ids=["copying", "switched", "opened"])
def test_nobody_notices_a_mover_that_is_killed_and_a_second_call(service, servers, at):
    all_, operator = service

    def move() -> None:
        operator.killed(1, servers[2], at)
        time.sleep(LOCK_SECONDS)
        operator.moved(1, servers[2])

    update_during(all_, move)
    assert_nobody_noticed(all_)
