"""Many requests of one address at once: those of others come in between, as the order of the access log shows."""

from __future__ import annotations

import re
import signal
import socket

import pytest

from dpresence.tests.waiting import eventually

from .conftest import serve

CONNECTIONS = 200
FLOOD, OTHER = b"GET /page?flood HTTP/1.1\r\nHost: x\r\n", b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"


@pytest.fixture(scope="module")
def server():
    yield from serve({})


@pytest.fixture(scope="module")
def proxied():
    yield from serve({"channels": {"trusted_proxies": ["127.0.0.1"]}})


@pytest.fixture(scope="module")
def dual():
    """Listens for IPv6, also for IPv4."""
    yield from serve({"server": {"host": "::"}})


def flooded(server, flooder, other, source):
    """Let many requests arrive together, that of another address amid them; return how many are answered before it.

    :param flooder: header lines of the many.
    """

    def begin(address, request):
        sock = socket.create_connection(("127.0.0.1", server.port), source_address=(address, 0))
        sock.sendall(request + b"\r\n")
        assert sock.recv(65536)
        return sock

    before = len(requests(server))
    lone = begin(source, OTHER + other)  # not last: epoll may report the connection first that was served last
    connections = [begin("127.0.0.1", FLOOD + flooder) for _ in range(CONNECTIONS)]
    eventually(lambda: len(requests(server)) == before + CONNECTIONS + 1)
    server.process.send_signal(signal.SIGSTOP)
    for index, sock in enumerate(connections):
        sock.sendall(FLOOD + flooder + b"\r\n")
        if index == CONNECTIONS // 2:
            lone.sendall(OTHER + other + b"\r\n")
    server.process.send_signal(signal.SIGCONT)
    answered = eventually(lambda: found if len(found := requests(server)[before + CONNECTIONS + 1 :]) == CONNECTIONS + 1 else None)
    for sock in [*connections, lone]:
        sock.close()
    return answered.index("/body")


def requests(server):
    return re.findall(r"(?:GET|POST) (/page|/body)", server.log)


def test_a_request_of_another_address_comes_before_most_of_a_flood(server):
    assert flooded(server, b"", b"", "127.0.0.2") < CONNECTIONS / 4


def test_a_request_of_the_same_address_waits_for_its_turn(server):
    """One look is not enough: the event loop serves those that epoll reports at once in reverse, so chance may put any request first."""
    assert any(flooded(server, b"", b"", "127.0.0.1") > CONNECTIONS / 4 for _ in range(4))


def test_clients_over_ipv4_are_told_apart_by_a_server_that_listens_for_ipv6(dual):
    assert flooded(dual, b"", b"", "127.0.0.2") < CONNECTIONS / 4


def test_behind_a_trusted_proxy_the_addresses_of_clients_take_turns(proxied):
    addresses = (b"X-Forwarded-For: 203.0.113.%d\r\n" % number for number in (9, 10))
    assert flooded(proxied, *addresses, "127.0.0.1") < CONNECTIONS / 4
