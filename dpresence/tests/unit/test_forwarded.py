"""The client that a trusted proxy speaks for: forms of addresses, both headers, and what is warned of."""

from __future__ import annotations

import pytest

from dpresence.channels.forwarded import Forwarding
from dpresence.limits import LogLimit
from dpresence.tests.support import FakeClock

PROXY = "10.0.0.1"


def client(listed: str = "", forwarded: str = "", peer: str = PROXY, forwarding: Forwarding | None = None) -> str:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": listed, "HTTP_FORWARDED": forwarded}
    return (forwarding or Forwarding(["10.0.0.0/8", "fd00::/8"], LogLimit(FakeClock()))).client(environ)[0]


@pytest.mark.parametrize(("hop", "address"), [
    ("203.0.113.1", "203.0.113.1"),
    ("203.0.113.1:50001", "203.0.113.1"),
    ("2001:DB8::1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:443", "2001:db8::1"),
    ("[::ffff:203.0.113.1]:443", "203.0.113.1"),
    ("[fe80::1%eth0]:443", "fe80::1"),
    ("fe80::1%eth0", "fe80::1"),
    ("203.0.113.1:_obfuscated", "203.0.113.1"),
])  # fmt: skip
def test_a_port_and_brackets_are_no_part_of_an_address(hop: str, address: str) -> None:
    assert client(hop) == client(f"6.6.6.6, {hop}, 10.2.3.4:1234") == address
    assert client(forwarded=f'for="{hop}"') == client(forwarded=f'for=6.6.6.6, For="{hop}";proto=https;by=_a, for=10.2.3.4') == address


@pytest.mark.parametrize("hop", [
    "unknown", "_hidden", "203.0.113.1:", "203.0.113.1:123456", "[203.0.113.1", "[2001:db8::1]443", "client.example.org", "203.0.113",
    "203.0.113.1 203.0.113.2", "-",
])  # fmt: skip
def test_an_invalid_address_counts_as_the_proxy_and_is_warned_of_once(hop: str, caplog: pytest.LogCaptureFixture) -> None:
    forwarding = Forwarding([PROXY], LogLimit(FakeClock()))
    assert [client(f"203.0.113.9, {hop}", forwarding=forwarding), client(hop, forwarding=forwarding)] == [PROXY, PROXY]
    assert client(forwarded=f'for=203.0.113.9, for="{hop}"', forwarding=forwarding) == PROXY
    (warning,) = caplog.messages
    assert f"the proxy {PROXY} sends X-Forwarded-For or Forwarded without the address of its client ('{hop}')" in warning


@pytest.mark.parametrize("header", [
    'for="203.0.113.1', 'for=203.0.113.9;x=", for=203.0.113.1', "for=203.0.113.9;for=203.0.113.1", "for = 203.0.113.1", "203.0.113.1",
    'for=6.6.6.6;x=", for="[2001:db8::1]"', "proto=https", "for=2001:db8::1]", 'for="203.0.113.1"x', "for=",
])  # fmt: skip
def test_a_malformed_forwarded_header_counts_as_the_proxy(header: str) -> None:
    assert client(forwarded=header) == PROXY


@pytest.mark.parametrize("header", ["for=203.0.113.1,", ", for=203.0.113.1 , ,", "for=203.0.113.1;", 'x="\\",for=6.6.6.6";for=203.0.113.1'])
def test_empty_elements_and_quoted_separators_are_skipped(header: str) -> None:
    assert client(forwarded=header) == "203.0.113.1"


def test_a_request_without_headers_is_the_proxys_own(caplog: pytest.LogCaptureFixture) -> None:
    assert client() == client(" ,, ") == client("10.0.0.7", "for=10.0.0.8") == PROXY
    assert not caplog.messages


def test_a_client_behind_a_proxy_that_writes_one_header_forges_nothing_with_the_other(caplog: pytest.LogCaptureFixture) -> None:
    forwarding = Forwarding([PROXY], LogLimit(FakeClock()))
    assert client("203.0.113.1", "for=6.6.6.6", forwarding=forwarding) == PROXY
    assert client("6.6.6.6", "for=203.0.113.1", forwarding=forwarding) == PROXY
    assert client("203.0.113.1:1", "for=203.0.113.1", forwarding=forwarding) == "203.0.113.1"
    (warning,) = caplog.messages
    assert "X-Forwarded-For and Forwarded that name two clients" in warning


@pytest.mark.parametrize("headers", [{"listed": "203.0.113.1"}, {"forwarded": "for=203.0.113.1"}])
def test_headers_of_another_peer_are_ignored_and_one_warning_names_the_setting(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    forwarding = Forwarding([PROXY], LogLimit(FakeClock()))
    assert client(**headers, peer="192.0.2.1", forwarding=forwarding) == "192.0.2.1"
    assert client(**headers, peer="192.0.2.2", forwarding=forwarding) == "192.0.2.2"
    (warning,) = caplog.messages
    assert warning.startswith("a request from 192.0.2.1 has forwarding headers") and "channels.trusted_proxies" in warning


def test_the_development_issuer_takes_no_proxies_and_warns_of_none(caplog: pytest.LogCaptureFixture) -> None:
    assert client("203.0.113.1", peer="127.0.0.1", forwarding=Forwarding([], LogLimit(FakeClock()), warns=False)) == "127.0.0.1"
    assert not caplog.messages


@pytest.mark.parametrize(("headers", "scheme"), [
    ({"HTTP_X_FORWARDED_PROTO": "https"}, "https"),
    ({"HTTP_X_FORWARDED_PROTO": "HTTP"}, "http"),
    ({"HTTP_FORWARDED": "for=203.0.113.1;proto=http, for=10.0.0.2;Proto=https"}, "https"),
    ({"HTTP_X_FORWARDED_PROTO": "gopher"}, None),
    ({}, None),
])  # fmt: skip
def test_the_scheme_is_what_the_proxy_names(headers: dict[str, str], scheme: str | None) -> None:
    assert Forwarding([PROXY], LogLimit(FakeClock())).client({"REMOTE_ADDR": PROXY, **headers})[1] == scheme
    assert Forwarding([], LogLimit(FakeClock())).client({"REMOTE_ADDR": PROXY, **headers})[1] is None
