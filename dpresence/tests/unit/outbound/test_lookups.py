"""Look-ups of domain proofs: who waits for a name that gets no answer, which address is tried, and what the log knows of it."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import gevent
import gevent.socket
import pytest
from gevent.resolver.ares import Resolver

from dpresence import networks as module
from dpresence.errors import ProofFailed, SlowDown
from dpresence.proofs import FETCHES_IN_FLIGHT, FETCHES_OF_OWNER, DomainProofs
from dpresence.settings import OutboundSettings
from dpresence.tests.support import body_of
from dpresence.tests.waiting import eventually

from .child import DOMAIN, LOOPBACK, found
from .peers import details, failure, peer, says

SECONDS = 1.0


class NameServer:
    """A real DNS server on a UDP port of loopback.

    :ivar addresses: what it answers, by name; it says nothing about any other.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self.asked: list[str] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self.socket.sendto(b"", self.socket.getsockname())
        self._thread.join()
        self.socket.close()

    def _serve(self) -> None:
        while query := self.socket.recvfrom(512):
            packet, peer_address = query
            if not packet:
                return
            labels, at = [], 12
            while packet[at]:
                labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
                at += 1 + packet[at]
            name, question = ".".join(labels).lower(), packet[12 : at + 5]
            self.asked.append(name)
            if name in self.addresses:
                self.socket.sendto(self._answer(packet[:2], question, self.addresses[name]), peer_address)

    def _answer(self, number: bytes, question: bytes, address: str) -> bytes:
        """Return the answer: the address to a question of type A, nothing to others; a name error where there is no address."""
        wanted = question[-4:-2] == b"\0\1" and bool(address)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address) if wanted else b""
        flags = b"\x81\x80" if address else b"\x81\x83"
        return number + flags + b"\0\1" + bytes((0, wanted)) + b"\0\0\0\0" + question + record


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """The one server that c-ares asks here."""
    server = NameServer()
    monkeypatch.setattr(module, "Resolver", partial(Resolver, servers="127.0.0.1", udp_port=server.port))
    yield server
    server.close()


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


# -- names that get no answer


@pytest.mark.slow
def test_names_that_get_no_answer_hold_up_no_look_up_of_anybody_else(names: NameServer) -> None:
    gevent.socket.getaddrinfo("localhost", 80)  # starts the thread that it needs
    before, open_before = threads(), len(os.listdir("/proc/self/fd"))
    outbound = DomainProofs(OutboundSettings(timeout_seconds=5 * SECONDS))
    hanging = [gevent.spawn(details, outbound, f"n{number}.example.org") for number in range(60)]
    while len(set(names.asked)) < 60:  # all of them are asked for at once
        gevent.sleep(0.01)
        assert not any(greenlet.dead for greenlet in hanging)
    with gevent.Timeout(SECONDS):
        assert gevent.socket.getaddrinfo("localhost", 80), "as a provider's or a database's name is"
    names.addresses["good.example.org"] = "10.0.0.1"
    assert details(outbound, "good.example.org") == "dns", "another proof has its answer, too"
    assert sum(not greenlet.dead for greenlet in hanging) == 60, "meanwhile all of them still waited"
    assert threads() == before
    assert [greenlet.get() for greenlet in hanging] == ["timeout"] * 60
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= open_before + 1)  # none is waited for any more


@pytest.mark.slow
def test_a_developer_has_two_proofs_under_way_and_leaves_the_others_theirs(names: NameServer) -> None:
    outbound = DomainProofs(OutboundSettings(timeout_seconds=SECONDS))

    def ask(owner: str) -> str:
        with pytest.raises((ProofFailed, SlowDown)) as refused:
            outbound.fetch(DOMAIN, owner)
        return refused.value.error

    greedy = [gevent.spawn(ask, "dev") for _ in range(10)]
    others = [gevent.spawn(ask, f"other-{number}") for number in range(20)]
    service = [gevent.spawn(ask, "") for _ in range(5)]
    gevent.joinall(greedy + others + service)
    slowed = "too many of your domains are being validated"
    timeout = "the domain could not be validated: timeout"
    assert [one.value for one in greedy] == [timeout] * FETCHES_OF_OWNER + [slowed] * (10 - FETCHES_OF_OWNER)
    assert {one.value for one in others + service} == {timeout}
    assert ask("dev") == timeout, "then there is room again"
    assert not outbound._slots._of_owner, "nobody is remembered"


