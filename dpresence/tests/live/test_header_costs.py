"""The worst input of every parser that reads a request, at the largest size that is let in and beyond it: what it costs the hub."""

from __future__ import annotations

import itertools
import os
import time

import pytest

from dpresence.channels.forwarded import Forwarding
from dpresence.limits import LogLimit
from dpresence.tests.support import FakeClock

from .support import KEY, Client
from .warm import running

GOAL_SECONDS = 0.05
"""CPU of one request; nobody else has a turn meanwhile."""
TIMES = 4
"""Requests measured together where a single one may have been too slow: the kernel counts in hundredths of a second."""
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
SIZES = (4000, 8100, 65000)
"""Bytes: the most of a header, the most of ``Cookie`` and ``Authorization``, and one that is refused (431)."""
HEADERS = {
    "Cookie": ("a", "a=", "dpresence=", '"', "dpresence=\"", "a=b;", "dpresence=b;", ";", " ", "=", "\\", ",", "dpresence-oidc=a"),
    "Authorization": ("a", "BrowserID ", "BrowserID a", "BrowserID a.", "BrowserID ~", "Bearer ", "Bearer a", " ", "Basic a",
                      "BrowserID e30."),
    "Accept": ("a", "text/html", "text/html,", "*/*;", "a/b;q=", ",", ";", " ", 'a/b;c="', "a/b;c=d", "a/b;c=\"\\"),
    "Accept-Encoding": ("a", "gzip,", ",", "gzip;q=", " ", ";"),
    "Accept-Language": ("a", "en,", ",", "en-", "en;q=", " "),
    "Accept-Charset": ("a", "utf-8,", ",", " "),
    "If-None-Match": ("a", '"', '"a",', "W/", ",", " ", '"a" ', "\\"),
    "If-Match": ("a", '"', '"a",', ",", " "),
    "If-Modified-Since": ("a", "Sat, ", "1", " ", ":", "-", ","),
    "If-Unmodified-Since": ("a", "1", " ", ","),
    "If-Range": ("a", '"', "1", " "),
    "Range": (" ", "bytes=", "bytes= ", "bytes=1-2,", "bytes=-", "1"),
    "Content-Type": ("a", "application/json;", "application/json; charset=", "multipart/form-data; boundary=", ";", '"', " ", "a/b; c*0=",
                     "application/x-www-form-urlencoded;"),
    "Forwarded": ("a", "for=", ",", ";"),
    "X-Forwarded-For": ("1", "1.", ",", ":", "::1,", " "),
    "X-Forwarded-Proto": ("h", "https,", " "),
    "X-Forwarded-Host": ("a", ","),
    "X-CSRF-Token": ("a", " "),
    "Upgrade": ("a", "websocket,", ",", " "),
    "Connection": ("a", "upgrade,", ",", "keep-alive,", " "),
    "Sec-WebSocket-Key": ("a", "=", " ", "a="),
    "Sec-WebSocket-Version": ("1", "13,", ","),
    "Sec-WebSocket-Protocol": ("a", ","),
    "Sec-WebSocket-Extensions": ("a", "permessage-deflate;", ",", ";"),
    "Host": ("a", ".", "a.", "-", ":", "[", "1"),
    "Origin": ("a", "http://", "http://a.", ":"),
    "Referer": ("a", "http://", "/"),
    "Date": ("a", "1"),
    "Expect": ("a", "100-continue,"),
    "Transfer-Encoding": ("a", "chunked,", ","),
    "Content-Length": ("1", "0"),
    "User-Agent": ("a", "("),
    "X-HTTP-Method-Override": ("a",),
    "Accept-Datetime": ("a",),
    "Via": ("a", ","),
    "TE": ("a", ","),
}  # fmt: skip
PATHS = ("GET /", "GET /grants", "GET /static/presence.js", "GET /presence", "GET /login", "POST /login", "GET /nothing/such")
FORM = "application/x-www-form-urlencoded"
BODIES = {
    "many fields": (FORM, b"a&" * 65000),
    "many values": (FORM, b"a=b&" * 32000),
    "many semicolons": (FORM, b"a;" * 65000),
    "many percents": (FORM, b"%" * 131000),
    "many escapes": (FORM, b"%41" * 43000),
    "deep lists": ("application/json", b"[" * 131000),
    "deep objects": ("application/json", b'{"a":' * 26000),
    "many members": ("application/json", b"{" + b",".join(b'"%d":1' % number for number in range(13000)) + b"}"),
    "one key many times": ("application/json", b"{" + b",".join([b'"email":1'] * 11000) + b"}"),
    "a long number": ("application/json", b'{"name": ' + b"9" * 130000 + b"}"),
    "a long fraction": ("application/json", b'{"name": 0.' + b"1" * 130000 + b"}"),
    "a large exponent": ("application/json", b'{"name": 1e' + b"9" * 130000 + b"}"),
    "escapes": ("application/json", b'{"assertion": "' + b"\\u0041" * 21000 + b'"}'),
    "a long assertion": ("application/json", b'{"assertion": "' + b"a." * 60000 + b'"}'),
    "many certificates": ("application/json", b'{"assertion": "' + b"e30.e30.e30~" * 10000 + b'"}'),
    "multipart": ("multipart/form-data; boundary=a", b"--a\r\n" * 26000),
    "multipart headers": ("multipart/form-data; boundary=a", b"--a\r\n" + b"A: b\r\n" * 21000 + b"\r\n--a--"),
    "spaces": ("application/json", b" " * 131000),
    "none": ("application/json", b"\0" * 131000),
}
TARGETS = {
    "segments": "/a" * 4000, "slashes": "/" * 8000, "dots": "/static" + "/.." * 2600, "escapes": "/" + "%2f" * 2600,
    "percents": "/" + "%" * 8000, "bad UTF-8": "/" + "%ff" * 2600, "a file": "/static/" + "a/" * 3900,
    "many fields": "/grants?" + "a&" * 3900, "many semicolons": "/grants?" + "a;" * 3900, "a page": "/grant/" + "a" * 7000,
    "a way back": "/login?next=" + "/" * 7000, "escaped ways": "/login?next=" + "%2f" * 2500,
    "a redirect": "/grant/x?redirect=" + "https:" * 1200,
    "backslashes": "/login?next=/" + "%5c" * 2500, "an application": "/myapps/" + "%C3%A4" * 1300,
}  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    rates = {f"channels__{name}": 100000 for name in ("request_rate", "request_burst", "failures_per_minute", "unsigned_per_address")}
    with running(tmp_path_factory.mktemp("costs"), **rates) as service:
        yield service


