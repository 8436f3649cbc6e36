"""Plain HTTP against clients that take their time, lie about lengths or never stop; and what the log says of them."""

from __future__ import annotations

import json
import time

import pytest

from dpresence.tests.waiting import eventually

from .conftest import HASTY, serve
from .support import Client, EchoServer


@pytest.fixture(scope="module")
def patient():
    """Deadlines of some seconds, for what has to happen before they end."""
    yield from serve({"channels": {**HASTY, "handshake_seconds": 0.4, "send_seconds": 4, "idle_seconds": 4}})


@pytest.fixture(scope="module")
def proxied():
    yield from serve({"channels": {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}})


def ask(server, request):
    """Send bytes and return status and body of the answer."""
    with Client(server.port, upgrade=False) as client:
        client.send(request)
        client.read_head()
        return client.status, client.body()


def post(body, *headers):
    return "\r\n".join(["POST /body HTTP/1.1", "Host: x", *headers, "", ""]).encode() + body


@pytest.mark.slow
def test_half_a_request_is_dropped(hasty):
    halves = (b"", b"GET", b"GET /page HTTP/1.1\r\n", b"GET /page HTTP/1.1\r\nHost: x\r\nX: ")
    started, clients = time.monotonic(), [Client(hasty.port, upgrade=False) for _ in halves]
    for client, half in zip(clients, halves, strict=True):
        client.send(half)
    assert all(client.hung_up() for client in clients)
    assert time.monotonic() - started > HASTY["handshake_seconds"] * 0.7


@pytest.mark.slow
def test_a_request_one_byte_at_a_time_is_dropped(hasty):
    with Client(hasty.port, upgrade=False) as client:
        data = b"GET /page HTTP/1.1\r\n" + b"X: y\r\n" * 20
        sent = next(index for index in range(len(data)) if client.send(data[index : index + 1]) or client.hung_up(0.05))
        assert sent * 0.05 < HASTY["handshake_seconds"] * 2


@pytest.mark.slow
def test_a_body_one_byte_at_a_time_is_dropped(hasty):
    with Client(hasty.port, upgrade=False) as client:
        client.send(post(b"", "Content-Length: 1000"))
        sent = next(index for index in range(100) if client.send(b"x") or client.hung_up(0.05))
        assert sent * 0.05 < HASTY["handshake_seconds"] * 2


@pytest.mark.slow
def test_many_half_requests_keep_nobody_waiting(hasty):
    hasty.stats()
    halves = [Client(hasty.port, upgrade=False) for _ in range(200)]
    for half in halves:
        half.send(b"GET /page HTTP/1.1\r\nX: ")
    assert hasty.get("/page") == "a page"
    assert all(half.hung_up() for half in halves)
    assert hasty.wait_for(lambda stats: stats["plain"] == 1)["gap"] < 0.5
    for half in halves:
        half.sock.close()


@pytest.mark.slow
def test_a_kept_connection_serves_again_until_it_is_idle_for_too_long(patient):
    with Client(patient.port, upgrade=False) as client:
        for _ in range(2):
            client.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
            client.read_head()
            assert client.body() == "a page"
            time.sleep(0.5)  # longer than a request may take, shorter than a connection may be idle
        assert client.hung_up()


