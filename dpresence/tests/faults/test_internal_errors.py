"""An error of ours anywhere on a channel's path ends that connection, whole: no socket, no place in the gate, no event is left.

Each method of the path raises once, whichever connection calls it, while clients do all that makes it run.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress

import pytest

from dpresence.tests.live.support import Client, EchoServer, frame
from dpresence.tests.waiting import eventually

from .methods import KINDS, names

LIMITS = {"close_seconds": 0.2, "send_seconds": 0.3, "handshake_seconds": 5, "idle_seconds": 0.5, "unsigned_per_address": 1000}
OVERRIDES = {"channels": LIMITS, "presence": {"ping_seconds": 0.2, "pong_seconds": 0.2}, "interval": 0.02}
GONE = (OSError, EOFError, AssertionError)
"""Exceptions of a client whose connection has ended."""
UNUSUAL = {"Content-Length": "0"}
"""Headers of a handshake that the ordinary handler of requests answers."""
AFTER = {
    "connection_scheduler.ConnectionScheduler._end_failed": "connection.Connection._handle_data",
    "wire.Wire.fail": "connection.Connection._handle_data",
    "ticker.Ticker._end": "connection.Connection.tick",
}
"""Methods that are called only after another one has raised."""


@pytest.fixture(scope="module")
def faulty():
    command = [sys.executable, "-m", "dpresence.tests.faults.faulty_server", json.dumps(OVERRIDES)]
    with EchoServer(command=command) as server:
        yield server


def visit(server):
    """Do what makes every method run: all kinds of frames, and of ends. The service ends the silent ones while the last one drains."""
    clients = []
    for act in (busy, rude, slow, closing, silent, cut, aborting, early, raising, unreadable, unusual, draining):
        with suppress(*GONE):
            client = Client(server.port, upgrade=False, receive_buffer=4096 if act in (slow, draining) else 0)
            clients.append(client)
            client.request("/echo", UNUSUAL if act is unusual else {}, behind=frame(1, b"early") if act is early else b"")
            act(client)
    return clients


def busy(client):
    client.text("signin")
    client.answer()  # from here on, the server watches the socket
    client.text("slowly 0.05")
    time.sleep(0.02)  # what follows arrives during the deferred work
    client.send(frame(1, b"a" * 200, final=False) + frame(0, b"b") + frame(2, b"a", final=False) + frame(0, b"b") + frame(9) + frame(10))
    client.send(frame(1, b"long" * 4000) + frame(2, b"x") * 12)
    client.text("marked")
    client.send(frame(1, b"suspend 0.01") + frame(1, b"text"))
    client.text("suspend 0.01")
    client.text("close 4001")


def rude(client):
    client.send(b"\xff" * 10)


def slow(client):
    client.text("pour 100 16000")


def closing(client):
    client.send(frame(8, b"\x0f\xa1"))


def silent(client):
    del client


def cut(client):
    client.send(frame(1, b"x" * 100)[:20])


def aborting(client):
    client.text("abort")


def draining(client):
    client.text("drain 40 16000")
    client.text("marked")
    time.sleep(0.1)
    with suppress(TimeoutError):
        client.sock.settimeout(0.2)
        while client.receive()[0] != 8:
            pass
        client.send(frame(8, b"\x0f\xa1"))


def raising(client):
    client.text("raise")


def unreadable(client):
    client.text("quick")
    time.sleep(0.02)  # it comes alone
    client.send(frame(1, b"\xff"))


def early(client):
    client.text("id")


def unusual(client):
    client.text("id")


def is_called(server, clients):
    """Return whether every method that raises was called; visit again if not, since on a busy machine frames may arrive apart."""
    until = time.monotonic() + 5
    while json.loads(server.get("/armed")):
        if time.monotonic() > until:
            clients += visit(server)
            return False
        time.sleep(0.02)
    return True


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", names())
def test_a_method_that_raises_leaves_nothing_behind(faulty, name, kind):
    check(faulty, name, kind)


@pytest.mark.parametrize(("name", "kind"), [
    ("connection.Connection._handle_data", "MemoryError"),
    ("send_buffer.SendBuffer._flush", "Timeout"),
    ("workers.Workers.run", "GreenletExit"),
])  # fmt: skip
def test_an_error_in_a_read_a_write_or_between_leaves_nothing_behind(faulty, name, kind):
    check(faulty, name, kind)


def check(faulty, name, kind):
    before = faulty.wait_for(lambda stats: stats["connections"] == 0 and stats["plain"] == 1)
    with suppress(OSError):
        faulty.get("&".join((f"/arm?{kind}", name, *filter(None, [AFTER.get(name)]))))
    clients = visit(faulty)
    eventually(lambda: is_called(faulty, clients))
    assert all(client.hung_up() for client in clients)
    for client in clients:
        client.sock.close()
    after = faulty.wait_for(lambda stats: stats["connections"] == 0 and stats["plain"] == 1 and stats["opened"] == stats["left"])
    assert after["files"] <= before["files"]
    assert after["unsigned"] == 0
    assert "ended twice" not in faulty.log
    assert "was destroyed while" not in faulty.log
    with faulty.connect() as client:
        client.text("still there")
        assert client.answer() == "still there"
