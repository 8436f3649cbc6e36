"""Addresses that may be connected to."""

from __future__ import annotations

import errno
import ipaddress
import os
import random
import socket
import time
from unittest.mock import patch

import gevent
import gevent.event
import pytest

from dpresence.networks import is_public
from dpresence.proofs import DomainProofs
from dpresence.settings import OutboundSettings
from dpresence.webhook_requests import DeliveryResult, WebhookRequests

from .child import DOMAIN, found
from .peers import details, failure, ok, peer, says

NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::808:808",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::",
    "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_never_connected_to(address):
    assert not is_public(address)
    assert details(DomainProofs(OutboundSettings(), resolve=lambda *_, **__: found(address))) == "dns"


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "172.15.0.1", "172.32.0.1", "::ffff:8.8.8.8", "2606:4700::1111", "2a00::1"]
)
def test_addresses_of_the_open_internet_are_public(address):
    assert is_public(address)


def test_nothing_is_public_that_the_standard_library_calls_private():
    draw = random.Random(7)
    addresses = [ipaddress.IPv4Address(draw.getrandbits(32)) for _ in range(5000)]
    addresses += [ipaddress.IPv6Address(draw.getrandbits(128) >> draw.choice([0, 3, 96])) for _ in range(5000)]
    assert [ip for ip in addresses if is_public(str(ip)) and (not ip.is_global or ip.is_multicast)] == []


@pytest.mark.parametrize(
    "answer",
    [("8.8.8.8", "127.0.0.1"), ("127.0.0.1", "8.8.8.8"), ("8.8.8.8", "2606:4700::1111", "::ffff:10.0.0.1"), ("8.8.8.8", "fe80::1")],
)
def test_one_private_address_among_public_ones_refuses_the_name(answer):
    assert details(DomainProofs(OutboundSettings(), resolve=lambda *_, **__: found(*answer))) == "dns"


def test_a_listener_inside_sees_no_connection():
    with peer(says(ok(b"secret"))) as (inside, requests):
        outbound = DomainProofs(OutboundSettings(), resolve=lambda *_, **__: found("127.0.0.1"), ports=(inside, inside))
        assert details(outbound) == "dns"
    assert requests == []


@pytest.mark.slow
def test_a_name_that_changes_after_the_lookup_is_fetched_where_it_was(fetch, certificates):
    with peer(says(ok(b"the-key")), certificates / "good.pem") as (https, _):
        done = fetch(https, https, answers=[["127.0.0.1"], ["127.0.0.2"]])
        assert fetch.result(https, https, answers=[["127.0.0.2"], ["127.0.0.1"]]) == failure("dns")
    assert done == {"result": {"body": "the-key", "how": "https"}, "seconds": done["seconds"], "lookups": 1}


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "Name or service not known"), OSError("no resolver"), UnicodeError("label too long")]
)
def test_a_name_without_an_address_is_dns(error):
    def resolve(*_, **__):
        raise error

    assert details(DomainProofs(OutboundSettings(), resolve=resolve)) == "dns"
    assert details(DomainProofs(OutboundSettings(), resolve=lambda *_, **__: [])) == "dns"


def test_a_developer_whose_webhook_leads_to_a_name_of_the_operators_network_learns_neither_its_address_nor_that_it_exists(caplog):
    def fail(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    answers = [fail, lambda *_, **__: [], lambda *_, **__: found("10.1.2.3"), lambda *_, **__: found("8.8.8.8", "fd00::1")]
    with caplog.at_level("INFO"):
        sent = [
            WebhookRequests(OutboundSettings(), resolve=resolve).post("https://db.example.org/hook", pytest.fail) for resolve in answers
        ]
    assert set(sent) == {DeliveryResult("dns", None, "the name has no public address", 0)}, "nor how long the look-up took"
    assert "a webhook at db.example.org was sent nothing: the address 10.1.2.3 is not public" in caplog.text
    assert "/hook" not in caplog.text


@pytest.mark.slow
def test_nobody_learns_by_the_time_of_an_answer_whether_a_name_of_the_operators_network_exists(monkeypatch):
    monkeypatch.setattr("dpresence.public_fetcher.FAILED_LOOKUP_SECONDS", 0.5)

    def fail_late(*_, **__):
        gevent.sleep(0.3)
        raise socket.gaierror(-2, "Name or service not known")

    for resolve in (fail_late, lambda *_, **__: found("10.1.2.3")):
        webhooks, proofs = WebhookRequests(OutboundSettings(), resolve=resolve), DomainProofs(OutboundSettings(), resolve=resolve)
        for ask in (lambda: webhooks.post("https://db.example.org/hook", pytest.fail), lambda: details(proofs)):  # noqa: B023 called here
            began = time.monotonic()
            ask()
            assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EADDRNOTAVAIL])
def test_a_developer_learns_nothing_of_the_operators_network_from_a_failed_connection(number, caplog):
    failed = OSError(number, os.strerror(number))
    requests = WebhookRequests(OutboundSettings(), resolve=lambda *_, **__: found("8.8.8.8"))
    with patch.object(socket, "create_connection", side_effect=failed):
        sent = requests.post("https://hook.example.org/hook", pytest.fail)
        outbound = DomainProofs(OutboundSettings(), resolve=lambda *_, **__: found("8.8.8.8"))
        with caplog.at_level("INFO"):
            assert details(outbound) == "status"
    assert (sent.outcome, sent.error) == ("status", "no connection")
    assert f"at 8.8.8.8 ({os.strerror(number).lower()}): no connection" in caplog.text, "the operator does"


def test_a_lookup_that_hangs_is_timeout():
    outbound = DomainProofs(OutboundSettings(timeout_seconds=0.05), resolve=lambda *_, **__: gevent.sleep(10))
    assert details(outbound) == "timeout"


def test_the_deadline_of_the_caller_is_not_taken_for_the_fetch_s_own():
    outbound = DomainProofs(OutboundSettings(), resolve=lambda *_, **__: gevent.sleep(10))
    with pytest.raises(gevent.Timeout) as expired, gevent.Timeout(0.05) as deadline:
        outbound.fetch(DOMAIN)
    assert expired.value is deadline


@pytest.mark.parametrize("domain", ["localhost:8000", "127.0.0.1", "example.org:22", "example.org\r\nX: y", "[::1]"])
def test_a_name_that_is_no_domain_is_not_even_looked_up(domain):
    assert details(DomainProofs(OutboundSettings(), resolve=lambda *_, **__: pytest.fail("looked up")), domain) == "dns"
