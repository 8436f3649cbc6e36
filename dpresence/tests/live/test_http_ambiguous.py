"""Requests that two readers could understand in two ways: refused with 400, and the connection ends, so that nothing behind them counts."""

from __future__ import annotations

import pytest

from .support import Client

BEHIND = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
"""A request smuggled behind another one."""


def get(*lines, target=b"/page", version=b"HTTP/1.1", host=b"Host: x"):
    return b"\r\n".join([b"GET " + target + b" " + version, *([host] if host else []), *lines, b"", b""])


def post(body, *lines):
    return b"\r\n".join([b"POST /body HTTP/1.1", b"Host: x", *lines, b"", b""]) + body


AMBIGUOUS = {
    "two transfer codings": post(b"0\r\n\r\n", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "two codings in one": post(b"0\r\n\r\n", b"Transfer-Encoding: chunked, chunked"),
    "a coding in quotes": post(b"0\r\n\r\n", b'Transfer-Encoding: "chunked"'),
    "a coding of HTTP/1.0": get(b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + b"0\r\n\r\n",
    "a length and a coding": post(b"0\r\n\r\n", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "a coding and a length": post(b"0\r\n\r\n", b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "the same length twice": post(b"x", b"Content-Length: 1", b"Content-Length: 1"),
    "two lengths": post(b"x", b"Content-Length: 1", b"Content-Length: 2"),
    "a list of lengths": post(b"x", b"Content-Length: 1, 1"),
    "an empty length": post(b"", b"Content-Length:"),
    "a length in hex": post(b"x", b"Content-Length: 0x1"),
    "an endless length": post(b"x", b"Content-Length: " + b"1" * 40),
    "two hosts": get(b"Host: x"),
    "two other hosts": get(b"Host: evil.example"),
    "no host": get(host=None),
    "a host with a path": get(host=b"Host: x/y"),
    "a host with a user": get(host=b"Host: me@x"),
    "two hosts in one": get(host=b"Host: x, y"),
    "two authorizations": get(b"Authorization: BrowserID a", b"Authorization: BrowserID b"),
    "two origins": get(b"Origin: http://a", b"Origin: http://b"),
    "a bare CR in a value": get(b"X: a\rY: b"),
    "a bare CR at the end": get(b"X: a\r"),
    "a bare LF": BEHIND.replace(b"\r\n", b"\n"),
    "a bare LF in the header": get(b"X: a\nY: b"),
    "a NUL": get(b"X: a\0b"),
    "a control character": get(b"X: a\x08b"),
    "an 8-bit value": get("X: ü".encode()),
    "an 8-bit name": get("Ü: x".encode()),
    "a line without a colon": get(b"junk"),
    "a line with nothing but a colon": get(b": x"),
    "a space before the colon": get(b"Content-Length : 5"),
    "a tab before the colon": get(b"X\t: y"),
    "a folded line": get(b"X: a", b" b"),
    "a folded first line": get(b" X: a", host=None),
    "a name with a space": get(b"X Y: a"),
    "an absolute target": get(target=b"http://x/page"),
    "an authority": get(target=b"x:80"),
    "an asterisk": get(target=b"*"),
    "a target with a fragment": get(target=b"/page#x"),
    "an 8-bit target": get(target="/ü".encode()),
    "a target with a space": get(target=b"/a b"),
    "two spaces": get(target=b" /page"),
    "a tab for a space": b"GET\t/page\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "a space at the end": get(version=b"HTTP/1.1 "),
    "HTTP/0.9": b"GET /page\r\n\r\n",
    "HTTP/1.2": get(version=b"HTTP/1.2"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/01.1": get(version=b"HTTP/01.1"),
    "http/1.1": get(version=b"http/1.1"),
    "a method that is no token": b"G(T /page HTTP/1.1\r\nHost: x\r\n\r\n",
}
BROKEN_BODIES = {
    "a size that is none": b"zz\r\nx\r\n",
    "a negative size": b"-1\r\n",
    "a size with a sign": b"+1\r\nx\r\n0\r\n\r\n",
    "a size in 0x": b"0x1\r\nx\r\n0\r\n\r\n",
    "a space before the size": b" 1\r\nx\r\n0\r\n\r\n",
    "a bare LF after the size": b"1\nx\r\n0\r\n\r\n",
    "a bare CR after the size": b"1\rx\r\n0\r\n\r\n",
    "a bare LF after the chunk": b"1\r\nx\n0\r\n\r\n",
    "more than its size": b"1\r\nxyz\r\n0\r\n\r\n",
    "a bare CR in an extension": b"1;a\rb\r\nx\r\n0\r\n\r\n",
    "an endless extension": b"1;" + b"a" * 9000 + b"\r\nx\r\n0\r\n\r\n",
    "an endless size": b"0" * 9000 + b"1\r\nx\r\n0\r\n\r\n",
    "a trailer that is none": b"1\r\nx\r\n0\r\njunk\r\n\r\n",
    "endless trailers": b"1\r\nx\r\n0\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    "too many chunks": b"1\r\nx\r\n" * 1025 + b"0\r\n\r\n",
}


def answer_to(server, request):
    """Return the status of the answer, having seen that there is one only and that the connection ends."""
    with Client(server.port, upgrade=False) as client:
        client.send(request + BEHIND)
        client.read_head()
        assert client.headers.get("connection") == "close"
        body = client.buffer
        while data := client.sock.recv(65536):
            body += data
        assert len(body) == int(client.headers["content-length"]), body
        return client.status


def next_answer(client):
    """Return status and body of the next of several answers."""
    client.read_head()
    size = int(client.headers["content-length"])
    return client.status, client._exactly(size)


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_nothing_behind_it_is_answered(server, what):
    assert answer_to(server, AMBIGUOUS[what]) == 400


@pytest.mark.parametrize("what", BROKEN_BODIES)
def test_a_broken_chunked_body_is_refused_and_nothing_behind_it_is_answered(server, what):
    assert answer_to(server, post(BROKEN_BODIES[what], b"Transfer-Encoding: chunked")) == 400


@pytest.mark.parametrize("request_", [
    get(b"X: " + b"y" * 5000), get(b"Range: bytes=" + b" " * 65000), get(b"Cookie: " + b"a" * 9000), get(*[b"X: y"] * 64),
    get(*[b"X: " + b"y" * 4000] * 5), get(b"Authorization: BrowserID " + b"a" * 9000), get(b"y" * 70000),
])  # fmt: skip
def test_a_header_that_is_too_large_is_refused_before_it_is_parsed(server, request_):
    assert answer_to(server, request_) == 431


@pytest.mark.parametrize("request_", [
    get(b"Authorization: BrowserID " + b"a" * 8192), get(*[b"X: y"] * 63), get(b"X:y"), get(b"X: \t y\t "), get(b"X:"),
    get(host=b"Host: [::1]:8282"), get(target=b"/page?a=/?b&c=%ff"), get(target=b"/page?" + b"&".join([b"puid=" + b"x" * 22] * 500)),
    get(b"Last-Event-ID: " + b"c" * 4096 + b"~" + b"9" * 18), get(b"Range: bytes=0-1"), get(b"Connection: keep-alive, x"),
    get(b"Referer: http://x/" + b"a" * 4087),  # the longest that browsers send
])  # fmt: skip
def test_a_proper_request_is_answered_and_so_is_the_next_one(server, request_):
    with Client(server.port, upgrade=False) as client:
        client.send(request_ + BEHIND)
        for _ in range(2):
            assert next_answer(client) == (200, b"a page")


@pytest.mark.parametrize("options", [b"close", b"Close", b"keep-alive, close", b"close, x"])
def test_a_connection_that_is_to_be_closed_is_closed(server, options):
    with Client(server.port, upgrade=False) as client:
        client.send(get(b"Connection: " + options) + BEHIND)
        client.read_head()
        assert client.status == 200
        assert client.hung_up()


def test_a_chunked_body_with_extensions_and_trailers_is_read(server):
    with Client(server.port, upgrade=False) as client:
        client.send(post(b"2;a=b\r\nhe\r\n3 ;x\r\nllo\r\n0;end\r\nX-Sum: 1\r\n\r\n", b"Transfer-Encoding: chunked") + BEHIND)
        assert next_answer(client) == (200, b"hello")
        assert next_answer(client) == (200, b"a page")


def test_a_client_that_waits_for_100_continue_gets_it_unless_the_body_is_too_large(server):
    with Client(server.port, upgrade=False) as client:
        client.send(post(b"", b"Content-Length: 5", b"Expect: 100-continue"))
        client.read_head()
        assert client.status == 100
        client.send(b"hello")
        client.read_head()
        assert (client.status, client.body()) == (200, "hello")
    assert answer_to(server, post(b"", b"Content-Length: 200000", b"Expect: 100-continue")) == 413
