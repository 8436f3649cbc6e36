"""BrowserID bundles that are accepted, their single use, and the key files of issuers."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import browserid.crypto
import browserid.jwt
import browserid.netutils
import pytest
from browserid.errors import InvalidIssuerError

from dpresence.errors import InvalidAssertion, SettingError
from dpresence.identity.browserid import replay_digest
from dpresence.identity.browserid_keys import load_issuers
from dpresence.settings import BrowserIDSettings, IssuerSettings
from dpresence.tests.browserid_support import (
    EMAIL,
    GOOD,
    ISSUER,
    MINUTE,
    assertion,
    b64,
    bundle,
    certificate,
    issuer,
    key,
    unb64,
    verifier,
)
from dpresence.tests.support import EPOCH

from .bundles import USER_ALGORITHMS, refusal, with_certificate, with_claims


@pytest.mark.parametrize("alg", USER_ALGORITHMS)
def test_a_good_bundle_is_accepted(alg: str) -> None:
    assert verifier().verify(bundle(alg)) == GOOD


def test_only_bundles_are_taken_on() -> None:
    assert verifier().accepts(bundle())
    assert not verifier().accepts(assertion())


def test_the_identity_ends_with_the_earlier_token() -> None:
    short = certificate(exp=EPOCH + MINUTE) + "~" + assertion()
    assert verifier().verify(short).expires_at == EPOCH + MINUTE


def test_both_keys_of_an_issuer_that_changes_keys_are_good_and_a_third_is_not() -> None:
    both = issuer(key("issuer"), key("next issuer"))
    renewed = certificate(by=key("next issuer")) + "~" + assertion()
    assert verifier(both).verify(bundle()) == verifier(both).verify(renewed) == GOOD
    assert refusal(renewed) == "signature"
    assert refusal(certificate(by=key("other")) + "~" + assertion(), both) == "signature"


@pytest.mark.slow
@pytest.mark.parametrize(("alg", "bits"), [*((alg, 2048) for alg in USER_ALGORITHMS), ("RS256", 2052)])
def test_a_signature_without_its_leading_zeros_is_good(alg: str, bits: int) -> None:
    user = key("user", alg, bits)
    for n in range(10_000):
        text = assertion(by=user, exp=EPOCH + MINUTE + n)
        signed, _, signature = text.rpartition(".")
        if unb64(signature)[0] == 0:
            break
    stripped = f"{certificate(user_key=user.public)}~{signed}.{b64(unb64(signature).lstrip(bytes(1)))}"
    assert verifier().verify(stripped).email == EMAIL


def test_the_domain_comes_back_in_lower_case() -> None:
    mixed = with_certificate(principal={"email": "Ann@Example.ORG"})
    assert verifier().verify(mixed).email == verifier().verify(mixed).subject == "Ann@example.org"


def test_an_assertion_has_one_digest_however_it_is_dressed() -> None:
    user = key("user", "DS128")
    signed_twice = (assertion(by=user), assertion(by=user))
    bundles = [f"{certificate(user_key=user.public, iat=EPOCH - n)}~{each}" for n in (1, 2) for each in signed_twice]
    assert len(set(bundles)) == 4
    assert {verifier().verify(each) for each in bundles} == {GOOD}
    assert len({replay_digest(each) for each in bundles}) == 1
    assert len(replay_digest(bundles[0])) == 32
    assert verifier().digest(bundles[0]) == replay_digest(bundles[0])


def test_two_assertions_have_two_digests_even_of_one_millisecond() -> None:
    bob = certificate(principal={"email": "bob@example.org"}) + "~" + assertion()
    assert len({replay_digest(each) for each in (bundle(), bob, with_claims(exp=EPOCH + 1))}) == 3


@pytest.mark.parametrize("text", ["", "~", "a~b", bundle() + "!", bundle().replace("~", "~~")])
def test_an_invalid_bundle_has_no_digest(text: str) -> None:
    with pytest.raises(InvalidAssertion):
        replay_digest(text)


def test_pybrowserids_own_arithmetic_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def used(*_: object) -> bool:
        pytest.fail("PyBrowserID's own arithmetic was used")

    bundles = [bundle(alg) for alg in USER_ALGORITHMS]
    for place in ("RSKey", "DSKey"):
        monkeypatch.setattr(getattr(browserid.crypto, place), "verify", used)
        monkeypatch.setattr(getattr(browserid.crypto, place), "__init__", used)
    monkeypatch.setattr(browserid.jwt, "load_key", used)
    assert [verifier().verify(text) for text in bundles] == [GOOD] * 3
    assert refusal(certificate() + "~" + assertion(by=key("other"))) == "signature"


def test_no_address_is_ever_contacted(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> None:
        pytest.fail("a socket was opened")

    foreign = with_certificate(iss="localhost:8080", principal={"email": "x@localhost"})
    delegated = with_certificate(iss="idp.example", principal={"email": "x@delegates.example"})
    with_port = with_certificate(iss="169.254.169.254:80", principal={"email": "x@169.254.169.254:80"})
    good = bundle()
    monkeypatch.setattr(socket, "socket", opened)
    monkeypatch.setattr(socket, "getaddrinfo", opened)
    monkeypatch.setattr(browserid.netutils, "get", opened)
    assert verifier().verify(good) == GOOD
    assert refusal(foreign) == refusal(delegated) == "issuer"
    assert refusal(with_port) == "email"
    with pytest.raises(InvalidIssuerError):
        verifier()._keys.get_support_document("example.org")


def test_refusals_are_not_kept_and_do_not_grow() -> None:
    checked, unknown, depths = verifier(), with_certificate(iss="unknown.example"), []
    for _ in range(50):
        with pytest.raises(InvalidAssertion) as caught:
            checked.verify(unknown)
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1


def settings(*files: object, domains: tuple[str, ...] = ("example.org",)) -> BrowserIDSettings:
    return BrowserIDSettings((ISSUER,), (IssuerSettings(ISSUER, tuple(map(str, files)), domains),))


def test_key_files_are_read_bare_or_as_support_documents(tmp_path: Path) -> None:
    bare, document = tmp_path / "bare.json", tmp_path / "document.json"
    bare.write_text(json.dumps(key("issuer").public | {"comment": "2026"}))
    document.write_text(json.dumps({"public-key": key("next issuer").public, "authentication": "/sign_in", "provisioning": "/provision"}))
    assert load_issuers(settings(bare, document)) == (issuer(key("issuer"), key("next issuer")),)
    assert verifier(*load_issuers(settings(bare))).verify(bundle()) == GOOD
    assert load_issuers(BrowserIDSettings()) == ()


BAD_FILES = {
    "not JSON": lambda: "-----BEGIN PUBLIC KEY-----",
    "not UTF-8": lambda: b"\xff\xfe\x00",
    "a list": lambda: "[1]",
    "deep": lambda: "[" * 100_000,
    "empty": lambda: "",
    "no key": lambda: "{}",
    "a key that is none": lambda: '{"public-key": 5}',
    "no exponent": lambda: json.dumps({"algorithm": "RS", "n": key("issuer").public["n"]}),
    "numbers": lambda: json.dumps({"algorithm": "RS", "n": int(key("issuer").public["n"]), "e": 65537}),
    "DS": lambda: json.dumps(key("user", "DS256").public),
    "1024 bits": lambda: json.dumps(key("sized", bits=1024).public),
    "3072 bits": lambda: json.dumps(key("sized", bits=3072).public),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_key_file_stops_the_start_and_is_named(name: str, tmp_path: Path) -> None:
    content, file = BAD_FILES[name](), tmp_path / "issuer.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingError) as caught:
        load_issuers(settings(file))
    for word in (f"browserid.{ISSUER}.keys: file 1 must be", "RS", "2048 bits", "JSON"):
        assert word in str(caught.value)


def test_a_key_file_that_is_not_there_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=rf"browserid\.{ISSUER}\.keys: file 1 .*\(No such file or directory\)"):
        load_issuers(settings(tmp_path / "absent.json"))


@pytest.mark.parametrize(("domains", "warned"), [(("*",), True), (("example.org",), False)])
def test_an_issuer_for_every_domain_is_warned_about(
    domains: tuple[str, ...], warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "issuer.json"
    file.write_text(json.dumps(key("issuer").public))
    assert load_issuers(settings(file, domains=domains))[0].domains == frozenset(domains)
    assert [f"browserid.{ISSUER}.domains" in text for text in caplog.messages] == [True] * warned
