"""Requests that are answered at once get what the handler would have answered, to the byte; limits, counts and logs are the same."""

from __future__ import annotations

import itertools
import re
import socket
import time

import pytest

from dpresence.channels.first_request import PEEK_BYTES

from .conftest import serve
from .support import ACCEPT, KEY, EchoServer, frame
from .warm import running

AUDIENCE = "http://127.0.0.1:8282"
PROXY, CLIENT = "127.0.0.2", "127.0.0.1"
CHANNELS = {
    "unsigned_per_address": 1000,
    "accept_rate": 1000.0,
    "accept_burst": 1000,
    "trusted_proxies": [PROXY],
    "origins": ["https://pages.example"],
    "handshake_seconds": 2.5,
}
PADDING = b"X-Padding: " + b"x" * (PEEK_BYTES // 2) + b"\r\n"
MARKS = itertools.count()
FIELDS = {
    "Host": "presence.example",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def request(line=b"GET /echo HTTP/1.1", behind=b"", **changes):
    """Return a handshake; a change of None takes a header away, one of a tuple repeats it."""
    fields = FIELDS | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [line]
    for name, value in fields.items():
        for one in value if isinstance(value, tuple) else (value,):
            lines += [] if one is None else [f"{name}: {one}".encode("latin-1")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + behind


ORDINARY = {
    "as most": request(),
    "with a frame behind it": request(behind=frame(1, b"hello")),
    "of the own page": request(Origin=AUDIENCE),
    "of a listed page with its port": request(Origin="https://pages.example:443"),
    "tokens in any case": request(Upgrade="WebSocket", Connection="close,UPGRADE"),
    "names in any case": request().replace(b"Sec-WebSocket-Key", b"sec-websocket-KEY"),
    "blanks around values": request(Upgrade="\t websocket \t"),
    "with what is ignored": request(Cookie="a=b; c", Range="bytes=0-1", User_Agent="x", Sec_WebSocket_Protocol="chat",
                                    Sec_WebSocket_Extensions="permessage-deflate"),
    "a name with underscores": request().replace(b"Host:", b"x_forwarded_for: 6.6.6.6\r\nHost:"),
    "forwarding headers of a stranger": request(X_Forwarded_For="6.6.6.6"),
}  # fmt: skip
FORWARDED = {
    "for one": request(X_Forwarded_For="198.51.100.7", X_Forwarded_Proto="https"),
    "for a liar": request(X_Forwarded_For="6.6.6.6, 198.51.100.7"),
    "in the standard's form": request(Forwarded='for="[2001:db8::1]:7";proto=https'),
    "for two that differ": request(X_Forwarded_For="198.51.100.7", Forwarded="for=198.51.100.8"),
    "for nobody": request(X_Forwarded_For="unknown"),
}
OTHER = {
    "another path": request(b"GET /text HTTP/1.1"),
    "an unknown path": request(b"GET /nowhere HTTP/1.1"),
    "a page": request(b"GET /page HTTP/1.1"),
    "a query": request(b"GET /echo?x=1 HTTP/1.1"),
    "a coded path": request(b"GET /%65cho HTTP/1.1"),
    "a slash too many": request(b"GET //echo HTTP/1.1"),
    "an absolute target": request(b"GET http://presence.example/echo HTTP/1.1"),
    "HTTP/1.0": request(b"GET /echo HTTP/1.0"),
    "HTTP/1.2": request(b"GET /echo HTTP/1.2"),
    "no version": request(b"GET /echo"),
    "a POST": request(b"POST /echo HTTP/1.1"),
    "a HEAD": request(b"HEAD /echo HTTP/1.1"),
    "two blanks": request(b"GET  /echo HTTP/1.1"),
    "bare line ends": request().replace(b"\r\n", b"\n"),
    "no host": request(Host=None),
    "a bad host": request(Host="presence example"),
    "two hosts": request(Host=("a.example", "b.example")),
    "no upgrade": request(Upgrade=None),
    "another upgrade": request(Upgrade="h2c"),
    "no connection": request(Connection=None),
    "upgrade in two headers": request(Connection=("keep-alive", "Upgrade")),
    "no key": request(Sec_WebSocket_Key=None),
    "a short key": request(Sec_WebSocket_Key="abc"),
    "two keys": request(Sec_WebSocket_Key=(KEY, KEY)),
    "an old version": request(Sec_WebSocket_Version="8"),
    "no version of the protocol": request(Sec_WebSocket_Version=None),
    "a foreign page": request(Origin="https://evil.example"),
    "no page in particular": request(Origin="null"),
    "two pages": request(Origin=(AUDIENCE, AUDIENCE)),
    "a length": request(Content_Length="5", behind=b"hello"),
    "a length of nothing": request(Content_Length="0"),
    "chunks": request(Transfer_Encoding="chunked", behind=b"0\r\n\r\n"),
    "an expectation": request(Expect="100-continue"),
    "a header twice": request(X_Anything=("1", "2")),
    "a folded line": request().replace(b"Host:", b"X-Folded: a\r\n b\r\nHost:"),
    "no colon": request().replace(b"Host:", b"nonsense\r\nHost:"),
    "a blank before the colon": request().replace(b"Host:", b"Host :"),
    "a NUL": request(X_Nul="a\0b"),
    "eight bits": request(X_Latin="\xe9"),
    "a line too long": request(X_Long="x" * 4090),
    "too many lines": request(**{f"X_{number}": "" for number in range(70)}),
    "nonsense": b"\x16\x03\x01\x00\xa5\x01\r\n\r\n",
    "an empty line": b"\r\n\r\n",
}


@pytest.fixture(scope="module")
def pair():
    """Two servers of the same settings: requests go to the first as they are, and to the second so that its handler answers them."""
    settings = {"channels": CHANNELS}
    with EchoServer(settings) as first:
        for second in serve(settings):
            yield first, second
    assert "Traceback" not in first.log, first.log


def answer(server, data, source=CLIENT):
    """Return all that a request is answered with, in the end by a ping for those that became a channel."""
    with socket.create_connection(("127.0.0.1", server.port), 10, (source, 0)) as sock:
        sock.sendall(data)
        got = b""
        while piece := sock.recv(65536):
            got += piece
            head, _, body = got.partition(b"\r\n\r\n")
            length = re.search(rb"\r\nContent-Length: (\d+)", head)
            if length and b"\r\nConnection: close" not in head and len(body) == int(length[1]):
                break  # the connection stays open
            if got.startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in got:
                sock.sendall(frame(9, b"last"))
                while not got.endswith(b"\x8a\x04last"):
                    got += sock.recv(65536)
                return got
    return re.sub(rb"\r\nDate: [^\r]*", b"", got)


def padded(data):
    """Return a request with more headers than are looked at; what has no line ends cannot be padded, and needs not."""
    line, end, rest = data.partition(b"\r\n")
    return line + end + PADDING + PADDING.replace(b"Padding", b"More") + rest if rest.strip() else data


def logged(server, since, mark):
    """Return what was logged since then and before a request for ``mark``, without times."""
    answer(server, f"GET {mark} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    server.wait_for_log(f"{mark} ")
    return [re.sub(r"[\d.]+ ms", "ms", line) for line in server.log[since:].splitlines() if mark not in line and "/stats" not in line]


def compare(pair, data, source=CLIENT):
    """Send a request to both servers; return the answer and the first one's view calls, once all that they count and log is the same."""
    since, before, mark = [len(server.log) for server in pair], pair[0].stats()["viewed"], f"/mark{next(MARKS)}"
    answers = [answer(pair[0], data, source), answer(pair[1], padded(data), source)]
    assert answers[0] == answers[1]
    stats = [server.wait_for(lambda stats: not stats["connections"] and stats["plain"] == 1) for server in pair]
    counts = [{name: found[name] for name in ("opened", "left", "unsigned", "errors")} for found in stats]
    assert counts[0] == counts[1]
    logs = [logged(server, start, mark) for server, start in zip(pair, since, strict=True)]
    assert logs[0] == logs[1]
    assert any(" 101 " in line for line in logs[0]) == answers[0].startswith(b"HTTP/1.1 101")
    return answers[0], stats[0]["viewed"] - before


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_handshake_is_answered_without_the_application(pair, name):
    got, viewed = compare(pair, ORDINARY[name])
    assert got.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert f"\r\nSec-WebSocket-Accept: {ACCEPT}\r\n".encode() in got
    assert not viewed


@pytest.mark.parametrize("name", FORWARDED)
def test_behind_a_proxy_it_is_too(pair, name):
    got, viewed = compare(pair, FORWARDED[name], PROXY)
    assert got.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert not viewed


@pytest.mark.parametrize("name", OTHER)
def test_every_other_request_is_answered_by_the_handler(pair, name):
    got, viewed = compare(pair, OTHER[name])
    assert viewed or not got.startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize("pieces", [2, 3, 20])
def test_a_handshake_in_pieces_is_answered_by_the_handler(pair, pieces):
    data = request()
    with socket.create_connection(("127.0.0.1", pair[0].port), 10) as sock:
        viewed = pair[0].stats()["viewed"]
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = -(-len(data) // pieces)
        for start in range(0, len(data), size):
            sock.sendall(data[start : start + size])
            pair[0].stats()  # the event loop of the server has turned
        assert sock.recv(65536).startswith(b"HTTP/1.1 101")
    assert pair[0].stats()["viewed"] == viewed + 1


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", b"GET /echo HTT"])
def test_a_request_that_does_not_come_in_time_is_answered_with_408(pair, sent):
    began = time.monotonic()
    assert answer(pair[0], sent) == b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert CHANNELS["handshake_seconds"] * 0.9 < time.monotonic() - began


def test_connections_that_end_before_their_request_leave_nothing(pair):
    files = pair[0].stats()["files"]
    for _ in range(50):
        socket.create_connection(("127.0.0.1", pair[0].port), 10).close()
    assert pair[0].wait_for(lambda stats: stats["plain"] == 1)["files"] == files


def test_a_stop_closes_the_connections_that_have_not_sent_a_request():
    with EchoServer() as server, socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        server.wait_for(lambda stats: stats["plain"] == 2)
        assert server.stop() == 0
        assert sock.recv(1) == b""


def test_the_device_channel_is_opened_as_its_view_opens_it(tmp_path):
    data = request(b"GET /presence HTTP/1.1")
    with running(tmp_path) as service:
        answers = [answer(service, data), answer(service, padded(data))]
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 101")
