"""A primary of a real Redis Cluster is killed under load, and its replica is promoted."""

from __future__ import annotations

import time

import pytest

from ..contract.redis import running as running_redis
from ..contract.redis_cluster import running_cluster
from ..live.clients import activate
from ..live.service import Site
from .beside import Meanwhile
from .cluster import GONE_SECONDS, GRACE, Cluster, Stores
from .crowd import crowd

pytestmark = pytest.mark.faults

PARTITIONS, DEVICES, RATE = 8, 200, 100


@pytest.fixture
def nodes():
    with running_cluster(replicated=True, timeout_ms=3000) as cluster:
        yield cluster


@pytest.fixture
def stores(postgresql):
    with running_redis(fsync="always") as mailbox:
        yield Stores(mailbox, postgresql)


def test_nobody_is_shown_wrongly_and_no_feed_has_a_hole_when_a_primary_dies(stores, nodes, figures):
    name = "a primary of a Redis Cluster dies"
    settings = {"redis.urls": " ".join(node.url for node in nodes.nodes), "redis.cluster": "true", "redis.partitions": PARTITIONS}
    with Site() as site, Cluster(stores, settings) as cluster:
        one, two = cluster.start(), cluster.start()
        application = activate(one.origin, site)
        with crowd(cluster.seed(application.appid, DEVICES)) as all_:
            all_.bring(one.port, two.port)
            for process in (one, two):
                all_.audit(process.port, application.appid, application.key)

            def fail_over() -> None:
                time.sleep(2)
                nodes.primaries[1].kill()
                time.sleep(10)
                nodes.primaries[1].start()

            with Meanwhile(fail_over):
                all_.rate(18, RATE)
            assert all_.all_in(60), all_.report()
            assert set(all_.fleet.refused) <= {201}, all_.fleet.refused
            all_.say_again()
            figures.time(name, "applications are right about everybody after", all_.agree(GONE_SECONDS * 2), GONE_SECONDS)
            all_.loop.run(lambda: False, GRACE + 2)
            figures.count(name, "devices an application is wrong about", sum(len(all_.wrong(each)) for each in all_.auditors), 0)
            figures.count(name, "holes", sum(each.holes for each in all_.auditors), 0)
            figures.tell(name, "updates refused meanwhile", sum(all_.fleet.refused.values()))
