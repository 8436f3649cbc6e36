"""Number of function calls of a connection with a sign-in by ticket in the event loop: unlike time, it is the same on every machine."""

from __future__ import annotations

import _socket
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import gevent
import pytest
from gevent import socket

import dpresence
from dpresence.channels.device import DeviceChannel
from dpresence.channels.first_request import FirstRequest, FirstRequests
from dpresence.tests.live.support import frame
from dpresence.tests.waiting import PATIENCE_SECONDS
from dpresence.tests.web.support import World

ANN, PEER = "ann@example.org", "198.51.100.1"
REQUEST = (
    b"GET /presence HTTP/1.1\r\nHost: presence.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MOST_CALLS = 235
"""Maximum number of calls of this package's functions. About 2,000 instructions are executed for each."""
FOLDER = str(Path(dpresence.__file__).parent)


@pytest.fixture
def world(make_world: Callable[..., World], tmp_path: Path) -> World:
    made = make_world(directory__url=f"sqlite:///{tmp_path}/cost.db")
    channel = partial(DeviceChannel, made.services, made.registry.settings, made.clock)
    made.registry.gate.direct_channels["/presence"] = channel  # only the first service of a test run includes the channels
    return made


@contextmanager
def calls_counted(world: World) -> Iterator[Counter[str]]:
    """Count the calls in the event loop and in the greenlets that it starts."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(FOLDER) and "/tests/" not in frame.f_code.co_filename:
            calls[frame.f_code.co_qualname] += 1

    def in_loop(function: Callable[[], None]) -> None:
        gevent.get_hub().loop.run_callback(function)
        gevent.sleep(0.01)

    world.registry.gate.workers._idle.clear()  # a greenlet is profiled as the one that has started it
    in_loop(lambda: sys.setprofile(count))
    try:
        yield calls
    finally:
        in_loop(lambda: sys.setprofile(None))
        world.registry.gate.workers._idle.clear()


def sign_in(world: World, proof: str) -> tuple[socket.socket, str]:
    """Connect, and sign in as a device does that returns; return the socket and the next ticket."""
    ours, peer = socket.socketpair()
    sock = _socket.socket(fileno=ours.detach())
    sock.setblocking(False)
    assert world.registry.gate.enter(sock, PEER)
    handed_over: list[FirstRequest] = []
    FirstRequests(world.registry.gate, handed_over.append).add(sock, (PEER, 1))
    peer.settimeout(PATIENCE_SECONDS)
    peer.sendall(REQUEST)
    assert peer.recv(1000).startswith(b"HTTP/1.1 101")
    first = {"email": ANN, "assertion": proof, "status": "online", "device": "phone", "ticket": True}
    peer.sendall(frame(1, json.dumps(first).encode()))
    answer = json.loads(peer.recv(1000)[2:])
    assert answer["result"] == "OK" and not handed_over
    return peer, answer["ticket"]


def test_a_sign_in_by_ticket_takes_few_calls(world: World) -> None:
    world.grant(ANN, world.application())
    ticket = world.assertion(ANN)
    for _ in range(3):
        peer, ticket = sign_in(world, ticket)
        peer.close()
        world.settle()
        world.advance(3600)
    with calls_counted(world) as calls:
        peer, _ = sign_in(world, ticket)
    peer.close()
    assert 50 < calls.total() <= MOST_CALLS, calls.most_common()
