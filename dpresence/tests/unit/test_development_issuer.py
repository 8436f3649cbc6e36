"""The development issuer's assertions pass its own verifier, and no other."""

from __future__ import annotations

import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from dpresence.errors import InvalidAssertion, WrongValue
from dpresence.identity.browserid import BrowserIDVerifier, replay_digest
from dpresence.identity.development import DevelopmentIssuer
from dpresence.tests.browserid_support import unb64
from dpresence.tests.support import EPOCH, FakeClock

AUDIENCE = "http://127.0.0.1:8282"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def development(clock: FakeClock) -> DevelopmentIssuer:
    return DevelopmentIssuer(AUDIENCE, clock)


@pytest.fixture
def verifier(development: DevelopmentIssuer, clock: FakeClock) -> BrowserIDVerifier:
    return BrowserIDVerifier(AUDIENCE, (development.issuer,), clock)


def claims(token: str) -> dict[str, object]:
    return json.loads(unb64(token.split(".")[1]))


@pytest.mark.parametrize("email", ["ann@example.org", "bob@localhost", "Ann.B+c@EXAMPLE.org"])
def test_any_address_gets_an_assertion_that_is_good_for_two_minutes(
    email: str, development: DevelopmentIssuer, verifier: BrowserIDVerifier, clock: FakeClock
) -> None:
    bundle = development.mint(email)
    identity = verifier.verify(bundle)
    local, _, domain = email.partition("@")
    assert identity.email == identity.subject == f"{local}@{domain.lower()}"
    assert (identity.issuer, identity.expires_at) == ("dev.invalid", EPOCH + 120_000)
    clock.advance(120)
    with pytest.raises(InvalidAssertion, check=lambda refused: refused.reason == "expired"):
        verifier.verify(bundle)


def test_a_certificate_lasts_an_hour(development: DevelopmentIssuer) -> None:
    certificate, _, _ = development.mint("ann@example.org").partition("~")
    assert claims(certificate)["exp"] == EPOCH + 3_600_000


def test_two_assertions_of_one_moment_differ(development: DevelopmentIssuer) -> None:
    assert len({replay_digest(development.mint(email)) for email in ("ann@example.org", "ann@example.org", "bob@example.org")}) == 3


def test_it_is_called_dev_invalid_and_speaks_for_all(development: DevelopmentIssuer) -> None:
    assert (development.issuer.name, development.issuer.domains) == ("dev.invalid", frozenset({"*"}))
    assert all(key.keys() == {"algorithm", "n", "e"} for key in development.issuer.keys)


def test_another_start_has_another_key(development: DevelopmentIssuer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{DevelopmentIssuer.__module__}.generate_private_key", generate_private_key)  # which other tests share
    other = BrowserIDVerifier(AUDIENCE, (DevelopmentIssuer(AUDIENCE, clock).issuer,), clock)
    with pytest.raises(InvalidAssertion, check=lambda refused: refused.reason == "signature"):
        other.verify(development.mint("ann@example.org"))


def test_its_assertions_are_for_its_own_audience(development: DevelopmentIssuer, clock: FakeClock) -> None:
    other = BrowserIDVerifier("https://presence.example.org", (development.issuer,), clock)
    with pytest.raises(InvalidAssertion, check=lambda refused: refused.reason == "audience"):
        other.verify(development.mint("ann@example.org"))


@pytest.mark.parametrize(
    "email", ["", "ann", "ann@", "@example.org", "ann@example.org\n", "\u00e4nn@example.org", "a" * 250 + "@b.org", None, 5, {}]
)
def test_an_invalid_address_is_refused(email: object, development: DevelopmentIssuer) -> None:
    with pytest.raises(WrongValue, match=r"^email: "):
        development.mint(email)


def test_minting_is_cheap(development: DevelopmentIssuer) -> None:
    started = time.process_time()
    for _ in range(20):
        development.mint("ann@example.org")
    seconds = (time.process_time() - started) / 20
    print(f"{seconds * 1000:.2f} ms of CPU for one assertion")
    assert seconds < 0.1
