"""Hosts with several addresses, private networks and certificate authorities, and the text of a proof."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dpresence.errors import SettingError
from dpresence.proofs import DomainProofs
from dpresence.public_fetcher import public_fetcher
from dpresence.settings import OutboundSettings
from dpresence.tests.waiting import PATIENCE_SECONDS

from .child import DOMAIN, LOOPBACK, found
from .peers import details, failure, ok, peer, says


@contextmanager
def silent() -> Iterator[int]:
    """A port of 127.0.0.1 where a connection is never answered, as its queue is full; nobody listens there on ::1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


@contextmanager
def answers_on_ipv6(port: int) -> Iterator[None]:
    """Serve the key on ::1."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(ok(b"the-key"))

    with socket.create_server(("::1", port), family=socket.AF_INET6) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(PATIENCE_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["silent", "refuses"])
def test_the_next_address_is_tried_where_the_first_does_not_answer(fetch, refused: int, first: str) -> None:
    if first == "silent":
        with silent() as port, answers_on_ipv6(port):
            assert fetch.result(refused, port, answers=[LOOPBACK]) == {"body": "the-key", "how": "http"}
    else:
        with answers_on_ipv6(refused):
            assert fetch.result(1, refused, answers=[LOOPBACK]) == {"body": "the-key", "how": "http"}


def test_the_log_has_every_address_that_was_tried_and_why_it_failed(refused: int, caplog: pytest.LogCaptureFixture) -> None:
    outbound = DomainProofs(
        OutboundSettings(http_proof=False),
        resolve=lambda *_, **__: found(*LOOPBACK),
        is_public=LOOPBACK.__contains__,
        ports=(refused, refused),
    )
    with caplog.at_level(logging.INFO):
        assert details(outbound) == "refused"
    (message,) = (record.getMessage() for record in caplog.records if record.name == "dpresence.proofs")
    tried = f"https://{DOMAIN}/__presence at 127.0.0.1 (connection refused), at ::1: connection refused"
    assert message == f"the proof of {DOMAIN} failed: refused: {tried}; outbound.http_proof is false"


@pytest.mark.slow
def test_addresses_that_all_do_not_answer_are_over_in_time(fetch) -> None:
    with silent() as port:
        assert fetch.result(port, port, answers=[["127.0.0.1"] * 8], timeout_seconds=1.2) == failure("timeout")


def test_an_allowed_network_is_fetched_from_although_it_is_not_public(fetch, certificates) -> None:
    with peer(says(ok(b"the-key")), certificates / "good.pem") as (https, _):
        assert fetch.result(https, https, answers=[["127.0.0.2"]]) == failure("dns")
        options = {"answers": [["127.0.0.1"]], "allow_networks": ["127.0.0.0/8"]}
        assert fetch.result(https, https, **options) == {"body": "the-key", "how": "https"}


@pytest.mark.parametrize(("allowed", "address"), [("10.0.0.0/8", "10.1.2.3"), ("10.0.0.0/8", "::ffff:10.1.2.3"), ("fd00::/8", "fd00::1")])
def test_only_what_is_in_an_allowed_network_may_be_connected_to(allowed: str, address: str) -> None:
    assert public_fetcher(OutboundSettings(allow_networks=(allowed,)), seconds=1, body_bytes=1)._may_connect(address)
    for other in ("11.0.0.1" if allowed[0] == "f" else "192.168.0.1", "127.0.0.1", "169.254.169.254", "fe80::1"):
        if other != "11.0.0.1":
            assert not public_fetcher(OutboundSettings(allow_networks=(allowed,)), seconds=1, body_bytes=1)._may_connect(other)


def test_an_authority_of_the_operator_s_own_is_trusted_besides_the_system_s(fetch, certificates) -> None:
    for name, trusted in (
        ("stranger", {}),
        ("stranger", {"ca_file": str(certificates / "unknown.pem")}),
        ("good", {"ca_file": str(certificates / "unknown.pem")}),
    ):
        with peer(says(ok(b"the-key")), certificates / f"{name}.pem") as (https, _):
            expected = {"body": "the-key", "how": "https"} if trusted else failure("tls")
            assert fetch.result(https, https, **trusted) == expected


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_of_authorities_that_is_none_stops_the_start(tmp_path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text:
        file.write_text(text)
    with pytest.raises(SettingError, match=r"^outbound\.ca_file: must be a file with certificates, PEM \("):
        DomainProofs(OutboundSettings(ca_file=str(file)))


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbfthe-key",
        b"the-key\n",
        b"\xef\xbb\xbf the-key\r\n",
        "the-key\r\n".encode("utf-16"),
        b"\xfe\xff" + "the-key".encode("utf-16-be"),
    ],
)
def test_a_key_that_an_editor_saved_is_the_key_all_the_same(fetch, refused: int, body: bytes) -> None:
    with peer(says(ok(body))) as (http, _):
        assert fetch.result(refused, http) == {"body": "the-key", "how": "http"}
