"""The published clients while their service is killed, restarted and cut off: nothing lost, nothing doubled, the table right.

All of them meet each fault at the same time: the Python client with and without asyncio, and the JavaScript client in Node.
"""

from __future__ import annotations

import random
import socket
import time

import pytest

from dpresence.tests.waiting import eventually

from ..live.warm import running
from .client_process import FAST, PEOPLE, act, agree, clients, database_of
from .cluster import Cluster, replace_each, stores
from .proxy import Proxy

pytestmark = pytest.mark.faults

STORMERS = 30
NOTICED_SECONDS = {"sync": 32, "asyncio": 32, "Node": 77}
"""Seconds after which a client notices a dead connection according to the READMEs, plus two."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("clients"), presence__grace_seconds=2, presence__sweep_seconds=1, **FAST) as service:
        yield service


@pytest.fixture(scope="module")
def proxy(service):
    with Proxy(lambda: socket.create_connection(("127.0.0.1", service.port), 5)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def worlds(kinds, service, proxy, tmp_path_factory):
    with clients(kinds, tmp_path_factory.mktemp("stores"), service.origin, proxy.port, database_of(service)) as worlds:
        act(worlds)
        agree(worlds)
        yield worlds


def test_the_clients_lose_nothing_when_the_service_is_killed(service, worlds, figures):
    act(worlds)
    service.crash()  # while they act
    act(worlds)
    start = time.monotonic()
    agree(worlds)
    figures.time("clients, kill -9", "all are right after the start", time.monotonic() - start, 20)
    for world in worlds:
        report = world.do()
        figures.tell("clients, kill -9", f"{world.kind}: accepted, uncertain", f"{report['accepted']}, {report['uncertain']}")
        assert report["accepted"] >= PEOPLE


def test_the_clients_notice_a_network_that_swallows_everything(proxy, worlds, figures):
    proxy.cut()
    start = time.monotonic()
    act(worlds)
    for world in worlds:  # those that notice first come first
        eventually(lambda world=world: world.do()["connected"] == 0, 2 * NOTICED_SECONDS[world.kind])
        figures.time("clients, black hole", f"{world.kind}: noticed after", time.monotonic() - start, NOTICED_SECONDS[world.kind])
    proxy.heal()
    act(worlds)
    agree(worlds)


def test_the_clients_come_back_after_a_storm_and_nobody_looks_offline(kinds, tmp_path, figures):
    with (
        running(tmp_path, channels__unsigned_per_address=1000) as service,
        clients(kinds, tmp_path, service.origin, service.port, database_of(service), STORMERS) as worlds,
    ):
        before = [world.do()["seen"] for world in worlds]
        service.change_settings({"channels.accept_rate": 20, "channels.accept_burst": 12})  # most are turned away at first
        service.crash()
        start = time.monotonic()
        agree(worlds)
        figures.time("clients, storm", f"{STORMERS * len(worlds)} devices are back after", time.monotonic() - start, 40)
        for world, seen in zip(worlds, before, strict=True):
            assert offlines(world.do()["seen"]) == offlines(seen), world.kind


def offlines(seen):
    return sum(count for what, count in seen.items() if what.startswith("offline"))


def test_the_clients_survive_a_rolling_restart_and_nobody_looks_offline(kinds, tmp_path, figures):
    with stores(fsync="always") as servers, Cluster(servers, {"presence.grace_seconds": 10}) as cluster:
        processes = [cluster.start() for _ in range(2)]
        ports = [process.port for process in processes]
        with (
            Proxy(lambda: socket.create_connection(("127.0.0.1", random.choice(ports)), 5)) as proxy,
            clients(kinds, tmp_path, processes[0].origin, proxy.port, cluster.url) as worlds,
        ):
            before = [world.do()["seen"] for world in worlds]
            replace_each(processes, ports)
            agree(worlds)
            for world, seen in zip(worlds, before, strict=True):
                after = world.do()["seen"]
                assert offlines(after) == offlines(seen), world.kind
                figures.tell("clients, rolling restart", f"{world.kind}: changes by kind", after)
            act(worlds)
            agree(worlds)
