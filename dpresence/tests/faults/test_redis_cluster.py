"""A primary of a real Redis Cluster is killed or stands still under load, and its replica is promoted; T22 over a cluster."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import ExitStack

import pytest

from ..contract.redis import running as running_redis
from ..contract.redis_cluster import ClusterNode, running_cluster
from ..live.clients import activate
from ..live.service import Site
from .beside import Meanwhile
from .cluster import GONE_SECONDS, GRACE, Cluster, Stores
from .crowd import crowd
from .cut_off import CUT_SECONDS, CutOff, cut_off
from .partitioned_people import compare_pauses, compare_refused, follow_others, people_in
from .proxy import Proxy

pytestmark = pytest.mark.faults

PARTITIONS, DEVICES, RATE = 8, 200, 100
AWAY_SECONDS = 10.0
TIMEOUT_SECONDS = 4
"""Longer than a pause in the updates of the others may be: nobody waits for a node that stands still."""


@pytest.fixture
def nodes():
    with running_cluster(replicated=True, timeout_ms=3000) as cluster:
        yield cluster


@pytest.fixture
def stores(postgresql):
    with running_redis(fsync="always") as mailbox:
        yield Stores(mailbox, postgresql)


class NodeProxy(Proxy):
    """A proxy of a node, at the same port of another address of loopback, through which all nodes announce that address."""

    HOST = "127.0.0.2"

    def __init__(self, node: ClusterNode) -> None:
        super().__init__(lambda: socket.create_connection(("127.0.0.1", node.port)), address=(self.HOST, node.port))
        self.url = f"redis://{self.HOST}:{node.port}/0"

    def answer(self, data: bytes) -> bytes:
        return data.replace(b"127.0.0.1", self.HOST.encode())


@pytest.mark.parametrize("fault", ["dies", "stands still"])
def test_users_of_other_primaries_notice_nothing_of_one_that_is_lost(stores, nodes, figures, fault):
    name = f"a primary of a Redis Cluster {fault}"
    settings = {"redis.urls": " ".join(node.url for node in nodes.nodes), "redis.cluster": "true", "redis.partitions": PARTITIONS}
    settings["redis.timeout_seconds"] = TIMEOUT_SECONDS
    with Site() as site, Cluster(stores, settings) as cluster:
        one, two = cluster.start(), cluster.start()
        application = activate(one.origin, site)
        with crowd(cluster.seed(application.appid, DEVICES)) as all_:
            lost = nodes.nodes_of(PARTITIONS)[0]  # it also has what belongs to no user
            away = people_in(cluster.url, PARTITIONS, [number for number, node in enumerate(nodes.nodes_of(PARTITIONS)) if node is lost])
            all_.bring(one.port, two.port)
            for process in (one, two):
                all_.audit(process.port, application.appid, application.key)

            def fail_over() -> None:
                time.sleep(2)
                lost.signal(signal.SIGSTOP) if fault == "stands still" else lost.kill()
                time.sleep(AWAY_SECONDS)
                lost.signal(signal.SIGCONT) if fault == "stands still" else lost.start()

            follow_others(all_, away, 4)
            with Meanwhile(fail_over):
                all_.rate(2 + AWAY_SECONDS + 6, RATE)
            assert all_.all_in(60), all_.report()
            compare_refused(all_, away, figures, name)
            compare_pauses(all_, figures, name)
            all_.say_again()
            figures.time(name, "applications are right about everybody after", all_.agree(GONE_SECONDS * 2), GONE_SECONDS)
            all_.loop.run(lambda: False, GRACE + 2)
            figures.count(name, "devices an application is wrong about", sum(len(all_.wrong(each)) for each in all_.auditors), 0)
            figures.count(name, "holes", sum(each.holes for each in all_.auditors), 0)
            figures.tell(name, "updates refused meanwhile", sum(all_.fleet.refused.values()))


@pytest.mark.parametrize("seconds", CUT_SECONDS)
def test_t22_a_process_cut_off_from_a_redis_cluster_recovers_without_a_trace(stores, nodes, figures, seconds):
    settings = {"redis.urls": " ".join(node.url for node in nodes.nodes), "redis.cluster": "true", "redis.partitions": PARTITIONS}
    with Site() as site, Cluster(stores, settings) as cluster, ExitStack() as started:
        proxies = [started.enter_context(NodeProxy(node)) for node in nodes.nodes]
        cut, whole = cluster.start({"redis.urls": " ".join(proxy.url for proxy in proxies)}), cluster.start()
        primaries = {f"{NodeProxy.HOST}:{node.port}/0": "unreachable" for node in nodes.primaries}
        said = {"directory": True, "tracker": False, "mailbox": True, "redis": "unreachable", "redis_servers": primaries}
        cut_off(CutOff(cluster, site, cut, whole, proxies, said), figures, f"T22 over a Redis Cluster, {seconds:g} s", seconds)
