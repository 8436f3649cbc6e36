"""Before the 101: what is refused, how, and that the application itself decides."""

from __future__ import annotations

import json
import re
import socket
import struct
from uuid import UUID

import pytest

from .conftest import serve
from .support import ACCEPT, KEY, Client, frame

AUDIENCE = "http://127.0.0.1:8282"


@pytest.fixture(scope="module")
def narrow():
    """Few sockets, few from one address, one proxy and one page from elsewhere."""
    channels = {
        "sockets": 6,
        "unsigned_per_address": 3,
        "trusted_proxies": ["127.0.0.1"],
        "origins": ["https://pages.example", "capacitor://localhost", "null"],
    }
    yield from serve({"channels": channels})


@pytest.fixture(scope="module")
def slow():
    """Takes three new channels, then one in ten seconds."""
    yield from serve({"channels": {"accept_rate": 0.1, "accept_burst": 5}})


def refusal(server, *, path="/echo", **options):
    """Return HTTP status, error object and headers of a refused handshake; the server hangs up after it."""
    with server.connect(path, **options) as client:
        body = json.loads(client.body())
        assert client.headers["content-type"] == "application/json"
        assert client.hung_up()
        return client.status, body, client.headers


def test_a_good_request_is_upgraded(server):
    with server.connect() as client:
        assert client.status == 101
        assert client.headers["sec-websocket-accept"] == ACCEPT
        assert "sec-websocket-protocol" not in client.headers


def test_a_subprotocol_is_never_made_up(server):
    with server.connect(headers={"Sec-WebSocket-Protocol": "chat, superchat"}) as client:
        assert client.status == 101
        assert "sec-websocket-protocol" not in client.headers


@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "close,UPGRADE"])
def test_upgrade_is_one_of_the_connections_tokens(server, connection):
    with server.connect(headers={"Connection": connection, "Upgrade": "WebSocket"}) as client:
        assert client.status == 101


@pytest.mark.parametrize("connection", ["no-upgrade", "keep-alive", "upgraded"])
def test_a_token_that_only_looks_like_upgrade_is_a_plain_request(server, connection):
    with server.connect("/page", headers={"Connection": connection}) as client:
        assert (client.status, client.body()) == (200, "a page")


def test_a_plain_page_with_upgrade_headers_is_a_plain_page(server):
    with server.connect("/page") as client:
        assert (client.status, client.body()) == (200, "a page")


def test_an_unknown_path_is_404_and_no_101(server):
    with server.connect("/nowhere") as client:
        assert (client.status, client.body()) == (404, "no such page")


def test_an_application_that_fails_after_opening_is_reported(server):
    opened = server.stats()["opened"]
    with server.connect("/failing") as client:
        assert (client.status, client.body()) == (503, "after all not")
    assert server.stats()["opened"] == opened
    assert server.stats()["unsigned"] == server.stats()["connections"]


@pytest.mark.parametrize("version", ["7", "8", "0", "14", "013", "13, 8", "", None])
def test_other_versions_are_refused_with_the_right_one(server, version):
    status, body, headers = refusal(server, headers={"Sec-WebSocket-Version": version})
    assert (status, headers["sec-websocket-version"]) == (426, "13")
    assert body == {"result": "KO", "errno": 107, "error": "Sec-WebSocket-Version: 13"}


@pytest.mark.parametrize("key", ["abc", "", KEY[:-4], KEY + "AAAA", "dGhlIHNhbXBsZSBub25jZQ", "dGhl IHNhbXBsZSBub25jZQ==", None])
def test_a_bad_key_is_refused_without_a_traceback(server, key):
    status, body, _ = refusal(server, headers={"Sec-WebSocket-Key": key})
    assert (status, body["errno"]) == (400, 107)


def test_http_1_0_is_refused(server):
    status, body, _ = refusal(server, version="HTTP/1.0")
    assert (status, body) == (400, {"result": "KO", "errno": 107, "error": "a websocket needs HTTP/1.1"})


def test_a_post_is_refused(server):
    status, body, headers = refusal(server, method="POST")
    assert (status, body["errno"], headers["allow"]) == (405, 115, "GET")


@pytest.mark.parametrize("headers", [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}])
def test_a_request_with_a_body_is_refused(server, headers):
    status, body, _ = refusal(server, headers=headers)
    assert (status, body["errno"]) == (400, 107)


@pytest.mark.parametrize(
    ("method", "version", "headers"),
    [
        ("POST", "HTTP/1.1", {"Content-Length": "1000"}),
        ("POST", "HTTP/1.1", {"Transfer-Encoding": "chunked"}),
        ("GET", "HTTP/1.0", {"Content-Length": "1000"}),
        ("GET", "HTTP/1.1", {"Content-Length": "1000"}),
    ],
)
def test_a_refused_request_whose_body_never_comes_keeps_no_connection(hasty, method, version, headers):
    with hasty.connect(method=method, version=version, headers=headers) as client:
        assert client.status == (405 if method == "POST" else 400)
        assert client.hung_up()
    hasty.wait_for(lambda stats: stats["plain"] == 1)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", AUDIENCE + "0", AUDIENCE + "/", AUDIENCE.upper(), "https://pages.example", ""]
)
def test_a_page_from_elsewhere_is_refused(server, origin):
    status, body, _ = refusal(server, headers={"Origin": origin})
    assert (status, body["errno"]) == (403, 121)
    assert body["error"] == f"Origin {origin}: neither identity.audience nor in channels.origins"
    server.wait_for_log(re.escape(f"a channel was refused: {body['error']}"))


