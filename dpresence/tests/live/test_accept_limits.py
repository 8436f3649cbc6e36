"""One address with incomplete handshakes or idle connections does not keep others from connecting."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest

from dpresence.tests.waiting import PATIENCE_SECONDS

from .conftest import serve
from .support import Client

LIMITS = {"accept_rate": 0.1, "accept_burst": 40, "unsigned_per_address": 1000, "trusted_proxies": ["127.0.0.1"]}


@pytest.fixture
def limited():
    yield from serve({"channels": LIMITS})


@pytest.fixture
def small():
    yield from serve({"channels": {"sockets": 20, "plain_per_address": 10}})


def of(number):
    return {"X-Forwarded-For": f"203.0.113.{number}"}


def test_openings_of_unknown_paths_spend_nothing_of_the_rate(limited):
    for number in range(200):
        with Client(limited.port, "/nothing", headers=of(number % 5)) as client:
            assert client.status == 404
    with ExitStack() as clients:
        real = [clients.enter_context(Client(limited.port, headers=of(number))) for number in range(10, 45)]
        assert [client.status for client in real] == [101] * 35


def test_openings_that_a_view_refuses_spend_nothing_either(limited):
    for _ in range(100):
        with Client(limited.port, "/failing", headers=of(1)) as client:
            assert client.status == 503
    with ExitStack() as clients:
        real = [clients.enter_context(Client(limited.port, headers=of(number))) for number in range(10, 45)]
        assert [client.status for client in real] == [101] * 35


def test_one_address_in_a_storm_does_not_keep_others_out(limited):
    with ExitStack() as clients:
        storm = [clients.enter_context(Client(limited.port, headers=of(1))).status for _ in range(60)]
        others = [clients.enter_context(Client(limited.port, headers=of(number))).status for number in range(2, 17)]
    assert 18 <= storm.count(101) <= 30
    assert set(storm) == {101, 503}
    assert others == [101] * 15


def test_idle_connections_of_one_address_keep_nobody_out(small):
    with ExitStack() as idle:
        sockets = [idle.enter_context(socket.create_connection(("127.0.0.1", small.port))) for _ in range(60)]
        assert small.wait_for(lambda stats: stats["plain"] <= 11)
        with small.connect() as client:
            client.text("hello")
            assert client.answer() == "hello"
        sockets[-1].sendall(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sockets[-1].recv(12) == b"HTTP/1.1 200"  # it is the oldest that goes
        sockets[0].settimeout(PATIENCE_SECONDS)
        assert sockets[0].recv(1) == b""


def test_idle_connections_of_many_addresses_make_room_for_channels(small):
    with ExitStack() as idle:
        for number in range(2, 12):
            for _ in range(9):
                idle.enter_context(socket.create_connection(("127.0.0.1", small.port), source_address=(f"127.0.0.{number}", 0)))
        time.sleep(0.2)
        for _ in range(3):
            with small.connect() as client:
                client.text("hello")
                assert client.answer() == "hello"