def cost(service, request):
    """Return the CPU seconds of a request, exact where they are near the goal or above it."""
    once = mean_cost(service, request, 1)
    return once if once < GOAL_SECONDS - 2 * TICK_SECONDS else mean_cost(service, request, TIMES)


def mean_cost(service, request, times):
    """Return the CPU seconds of a request, the mean of several."""
    before = service.cpu_seconds()
    for _ in range(times):
        with Client(service.port, upgrade=False) as client:
            client.send(request)
            client.read_head()
            if client.status != 101:
                client.body()
    return (service.cpu_seconds() - before) / times


def request_of(line, fields, body=b""):
    """Return a request; ``fields`` override, in whatever case."""
    own = {"host": "127.0.0.1", "accept": "text/html", "connection": "close", **{name.lower(): value for name, value in fields.items()}}
    if line == "GET /presence":
        own = {"upgrade": "websocket", "sec-websocket-key": KEY, "sec-websocket-version": "13", **own}
        own["connection"] = fields.get("Connection", "upgrade")
    if line.startswith("POST"):
        own = {"content-length": str(len(body)), "content-type": "application/json", **own}
    return "\r\n".join([f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in own.items()), "", ""]).encode("latin-1") + body


def check(service, requests):
    """Fail for requests that hold up the hub."""
    costs = {what: cost(service, request) for what, request in requests.items()}
    assert not {what: seconds for what, seconds in costs.items() if seconds >= GOAL_SECONDS}


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_holds_up_the_hub(service, name):
    cases = itertools.product(PATHS if name in ("Cookie", "Authorization") else PATHS[:4], HEADERS[name], SIZES)
    check(
        service,
        {case: request_of(case[0], {name: (case[1] * case[2])[: case[2]]}) for case in cases if case[2] < 8000 or case[0] == "GET /"},
    )


def test_many_headers_hold_up_nobody(service):
    check(service, {name: request_of("GET /", {}).replace(b"\r\n\r\n", b"\r\n" + line * count + b"\r\n") for name, line, count in (
        ("many", b"x:\r\n", 60), ("many cookies", b"Cookie: dpresence=a\r\n", 60), ("too many", b"x:\r\n", 60000),
        ("large", b"X: " + b"a" * 3900 + b"\r\n", 4),
    )})  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_no_body_holds_up_the_hub(service, what):
    kind, body = BODIES[what]
    lines = ("POST /login", "POST /logout", "POST /myapps", "POST /grant/x", "PUT /login")
    check(service, {line: request_of(line, {"Content-Type": kind, "Content-Length": str(len(body))}, body) for line in lines})


@pytest.mark.parametrize("what", TARGETS)
def test_no_target_holds_up_the_hub(service, what):
    check(service, {method: request_of(f"{method} {TARGETS[what]}", {}) for method in ("GET", "POST", "DELETE")})


@pytest.mark.parametrize("hop", ["10.0.0.1", "::1", "1", "", " ", "10.0.0.1%a", "::ffff:10.0.0.1", "[::1]:443", "10.0.0.1:443"])
def test_the_hops_of_a_trusted_proxy_hold_up_nobody(hop):
    forwarding = Forwarding(["10.0.0.0/8", "::/0", "192.168.0.0/16", "2001:db8::/32"], LogLimit(FakeClock()))
    for name, item in (("HTTP_X_FORWARDED_FOR", hop), ("HTTP_FORWARDED", f"for={hop}"), ("HTTP_FORWARDED", f'for="{hop}"')):
        started = time.process_time()
        forwarding.client({"REMOTE_ADDR": "10.0.0.2", name: (f"{item}," * 4096)[:4096]})
        assert time.process_time() - started < 5 * GOAL_SECONDS


@pytest.mark.parametrize("piece", ['"', "a", ",", "for=", ";", "\\", '"\\', " ", '",', 'a="', "a=,", "a=b;", 'a="\\'])
def test_no_forwarded_header_holds_up_the_hub(piece):
    started = time.process_time()
    Forwarding(["10.0.0.0/8"], LogLimit(FakeClock())).client({"REMOTE_ADDR": "10.0.0.2", "HTTP_FORWARDED": (piece * 16384)[:16384]})
    assert time.process_time() - started < 5 * GOAL_SECONDS
