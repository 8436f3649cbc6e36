"""The published clients while they read too slowly: each change is seen once by each of them."""

from __future__ import annotations

import re
import socket

import pytest

from bench.load import Load
from bench.seed import seed
from dpresence.tests.waiting import eventually

from ..live.warm import running
from .client_process import FAST, agree, clients, database_of
from .proxy import Proxy

pytestmark = pytest.mark.faults

PAUSE_SECONDS = 10
RATE = 400


def small_buffers(port):
    """Return a socket that is connected to a port and has hardly room to receive."""
    near = socket.socket()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    near.connect(("127.0.0.1", port))
    return near


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