@pytest.mark.slow
def test_a_client_that_does_not_take_its_answer_is_dropped(hasty):
    with Client(hasty.port, upgrade=False, receive_buffer=4096, source="127.0.0.2") as client:
        client.send(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        hasty.wait_for(lambda stats: stats["plain"] == 1)


@pytest.mark.slow
def test_an_address_that_leaves_megabytes_unread_gets_nothing_else_until_they_are_dropped(patient):
    with Client(patient.port, upgrade=False, receive_buffer=4096, source="127.0.0.2") as client:
        client.send(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        status, body = page_at(patient, "127.0.0.2")
        refused = json.loads(body)
        assert (status, refused["errno"], refused["retry_after"]) == (429, 117, 1)
        assert refused["error"] == "too many answers to this address wait to be read"
        assert patient.get("/page") == "a page", "other addresses are served"
        eventually(lambda: page_at(patient, "127.0.0.2") == (200, "a page"))


def page_at(server, address):
    """Return status and body of a page that an address asks for."""
    with Client(server.port, upgrade=False, source=address) as client:
        client.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_head()
        return client.status, client.body()


def test_an_answer_that_breaks_off_has_no_other_one_in_it(server):
    with Client(server.port, upgrade=False) as client:
        client.send(b"GET /torn HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_head()
        while data := client.sock.recv(65536):
            client.buffer += data
        assert (client.status, client.buffer) == (200, b"6\r\na half\r\n")


def test_a_body_is_read_whole(server):
    assert ask(server, post(b"hello", "Content-Length: 5")) == (200, "hello")


def test_a_chunked_body_is_read_whole(server):
    assert ask(server, post(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "Transfer-Encoding: chunked")) == (200, "hello")


@pytest.mark.parametrize("request_", [
    post(b"", "Content-Length: 131073"),
    post(b"ffffff\r\n" + b"x" * 140000, "Transfer-Encoding: chunked"),
])  # fmt: skip
def test_a_body_too_large_is_refused_before_it_is_read(server, request_):
    status, body = ask(server, request_)
    assert (status, body) == (413, '{"result": "KO", "errno": 113, "error": "the body may have 131072 bytes"}')


@pytest.mark.parametrize("request_", [
    post(b"zz\r\n", "Transfer-Encoding: chunked"),
    post(b"x", "Content-Length: +1"),
    post(b"x", "Content-Length: 1_0"),
    post(b"x", "Content-Length: -1"),
    post(b"x", "Content-Length: 1", "Content-Length: 2"),
    post(b"x", "Transfer-Encoding: gzip, chunked"),
    post(b"x", "Transfer-Encoding: identity"),
    b"GET\r\n\r\n",
    b"GET / HTTP/3.0\r\n\r\n",
    b"GET / HTTP/x.y\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
])  # fmt: skip
def test_a_request_that_is_in_doubt_is_refused(server, request_):
    assert ask(server, request_)[0] == 400


def test_a_line_too_long_is_refused(server):
    assert ask(server, b"GET /" + b"x" * 17000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 414


def test_forwarding_headers_of_anybody_are_ignored(server):
    request = b"GET /client HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n"
    assert ask(server, request) == (200, "127.0.0.1 http")


@pytest.mark.parametrize(("forwarded", "client"), [
    ("203.0.113.7", "203.0.113.7"),
    ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
    ("203.0.113.7, 10.1.2.3", "203.0.113.7"),
    ("203.0.113.7,10.1.2.3 , 127.0.0.1", "203.0.113.7"),
    ("2001:DB8::1", "2001:db8::1"),
    ("::ffff:203.0.113.7", "203.0.113.7"),
    ("10.0.0.1", "127.0.0.1"),
    ("", "127.0.0.1"),
    ("203.0.113.7, nonsense", "127.0.0.1"),
    ("nonsense, 203.0.113.7", "203.0.113.7"),
    ("203.0.113.7:4711", "203.0.113.7"),
    ("[2001:db8::1]:443, 10.0.0.1:50001", "2001:db8::1"),
])  # fmt: skip
def test_behind_a_trusted_proxy_the_last_hop_that_is_none_is_the_client(proxied, forwarded, client):
    request = f"GET /client HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {forwarded}\r\n\r\n".encode()
    assert ask(proxied, request) == (200, f"{client} http")


def test_the_forwarded_header_of_a_trusted_proxy_counts_as_well(proxied):
    request = b'GET /client HTTP/1.1\r\nHost: x\r\nForwarded: for="[2001:db8::1]:443";proto=https\r\n\r\n'
    assert ask(proxied, request) == (200, "2001:db8::1 https")


def test_forwarding_headers_that_do_not_count_are_warned_of_once():
    with EchoServer() as one:
        for _ in range(3):
            assert ask(one, b"GET /client HTTP/1.1\r\nHost: x\r\nForwarded: for=203.0.113.7\r\n\r\n") == (200, "127.0.0.1 http")
        one.wait_for_log("WARNING dpresence.server a request from 127.0.0.1 has forwarding headers, .* channels.trusted_proxies")
        assert one.log.count("forwarding headers") == 1


def test_a_trusted_proxy_says_how_the_client_came(proxied):
    for scheme, seen in (("https", "https"), ("http", "http"), ("gopher", "http"), ("HTTPS", "https")):
        request = f"GET /client HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: {scheme}\r\n\r\n".encode()
        assert ask(proxied, request)[1].endswith(f" {seen}")


def test_the_log_has_a_line_for_each_request_without_its_query(server):
    ask(server, b"GET /page?key=secret HTTP/1.1\r\nHost: x\r\n\r\n")
    server.wait_for_log(r"INFO dpresence.access 127.0.0.1 GET /page 200 \d+ bytes")
    ask(server, b"GET /page?key=secret HTTP/3.0\r\n\r\n")
    server.wait_for_log("bad request from 127.0.0.1")
    assert "secret" not in server.log


def test_control_characters_do_not_reach_the_log(server):
    assert ask(server, b"GET /page\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 400
    server.wait_for_log(r"GET /page\\x1b\[31m 400")
    assert "\x1b" not in server.log


def test_a_bug_in_a_view_is_500_and_logged_once():
    with EchoServer() as server:
        assert ask(server, b"GET /bug?key=secret HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 500
        server.wait_for_log("RuntimeError: a bug in a view")
    assert server.log.count("Traceback") == 1
    assert "secret" not in server.log
