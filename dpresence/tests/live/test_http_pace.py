"""Requests without end: on one connection, on many of one address, through a proxy of ours, in a thousand chunks."""

from __future__ import annotations

import re
import statistics
import time
from contextlib import suppress

import pytest

from .conftest import serve
from .support import Client

GET = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
GAP = 0.5
"""Seconds for which nobody else may be kept waiting: five times the goal, for slow machines."""


@pytest.fixture(scope="module")
def open_server():
    """Counts no requests."""
    rates = {"request_rate": 1e6, "request_burst": 1000000, "connection_request_rate": 1e6, "connection_request_burst": 1000000}
    yield from serve({"channels": rates})


@pytest.fixture(scope="module")
def strict():
    """Few requests on one connection, some more of one address."""
    rates = {"request_rate": 0.2, "request_burst": 60, "connection_request_rate": 0.2, "connection_request_burst": 20}
    yield from serve({"channels": {**rates, "trusted_proxies": ["127.0.0.2"]}})


@pytest.fixture(scope="module")
def proxied():
    """The same behind a proxy that is trusted."""
    rates = {"request_rate": 0.2, "request_burst": 60, "connection_request_rate": 0.2, "connection_request_burst": 20}
    yield from serve({"channels": {**rates, "trusted_proxies": ["127.0.0.1"]}})


def statuses(server, requests):
    """Send requests on one connection; return the status of each answer, and the last answer's headers."""
    with Client(server.port, upgrade=False) as client:
        client.send(b"".join(requests))
        data = b""
        while part := client.sock.recv(65536):
            data += part
            if data.count(b"HTTP/1.1 ") == len(requests) and data.endswith((b"a page", b"}")):
                break
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", data)], data.rpartition(b"HTTP/1.1")[2]


def test_requests_pipelined_on_one_connection_keep_nobody_waiting(open_server):
    open_server.stats()
    with Client(open_server.port, upgrade=False) as flooder:
        flooder.sock.settimeout(0.05)
        waits, pipelined = [], 0
        for _ in range(20):
            try:
                pipelined += flooder.sock.send(GET * 500)
                flooder.sock.recv(1 << 20)
            except TimeoutError:
                pass
            started = time.monotonic()
            assert open_server.get("/page") == "a page"
            waits.append(time.monotonic() - started)
    assert statistics.median(waits) < GAP, "a machine that stands still delays one or two"
    assert pipelined > 500 * len(GET)
    assert open_server.stats()["gap"] < GAP


def test_requests_beyond_the_rate_of_a_connection_are_429_and_it_ends(strict):
    answers, last = statuses(strict, [GET] * 40)
    assert answers == [200] * 20 + [429]
    assert re.search(rb"Retry-After: \d+\r\n", last)
    assert re.search(rb'"errno": 117, "error": "too many requests", "retry_after": \d+', last)


def test_requests_of_an_address_on_many_connections_are_429_too(proxied):
    from_one = [b"GET /page HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"]
    answers = [statuses(proxied, from_one)[0] for _ in range(70)]
    assert answers[:60] == [[200]] * 60
    assert answers[65:] == [[429]] * 5


def test_a_trusted_proxys_connection_carries_the_requests_of_many(proxied):
    requests = [f"GET /page HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.{number}\r\n\r\n".encode() for number in range(100, 180)]
    assert statuses(proxied, requests)[0] == [200] * 80


def test_refusals_are_assigned_different_times_to_reconnect(proxied):
    request = [b"GET /page HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.77\r\n\r\n"]
    waits = [re.findall(rb"Retry-After: (\d+)", statuses(proxied, request)[1]) for _ in range(70)]
    waits_assigned = [int(wait[0]) for wait in waits if wait]
    assert len(waits_assigned) >= 8
    assert waits_assigned == sorted(waits_assigned)
    assert waits_assigned[-1] >= waits_assigned[0] + 5


def test_a_body_in_a_thousand_chunks_costs_little(open_server):
    before = open_server.stats()["cpu"]
    body = b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n"
    for _ in range(10):
        with Client(open_server.port, upgrade=False) as client:
            client.send(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
            client.read_head()
            assert client.body() == "x" * 1000
    assert open_server.stats()["cpu"] - before < 10 * 0.05


def test_a_body_of_one_byte_chunks_is_refused_early(open_server):
    before = open_server.stats()["cpu"]
    with Client(open_server.port, upgrade=False) as client:
        client.send(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(OSError):
            client.send(b"1\r\nx\r\n" * 131000)
        assert client.hung_up()
    assert open_server.stats()["cpu"] - before < 0.1
