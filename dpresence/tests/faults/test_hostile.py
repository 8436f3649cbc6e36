"""Hostile and broken sockets: T6 to T9 and T17. They cost nobody else anything, and nothing of them stays."""

from __future__ import annotations

import socket
import time

import pytest
import requests

from bench.seed import seed
from dpresence.tests.waiting import PATIENCE_SECONDS

from ..live.clients import Person, activate
from ..live.service import Site, running
from .attackers import UPGRADE
from .support import MIB, Attack, forget_peak, p99, peak_bytes, settle

pytestmark = pytest.mark.faults

IDLE_SECONDS = 20
SETTINGS = {"channels__accept_rate": 100000, "channels__accept_burst": 100000, "channels__idle_seconds": IDLE_SECONDS}
"""The gate must not turn away what is to be tried behind it; an incomplete frame has less time than in the settings as shipped."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("hostile"), **SETTINGS) as service, Site() as site:
        service.application = activate(service.origin, site)
        Person(service.origin, "warm@example.org").device().close()
        yield service


def test_t6_ten_thousand_connections_of_nonsense_leave_nothing_behind(service, figures):
    Attack("fuzz", port=service.port, count=1000).result()
    fds, memory, cpu = settle(service.fds, 20), service.own_bytes(), service.cpu_seconds()
    attack = Attack("fuzz", port=service.port, count=10_000)
    attack.probe(service.port)
    figures.tell("T6", "ends of 10,000 connections of nonsense", dict(sorted(attack.result().items())))
    figures.tell("T6", "server CPU ms per connection", f"{(service.cpu_seconds() - cpu) / 10_000 * 1000:.2f}")
    figures.time("T6", "longest heartbeat", max(attack.latencies), 0.1)
    figures.count("T6", "file descriptors left over", settle(service.fds, fds) - fds, 0)
    figures.count("T6", "MiB of memory left over", (service.own_bytes() - memory) / MIB, 5)
    service.assert_clean()


@pytest.mark.parametrize("clients", [1, 20])
@pytest.mark.parametrize(("what", "code"), [("ping", 1008), ("pong", 1008), ("tiny", 4013)])  # an empty text is a bad frame as well
def test_t7_a_flood_is_closed_and_nobody_waits(service, figures, what, code, clients):
    attack = Attack("flood", port=service.port, clients=clients, what=what)
    attack.probe(service.port, 0.005)
    seen = attack.result()
    name = f"{what} flood of {clients}"
    figures.count("T7", f"{name}: clients not closed with {code}", clients - seen["codes"].get(str(code), 0), 0)
    figures.time("T7", f"{name}: closed after", seen["seconds"], 1)
    figures.time("T7", f"{name}: heartbeat p99", p99(attack.latencies), 0.25)
    service.assert_clean()


def test_t8_half_requests_and_half_frames_are_gone_in_time(service, figures):
    person, times = Person(service.origin, "normal@example.org"), []
    with person.device(device="phone", ticket=True) as device:
        ticket = device.ticket
    person.device(device="phone", assertion=ticket).close()  # opens the connection that notes the use of tickets
    fds = settle(service.fds, 22)
    people = seed(service.ini.with_name("live.db"), [], 500, "half")
    attack = Attack("halves", port=service.port, people=people, count=500, seconds=IDLE_SECONDS + 15)
    assertion = person.assertion()
    while not attack.over:
        times.append(sign_in_seconds(person, assertion))
    seen = attack.result()
    assert seen["requests"]["count"] == seen["frames"]["count"] == 500
    figures.time("T8", "the last of 500 half requests is gone after", seen["requests"]["max"], 10 + 2)
    figures.time("T8", "the last of 500 half frames is gone after", seen["frames"]["max"], IDLE_SECONDS + 2)
    figures.time("T8", "normal sign-in p99 meanwhile", p99(times), 0.5)
    figures.count("T8", "file descriptors left over", settle(service.fds, fds) - fds, 0)
    service.assert_clean()


def sign_in_seconds(person, assertion):
    """Return the seconds that a connection and a sign-in take. A short pause follows."""
    start = time.perf_counter()
    with person.device(assertion=assertion):
        took = time.perf_counter() - start
    time.sleep(0.05)
    return took


def test_t9_what_is_too_large_is_refused_before_it_is_kept(service, figures):
    settle(service.fds, 20)
    forget_peak(service.pid)
    before = peak_bytes(service.pid)
    for name, seen in Attack("huge", port=service.port).result().items():
        figures.tell("T9", f"{name}: close code, MiB taken by buffers", f"{seen['code']}, {seen['sent'] / MIB:.1f}")
        assert seen["code"] in ((1009, 1008) if "small" in name else (1009,))
    figures.count("T9", "MiB of memory at the peak", (peak_bytes(service.pid) - before) / MIB, 2)
    service.assert_clean()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"Host: x\r\n", b"Host: x\r\nOrigin: https://evil.example\r\n"), 403),
        ((b"Version: 13", b"Version: 8"), 426),
        ((b"dGhlIHNhbXBsZSBub25jZQ==", b"abc"), 400),
        ((b"dGhlIHNhbXBsZSBub25jZQ==", b"\xff\xfe"), 400),
        ((b"GET /presence", b"GET /__version__"), 200),
        ((b"GET /presence", b"GET /nowhere"), 404),
        ((b"GET /presence", b"POST /presence"), 405),
        ((b"HTTP/1.1", b"HTTP/1.0"), 400),
    ],
)
def test_t17_what_is_no_good_handshake_is_refused_without_a_101(service, figures, change, status):
    with socket.create_connection(("127.0.0.1", service.port), 5) as sock:
        sock.sendall(UPGRADE.replace(*change))
        answer = sock.recv(4096)
    figures.count("T17", f"{change[1][:40]!r}: other statuses than {status}", int(not answer.startswith(b"HTTP/1.1 %d" % status)), 0)
    assert requests.get(f"{service.origin}/__lbheartbeat__", timeout=PATIENCE_SECONDS).ok
    service.assert_clean()