@pytest.mark.slow
def test_the_service_s_own_looks_are_never_slowed_down_and_take_nobodys_slot(names: NameServer) -> None:
    outbound = DomainProofs(OutboundSettings(timeout_seconds=SECONDS))
    many = [gevent.spawn(details, outbound) for _ in range(FETCHES_IN_FLIGHT + 5)]
    gevent.sleep(0)
    names.addresses["good.example.org"] = "10.0.0.1"
    assert details(outbound, "good.example.org", "dev") == "dns"
    assert {one.get() for one in many} == {"timeout"}


@pytest.mark.slow
def test_developers_whose_domains_never_answer_hold_up_no_proof_of_another(names: NameServer) -> None:
    names.addresses["good.example.org"] = "10.0.0.1"
    outbound = DomainProofs(OutboundSettings(timeout_seconds=5))

    def go_on(owner: str) -> None:
        while True:
            with suppress(ProofFailed, SlowDown):
                outbound.fetch("silent.example.org", owner)

    crowd = [gevent.spawn(go_on, f"dev-{number // 2}") for number in range(2 * FETCHES_IN_FLIGHT)]
    gevent.sleep(0.1)
    for number in range(3):
        assert details(outbound, "good.example.org", f"honest-{number}") == "dns", "its answer, and not that it is to come again"
    gevent.killall(crowd)
    assert not outbound._slots._of_owner


# -- what the asker learns


def test_a_private_name_and_one_that_does_not_exist_look_the_same_but_in_the_log(
    names: NameServer, caplog: pytest.LogCaptureFixture
) -> None:
    names.addresses |= {"inside.example.org": "10.1.2.3", "nowhere.example.org": ""}
    outbound, errors = DomainProofs(OutboundSettings()), []
    with caplog.at_level(logging.INFO):
        for domain in ("inside.example.org", "nowhere.example.org"):
            with pytest.raises(ProofFailed) as failed:
                outbound.fetch(domain)
            errors.append(body_of(failed.value))
    assert errors == [failure("dns")] * 2
    inside, nowhere = (record.getMessage() for record in caplog.records if record.name == "dpresence.proofs")
    url = "https://inside.example.org/__presence"
    assert (
        inside
        == f"the proof of inside.example.org failed: dns: {url}: the address 10.1.2.3 is not public and not in outbound.allow_networks"
    )
    assert nowhere == (
        "the proof of nowhere.example.org failed: dns: https://nowhere.example.org/__presence: "
        "the name cannot be resolved (name or service not known)"
    )


def test_the_log_says_the_address_and_what_came_and_the_answer_does_not(refused: int, caplog: pytest.LogCaptureFixture) -> None:
    with peer(says(b"HTTP/1.1 403 Go\xe2\x80\xae away\r\n\r\n")) as (http, _), caplog.at_level(logging.INFO):
        outbound = DomainProofs(
            OutboundSettings(), resolve=lambda *_, **__: found("127.0.0.1"), is_public=LOOPBACK.__contains__, ports=(refused, http)
        )
        assert details(outbound) == "status"
    (said,) = (record.getMessage() for record in caplog.records if record.name == "dpresence.proofs")
    url = f"{DOMAIN}/__presence at 127.0.0.1"
    assert said.startswith(f"the proof of {DOMAIN} failed: status: https://{url}: connection refused; http://{url}: status 403 'Go")
    assert said.isascii()
