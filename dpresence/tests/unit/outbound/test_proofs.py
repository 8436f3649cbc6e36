"""Domain proofs that are fetched: over https or http, and from loopback in development."""

from __future__ import annotations

import gzip

import pytest

from dpresence.errors import SlowDown
from dpresence.proofs import DomainProofs
from dpresence.settings import OutboundSettings
from dpresence.slots import Slots
from dpresence.tests.support import body_of

from .child import DOMAIN, LOOPBACK, SECONDS
from .peers import failure, hangs, hangs_after, ok, peer, says, seconds_for


def test_the_proof_is_fetched_over_https_with_a_certificate_for_the_domain(fetch, certificates):
    with peer(says(ok(b" the-key\r\n")), certificates / "good.pem") as (https, requests), peer(says(ok(b"no"))) as (http, plain):
        done = fetch(https, http)
    assert done["result"] == {"body": "the-key", "how": "https"}
    assert done["lookups"] == 1
    lines = requests[0].decode().split("\r\n")
    assert lines[0] == "GET /__presence HTTP/1.1"
    assert sorted(lines[1:-2]) == [
        "Accept-Encoding: identity",
        "Accept: text/plain, */*",
        "Connection: close",
        f"Host: {DOMAIN}",
        "User-Agent: dpresence",
    ]
    assert plain == []


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"the-key", b"Content-Length: 7"),
        ok(b"the-key and more", b"Content-Length: 7"),
        ok(b"3\r\nthe\r\n4;x=y\r\n-key\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
        b"HTTP/1.0 200 OK\r\n\r\nthe-key\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"the-key"),
    ],
)
def test_a_peer_that_keeps_the_connection_open_or_chunks_is_understood(fetch, refused, answer):
    script = says(answer) if b"Content-Length" not in answer and b"chunked" not in answer else hangs_after(answer)
    with peer(script) as (http, _):
        assert fetch.result(refused, http) == {"body": "the-key", "how": "http"}


def test_a_body_of_just_the_cap_is_read_and_one_byte_more_is_size(fetch, refused):
    with peer(says(ok(b"k" * 1024))) as (http, _):
        assert fetch.result(refused, http) == {"body": "k" * 1024, "how": "http"}
    with peer(says(ok(b"k" * 1025))) as (http, _):
        assert fetch.result(refused, http) == failure("size")


@pytest.mark.parametrize("body", [gzip.compress(b"the-key", mtime=0), gzip.compress(b"0" * 900_000, mtime=0)])
def test_a_body_that_claims_gzip_is_never_unpacked(fetch, refused, body):
    with peer(says(ok(body, b"Content-Encoding: gzip"))) as (http, _):
        assert fetch.result(refused, http)["body"] == body.decode("utf-8", "replace").strip()


@pytest.mark.parametrize("answer", [LOOPBACK, LOOPBACK[::-1]])
def test_ipv4_is_preferred(fetch, refused, answer):
    with peer(says(ok(b"the-key"))) as (http, _):
        assert fetch.result(refused, http, answers=[answer]) == {"body": "the-key", "how": "http"}


def test_plain_http_is_tried_at_the_same_address_where_the_https_port_refuses(fetch, refused):
    with peer(says(ok(b"the-key"))) as (http, requests):
        done = fetch(refused, http, answers=[["127.0.0.1"], ["127.0.0.2"]])
    assert done["result"] == {"body": "the-key", "how": "http"}
    assert done["lookups"] == 1
    assert f"Host: {DOMAIN}\r\n".encode() in requests[0]


def test_plain_http_is_not_tried_when_the_setting_forbids_it(fetch, refused):
    with peer(says(ok(b"the-key"))) as (http, requests):
        assert fetch.result(refused, http, http_proof=False) == failure("refused")
    assert requests == []


def test_refusal_on_both_ports_says_that_nothing_listens(fetch, refused):
    assert fetch.result(refused, refused) == failure("refused")


@pytest.mark.parametrize(("script", "details"), [(says(b"HTTP/1.1 404 No\r\n\r\n"), "status"), (hangs, "timeout"), (says(b""), "status")])
def test_plain_http_is_never_tried_after_anything_else(fetch, certificates, script, details):
    with peer(script, certificates / "good.pem") as (https, _), peer(says(ok(b"the-key"))) as (http, requests):
        assert fetch.result(https, http, timeout_seconds=seconds_for(details)) == failure(details)
    assert requests == []


@pytest.mark.parametrize("name", ["foreign", "common", "expired", "stranger", "unknown"])
def test_a_certificate_that_does_not_speak_for_the_domain_is_tls_and_no_request_is_sent(fetch, certificates, name):
    with (
        peer(says(ok(b"the-key")), certificates / f"{name}.pem") as (https, requests),
        peer(says(ok(b"the-key"))) as (http, plain),
    ):
        assert fetch.result(https, http) == failure("tls")
    assert requests in ([], [b""])
    assert plain == []


def test_a_peer_that_does_not_speak_tls_is_tls(fetch):
    with peer(says(ok(b"the-key"))) as (https, _), peer(says(ok(b"the-key"))) as (http, plain):
        assert fetch.result(https, http) == failure("tls")
    assert plain == []


def test_a_handshake_that_hangs_is_timeout(fetch, refused):
    with peer(hangs) as (https, _):
        assert fetch.result(https, refused, timeout_seconds=SECONDS) == failure("timeout")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_loopback_domain_is_fetched_by_http_where_that_is_allowed(fetch, refused, host):
    with peer(says(ok(b"the-key"))) as (port, requests):
        done = fetch(refused, refused, domain=f"{host}:{port}", allow_loopback=True)
        assert fetch.result(refused, refused, domain=f"{host}:{port}") == failure("dns")
    assert done["result"] == {"body": "the-key", "how": "http"}
    assert done["lookups"] == 0
    assert len(requests) == 1
    assert f"Host: {host}:{port}\r\n".encode() in requests[0]


def test_a_loopback_domain_that_refuses_says_that_nothing_listens(fetch, refused):
    assert fetch.result(refused, refused, domain=f"localhost:{refused}", allow_loopback=True) == failure("refused")


@pytest.mark.slow
def test_a_fetch_for_which_no_slot_becomes_free_is_slowed_down(monkeypatch):
    outbound = DomainProofs(OutboundSettings(timeout_seconds=1))
    monkeypatch.setattr(outbound, "_slots", Slots(0, 1))
    with pytest.raises(SlowDown) as refused:
        outbound.fetch(DOMAIN, "dev")
    assert body_of(refused.value) == {"result": "KO", "errno": 117, "error": "too many domains are being validated", "retry_after": 1}
