"""Responses of hostile servers: each is refused in time, by its class of failure."""

from __future__ import annotations

import socket

import pytest

from dpresence.proofs import DomainProofs
from dpresence.settings import OutboundSettings

from .child import LOOPBACK, found
from .peers import details, failure, hangs, hangs_after, ok, peer, says, says_again, seconds_for

REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/latest/meta-data\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.slow
def test_a_redirect_is_not_followed(fetch, refused):
    with peer(says(ok(b"secret"))) as (inside, requests), peer(says(REDIRECT % inside)) as (http, _):
        assert fetch.result(refused, http) == failure("status")
    assert requests == []


HOSTILE = {
    "no content": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), "status"),
    "server error": (says(b"HTTP/1.1 500 Oops\r\n\r\nthe-key"), "status"),
    "not http": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "status"),
    "nothing": (says(b""), "status"),
    "half a status line": (says(b"HTTP/1.1 2"), "status"),
    "bad chunk": (says(ok(b"zz\r\nthe-key\r\n", b"Transfer-Encoding: chunked")), "status"),
    "negative chunk": (says(ok(b"-5\r\nthe-key\r\n", b"Transfer-Encoding: chunked")), "status"),
    "101 headers": (says(ok(b"the-key", *[b"X: y"] * 101)), "status"),
    "endless body": (says_again(ok(b""), b"0" * 65536), "size"),
    "endless chunks": (says_again(ok(b"", b"Transfer-Encoding: chunked"), b"1\r\n0\r\n"), "size"),
    "endless chunk extension": (says_again(ok(b"1;", b"Transfer-Encoding: chunked"), b"x" * 65536), "size"),
    "huge content-length": (hangs_after(ok(b"the-key", b"Content-Length: 1000000000000")), "size"),
    "huge chunk": (hangs_after(ok(b"FFFFFFFFFF\r\n" + b"0" * 1025, b"Transfer-Encoding: chunked")), "size"),
    "endless header": (says_again(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536), "size"),
    "long headers": (says_again(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60000 + b"\r\n"), "size"),
    "endless 100 continue": (says_again(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500), "size"),
    "drip of a body": (says_again(ok(b"", b"Content-Length: 100"), b"0", 0.05), "timeout"),
    "drip of a header": (says_again(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.05), "timeout"),
    "hang": (hangs, "timeout"),
    "hang in the body": (hangs_after(ok(b"the", b"Content-Length: 7")), "timeout"),
}


@pytest.mark.parametrize(("script", "details"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_refused_in_time_by_its_class(fetch, refused, script, details):
    with peer(script) as (http, _):
        assert fetch.result(refused, http, timeout_seconds=seconds_for(details)) == failure(details)


def test_each_wait_has_a_deadline_even_where_sockets_are_not_cooperative(refused):
    settings = OutboundSettings(timeout_seconds=0.1)
    with peer(hangs) as (http, _):
        outbound = DomainProofs(
            settings, resolve=lambda *_, **__: found("127.0.0.1"), is_public=LOOPBACK.__contains__, ports=(refused, http)
        )
        assert details(outbound) == "timeout"


def test_a_reset_is_no_status(fetch, refused):
    def resets(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with peer(resets) as (http, _):
        assert fetch.result(refused, http) == failure("status")