def test_our_own_page_may_open_a_channel(server):
    with server.connect(headers={"Origin": AUDIENCE}) as client:
        assert client.status == 101


@pytest.mark.parametrize("origin", ["https://pages.example", "https://pages.example:443", "capacitor://localhost", "null"])
def test_a_page_or_app_that_is_listed_may_open_a_channel(narrow, origin):
    with narrow.connect(headers={"Origin": origin}) as client:
        assert client.status == 101
    narrow.wait_for(lambda stats: not stats["connections"])


@pytest.mark.parametrize("origin", [f"chrome-extension://{'a' * 32}", f"moz-extension://{UUID(int=1)}", "safari-web-extension://ABC"])
def test_an_extension_may_open_a_channel_as_a_program_may(server, origin):
    with server.connect(headers={"Origin": origin}) as client:
        assert client.status == 101


@pytest.mark.parametrize("origin", ["https://moz-extension.example", "moz-extension://", "moz-extension://a/", "x-moz-extension://a"])
def test_a_page_that_looks_like_an_extension_is_refused(server, origin):
    assert refusal(server, headers={"Origin": origin})[0] == 403


def test_channels_of_one_address_that_have_not_signed_in_are_few(narrow):
    clients = [narrow.connect() for _ in range(3)]
    status, body, headers = refusal(narrow)
    assert (status, body["errno"], body["retry_after"], headers["retry-after"]) == (429, 117, 10, "10")
    clients[0].text("signin")
    clients[0].answer()
    with narrow.connect() as client:
        assert client.status == 101
    for client in clients:
        client.sock.close()
    assert narrow.wait_for(lambda stats: not stats["connections"])["unsigned"] == 0


def test_behind_a_proxy_the_clients_own_address_counts(narrow):
    def connect(address):
        return narrow.connect(headers={"X-Forwarded-For": f"6.6.6.6, {address}"})

    clients = [connect("198.51.100.1") for _ in range(3)]
    assert connect("198.51.100.1").status == 429
    clients.append(connect("198.51.100.2"))
    assert clients[-1].status == 101
    for client in clients:
        client.sock.close()
    narrow.wait_for(lambda stats: not stats["connections"])


def test_an_ipv6_network_counts_as_one_address(narrow):
    clients = [narrow.connect(headers={"X-Forwarded-For": f"2001:db8::{number}"}) for number in range(1, 4)]
    assert narrow.connect(headers={"X-Forwarded-For": "2001:db8::4"}).status == 429
    clients.append(narrow.connect(headers={"X-Forwarded-For": "2001:db8:0:1::4"}))
    assert clients[-1].status == 101
    for client in clients:
        client.sock.close()
    narrow.wait_for(lambda stats: not stats["connections"])


def test_beyond_all_sockets_newcomers_are_asked_to_reconnect_and_pages_still_work(narrow):
    clients = [narrow.connect(headers={"X-Forwarded-For": f"198.51.100.{number}"}) for number in range(6)]
    assert [client.status for client in clients] == [101] * 6
    status, body, headers = refusal(narrow, headers={"X-Forwarded-For": "198.51.100.9"})
    assert (status, body["errno"]) == (503, 201)
    assert int(headers["retry-after"]) >= 1
    assert narrow.get("/page") == "a page"
    for client in clients:
        client.sock.close()
    narrow.wait_for(lambda stats: not stats["connections"])


def test_too_many_newcomers_at_once_are_asked_to_reconnect_one_after_the_other(slow):
    clients = [slow.connect() for _ in range(3)]
    assert [client.status for client in clients] == [101] * 3
    waits = []
    for _ in range(3):
        status, body, headers = refusal(slow)
        assert (status, body["errno"]) == (503, 201)
        assert headers["retry-after"] == str(body["retry_after"])
        waits.append(body["retry_after"])
    assert waits == [10, 20, 30]
    for client in clients:
        client.sock.close()


def test_a_reset_right_behind_the_handshake_leaves_nothing_behind(server):
    files = server.stats()["files"]
    head = "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
    for _ in range(50):
        with Client(server.port, upgrade=False) as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.send(f"{head}Sec-WebSocket-Key: {KEY}\r\n\r\n".encode())
    stats = server.wait_for(lambda stats: stats["connections"] == 0 and stats["plain"] == 1)
    assert stats["unsigned"] == 0
    server.wait_for(lambda stats: stats["files"] <= files)


def test_ten_bad_handshakes_leave_nothing_behind(server):
    files = server.stats()["files"]
    for _ in range(10):
        with Client(server.port, upgrade=False) as client:
            client.send(
                b"GET /echo HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n" + frame(1, b"x")
            )
            client.read_head()
            assert client.status == 400
    server.wait_for(lambda stats: stats["files"] <= files)
