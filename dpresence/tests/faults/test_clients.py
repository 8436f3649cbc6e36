"""The published clients while their service is killed, restarted, cut off and flooded: nothing lost, nothing doubled, the table right.

All of them meet each fault at the same time: the Python client with and without asyncio, and the JavaScript client in Node.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager

import pytest

from bench.load import Load
from bench.seed import seed
from dpresence.tests.waiting import eventually

from ..live.clients import activate
from ..live.service import Site
from ..live.warm import running
from .client_process import CLIENTS, COMMANDS, World, act, agree
from .cluster import Cluster, replace_each, stores
from .proxy import Proxy

pytestmark = pytest.mark.faults

PEOPLE = 6
STORMERS = 30
NOTICED_SECONDS = {"sync": 32, "asyncio": 32, "Node": 77}
"""Seconds after which a client notices a dead connection according to the READMEs, plus two."""
PAUSE_SECONDS = 10
RATE = 400
FAST = {"presence__status_rate": 1000, "presence__status_burst": 10000, "channels__device_frame_rate": 10000}


@pytest.fixture(scope="module", autouse=True)
def kinds():
    """The clients that run here."""
    if shutil.which("node") is None:
        assert os.environ.get("CI") != "true", "node is not installed"
        return [kind for kind in COMMANDS if kind != "Node"]
    subprocess.run(["node", "scripts/copy-device.mjs"], cwd=CLIENTS / "js", check=True, timeout=60)
    return list(COMMANDS)


@contextmanager
def clients(kinds, folder, origin, port, database, people=PEOPLE):
    """A world of each client, all signed in and right; ``port`` is where they connect to."""
    with ExitStack() as stack:
        worlds = []
        for kind in kinds:
            application = activate(origin, stack.enter_context(Site()), name=kind)
            store = folder / f"{kind}.json"
            worlds.append(stack.enter_context(World(kind, application, f"http://127.0.0.1:{port}", database, store, people)))
        agree(worlds)
        yield worlds


def small_buffers(port):
    """Return a socket that is connected to a port and has hardly room to receive."""
    near = socket.socket()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    near.connect(("127.0.0.1", port))
    return near


def database_of(service):
    return f"sqlite:///{service.ini.with_name('live.db')}"


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


def test_the_clients_continue_after_they_were_too_slow(kinds, tmp_path, figures):
    slow = {"channels__send_buffer_frames": 20, "channels__send_buffer_bytes": 65536, "channels__send_seconds": 2}
    with (
        running(tmp_path, **FAST, **slow) as service,
        Proxy(lambda: small_buffers(service.port), send_bytes=4096) as proxy,
        clients(kinds, tmp_path, service.origin, proxy.port, database_of(service), 0) as worlds,
        Load(checked=True) as load,
    ):
        appids = [world.application.appid for world in worlds]
        people = seed(service.ini.with_name("live.db"), appids, 100)
        assert load.do("devices", port=service.port, people=people)["signed_in"] == len(people)
        load.do("watch", port=service.port, appid=appids[0], key=worlds[0].application.key)  # it is never too slow
        eventually(lambda: all(len(world.do()["table"]) == len(people) for world in worlds))
        before = [sum(world.do()["seen"].values()) for world in worlds]
        for world in worlds:
            world.do("pause", seconds=PAUSE_SECONDS)
        load.do("rate", seconds=PAUSE_SECONDS, per_second=RATE)
        sent = sum(count for what, count in load.do("wait", seconds=1)["watched"].items() if what.endswith(" explicit"))
        for world, appid, count in zip(worlds, appids, before, strict=True):
            assert re.search(rf"application {appid}, code 4102", service.log()), f"{world.kind} was never too slow"
            eventually(lambda world=world, count=count: sum(world.do()["seen"].values()) >= count + sent)
            assert sum(world.do()["seen"].values()) == count + sent
        agree(worlds)
        figures.tell("clients, slow reader", "updates, each seen once by each client", sent)
