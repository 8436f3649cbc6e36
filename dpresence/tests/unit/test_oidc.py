"""ID tokens: what is accepted, what is refused and why, and how a provider's keys are kept."""

from __future__ import annotations

import contextlib
import datetime
import gc
import ipaddress
import json
import random
import re
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import gevent
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dpresence import outbound
from dpresence.errors import BackendUnavailable, InvalidAssertion, NotAdmitted, SettingError
from dpresence.identity import Verifiers, jwks
from dpresence.identity.jwks import ProviderKeys
from dpresence.identity.oidc import OidcVerifier, load_providers
from dpresence.identity.oidc_client import load_clients
from dpresence.identity.provider_client import BODY_BYTES, IN_FLIGHT, ProviderClient
from dpresence.ini import keys, load
from dpresence.model import Identity
from dpresence.outbound import FetchFailed
from dpresence.settings import LOOPBACK_HOSTS, OidcSettings, ProviderSettings
from dpresence.tests.oidc_support import CLIENT, TinyProvider, jwk, key, raw, sign, trust
from dpresence.tests.support import FakeClock

ROOT = Path(__file__).parents[3]
ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")
KIDS = {"RS256": "rsa-1", "ES256": "ec-1", "EdDSA": "okp-1", "Ed25519": "okp-1"}
HOUR, DAY = 3600, 86400


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def provider(clock):
    provider = TinyProvider(clock)
    yield provider
    provider.close()


@pytest.fixture
def made(provider, clock, monkeypatch):
    """Return a function that returns a verifier of the provider, with settings that differ."""
    monkeypatch.setattr(outbound.ssl, "create_default_context", trust)

    def make(**changed):
        settings = {"issuer": provider.issuer, "algorithms": ALGORITHMS, "allow_private": True, **changed}
        each = ProviderSettings("corp", client_id=CLIENT, **{"domains": ("example.org",), **settings})
        return OidcVerifier(load_providers(OidcSettings(configured=(each,)), clock))

    return make


@pytest.fixture
def verifier(made):
    return made()


def reason(verifier, token):
    """Return why a token is refused."""
    with pytest.raises(InvalidAssertion) as refused:
        verifier.verify(token)
    body, told = refused.value.body(), NotAdmitted.REASONS.get(refused.value.reason)
    if told is None:
        assert body == {"result": "KO", "errno": 34, "error": "Invalid assertion"}
    else:
        assert body == {"result": "KO", "errno": 34, "error": f"Invalid assertion: {told}", "details": refused.value.reason}
    return refused.value.reason


# --- what is accepted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_token_names_its_person(verifier, provider, clock, algorithm):
    token = provider.token({"alg": algorithm, "kid": KIDS[algorithm], "typ": "JWT"})
    ends_at = (clock.now() // 1000 + HOUR + 60) * 1000
    assert verifier.verify(token) == Identity("ada@example.org", provider.issuer, "ada-1", ends_at)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
        {"azp": "an app of theirs"},
        {"nonce": "of somebody's flow"},
        {"exp": 1e300},
        {"amr": ["pwd"], "address": {"country": "NL"}},
    ],
    ids=str,
)
def test_a_token_may_say_more(verifier, provider, claims):
    assert verifier.verify(provider.token(**claims)).subject == "ada-1"


def test_a_token_may_be_repeated_until_it_ends(verifier, provider, clock):
    token = provider.token()
    for _ in range(2):
        verifier.verify(token)
    clock.advance(HOUR + 59)
    verifier.verify(token)
    clock.advance(1)
    assert reason(verifier, token) == "expired"


def test_a_token_lives_a_day_at_most(verifier, provider, clock):
    token = provider.token(exp=clock.now() // 1000 + 365 * DAY)
    clock.advance(DAY + 59)
    assert verifier.verify(token).expires_at <= clock.now() + 1000
    clock.advance(1)
    assert reason(verifier, token) == "old"


def test_a_token_without_kid_is_checked_with_the_only_key_of_its_kind(verifier, provider, clock):
    assert verifier.verify(provider.token({"kid": None})).subject == "ada-1"
    provider.keys.append(jwk("RSA", "rsa-2", 2))
    clock.advance(jwks.FRESH_SECONDS)
    verifier._providers[provider.issuer].keys.renew()
    assert reason(verifier, provider.token({"kid": None})) == "key"


def test_the_text_true_counts_only_where_the_provider_is_marked(made, provider):
    token = provider.token(email_verified="true")
    assert reason(made(), token) == "unverified"
    assert made(email_verified_string=True).verify(token).email == "ada@example.org"
    assert reason(made(email_verified_string=True), provider.token(email_verified="True")) == "unverified"


def test_a_provider_for_every_domain_is_warned_about(made, provider, caplog):
    everybody = made(domains=("*",))
    assert everybody.verify(provider.token(email="x@anywhere.example")).email == "x@anywhere.example"
    assert "oidc.corp.domains is *: this provider may assert any e-mail address" in caplog.text


def test_a_hosted_domain_must_be_named_where_it_is_required(made, provider):
    strict = made(require_hd=True)
    assert strict.verify(provider.token(hd="Example.org")).email == "ada@example.org"
    assert reason(strict, provider.token()) == "domain"
    assert reason(strict, provider.token(hd="other.example")) == "domain"
    assert reason(strict, provider.token(email="x@other.example", hd="other.example")) == "domain"


# --- what is refused


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://id.example.org"}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": [CLIENT, "other"]}, "audience"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "audience"),
        ({"sub": ""}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"sub": "a\x00b"}, "subject"),
        ({"sub": "é"}, "subject"),
        ({"typ": "Bearer"}, "type"),
        ({"email": None}, "email"),
        ({"email": "ada@example.org\n"}, "email"),
        ({"email": "ada"}, "email"),
        ({"email": "ada@elsewhere.example"}, "domain"),
        ({"email": "ada@example.org.evil.example"}, "domain"),
        ({"email": "ada@sub.example.org"}, "domain"),
        ({"email_verified": False}, "unverified"),
        ({"email_verified": None}, "unverified"),
        ({"email_verified": "false"}, "unverified"),
        ({"email_verified": 1}, "malformed"),
        ({"sub": None}, "malformed"),
        ({"sub": 7}, "malformed"),
        ({"exp": None}, "malformed"),
        ({"exp": "tomorrow"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": float("nan")}, "malformed"),
        ({"exp": float("inf")}, "malformed"),
        ({"iat": None}, "malformed"),
        ({"aud": None}, "malformed"),
        ({"aud": {CLIENT: True}}, "malformed"),
    ],
    ids=str,
)
def test_wrong_claims_are_refused(verifier, provider, claims, why):
    assert reason(verifier, provider.token(**claims)) == why


@pytest.mark.parametrize(
    ("name", "seconds", "why"), [("exp", -60, "expired"), ("iat", 62, "time"), ("nbf", 62, "time"), ("iat", -DAY - 60, "old")]
)
def test_times_have_a_leeway_of_a_minute(verifier, provider, clock, name, seconds, why):
    now = clock.now() // 1000
    assert reason(verifier, provider.token(**{name: now + seconds})) == why
    inside = -2 if seconds > 0 else 2
    verifier.verify(provider.token(**{name: now + seconds + inside}))


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"alg": "none"}, "algorithm"),
        ({"alg": "NONE"}, "algorithm"),
        ({"alg": ""}, "algorithm"),
        ({"alg": "PS256"}, "algorithm"),
        ({"alg": "Ed448"}, "algorithm"),
        ({"typ": "at+jwt"}, "type"),
        ({"typ": "logout+jwt"}, "type"),
        ({"crit": ["b64"], "b64": False}, "type"),
        ({"crit": []}, "type"),
        ({"kid": "rsa-9"}, "key"),
        ({"kid": "ec-1"}, "key"),
        ({"kid": "../rsa-1"}, "key"),
        ({"kid": 1}, "malformed"),
        ({"alg": None}, "malformed"),
    ],
    ids=str,
)
def test_wrong_headers_are_refused(verifier, provider, header, why):
    head = {"alg": "RS256", "kid": "rsa-1", **header}
    assert reason(verifier, sign(head, provider.claims(), key("RSA"), "RS256")) == why


def test_a_token_without_signature_is_refused(verifier, provider):
    assert reason(verifier, sign({"alg": "none"}, provider.claims(), None)) == "algorithm"
    assert reason(verifier, sign({"alg": "RS256", "kid": "rsa-1"}, provider.claims(), None)) == "signature"


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_the_public_key_is_no_shared_secret(verifier, provider, form):
    public = key("RSA").as_bytes(encoding=form, private=False)
    assert reason(verifier, sign({"alg": "HS256", "kid": "rsa-1"}, provider.claims(), public)) == "algorithm"
    assert reason(verifier, sign({"alg": "RS256", "kid": "rsa-1"}, provider.claims(), public)) == "signature"


def test_an_algorithm_that_is_not_configured_is_refused(made, provider):
    assert reason(made(algorithms=("ES256",)), provider.token()) == "algorithm"


def test_a_key_serves_its_own_algorithm_only(verifier, provider):
    forged = sign({"alg": "ES256", "kid": "rsa-1"}, provider.claims(), key("EC"))
    assert reason(verifier, forged) == "key"


def test_a_key_of_somebody_else_under_a_known_kid_is_refused(verifier, provider):
    assert reason(verifier, provider.token(number=5)) == "signature"


def test_a_token_that_brings_its_own_key_is_refused(verifier, provider):
    own = {"alg": "RS256", "kid": "rsa-1", "jwk": jwk("RSA", "rsa-1", 5), "jku": "http://127.0.0.1:1/jwks"}
    assert reason(verifier, sign(own, provider.claims(), key("RSA", 5))) == "signature"


@pytest.mark.parametrize("payload", [b"[]", b"{}", b"null", b"", b"\xff", b"[" * 5000, b'{"iss":' * 700, b'{"iss":"a","exp":1e999}'])
def test_what_is_no_set_of_claims_is_refused(verifier, provider, payload):
    assert reason(verifier, sign({"alg": "RS256", "kid": "rsa-1"}, payload, key("RSA"))) == "malformed"


def test_a_claim_that_is_given_twice_is_the_same_before_and_after_the_signature_is_verified(verifier, provider):
    claims = json.dumps(provider.claims()).encode()
    for payload, why in (
        (b'{"iss":"https://other.example",' + claims[1:], None),
        (claims[:-1] + b',"iss":"https://other.example"}', "issuer"),
        (b'{"aud":"other",' + claims[1:], None),
        (claims[:-1] + b',"aud":"other"}', "audience"),
    ):
        token = sign({"alg": "RS256", "kid": "rsa-1"}, payload, key("RSA"))
        assert verifier.verify(token).subject == "ada-1" if why is None else reason(verifier, token) == why


@pytest.mark.parametrize("header", [{"x5c": ["x" * 2000]}, {"nonce": "of the provider's own"}, {"x5t": "thumbprint"}], ids=str)
def test_a_header_may_say_more(verifier, provider, header):
    assert verifier.verify(provider.token(header)).subject == "ada-1"


@pytest.mark.parametrize("header", [[], "RS256", None, {}])
def test_what_is_no_header_is_refused(verifier, provider, header):
    assert reason(verifier, sign(header, provider.claims(), key("RSA"), "RS256")) == "malformed"


def test_a_token_of_more_than_8192_characters_is_refused(verifier, provider):
    room = 8192 - len(provider.token(more=""))
    fits = provider.token(more="x" * (room * 3 // 4 - 3))
    assert 8180 < len(fits) <= 8192
    verifier.verify(fits)
    assert reason(verifier, provider.token(more="x" * room)) == "too_long"


@pytest.mark.parametrize("text", ["a.b", "a.b.c.d.e", "a b.c.d", "a.b.c\n", "a.b.c=", "a~b.c.d", "é.b.c", "dpk_1", ""])
def test_what_has_not_the_form_is_not_looked_at(verifier, text):
    assert not verifier.accepts(text)
    with pytest.raises(InvalidAssertion) as refused:
        Verifiers([verifier]).verify(text)
    assert refused.value.reason == "form"


def mutated(dice, token):
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
    characters = list(token)
    for _ in range(dice.choice((1, 1, 2, 8))):
        at = dice.randrange(len(characters))
        characters[at : at + dice.choice((0, 1, 1, 3))] = dice.choices(alphabet, k=dice.choice((0, 1, 1, 2)))
    return "".join(characters)


def test_no_mutation_of_a_good_token_passes_and_nothing_else_escapes(verifier, provider):
    good = [provider.token({"alg": name, "kid": KIDS[name]}) for name in ("RS256", "ES256", "Ed25519")]
    meant = {token.rpartition(".")[0]: raw(token.rpartition(".")[2]) for token in good}
    for token in good:
        verifier.verify(token)
    assert reason(verifier, provider.token({"kid": "unknown"})) == "key"  # from here on nothing is fetched
    dice, verifiers, slowest = random.Random(20_261_122), Verifiers([verifier]), 0.0
    gc.collect()
    gc.disable()
    try:
        for _ in range(20_000):
            text = mutated(dice, dice.choice(good))
            signed, _, signature = text.rpartition(".")
            started = time.thread_time()
            try:
                verifiers.verify(text)
            except InvalidAssertion:
                slowest = max(slowest, time.thread_time() - started)
            else:
                assert raw(signature) == meant[signed]  # the same in other letters: some bits of the last one mean nothing
    finally:
        gc.enable()
    assert slowest < 0.02
    assert provider.fetches == 2


# --- single use


def test_the_digest_covers_what_was_signed_and_not_its_spelling(verifier, provider):
    token = provider.token({"alg": "ES256", "kid": "ec-1"})
    again = sign({"alg": "ES256", "kid": "ec-1"}, provider.claims(), key("EC"))
    assert again != token and verifier.digest(again) == verifier.digest(token)
    assert verifier.digest(provider.token(sub="joe")) != verifier.digest(token)


def test_a_token_older_than_ten_minutes_has_no_digest(verifier, provider, clock):
    token = provider.token()
    clock.advance(659)
    verifier.digest(token)
    clock.advance(1)
    verifier.verify(token)
    with pytest.raises(InvalidAssertion) as refused:
        verifier.digest(token)
    assert refused.value.reason == "old"


# --- the provider's keys


def test_keys_are_fetched_once(verifier, provider):
    for _ in range(3):
        verifier.verify(provider.token())
    assert provider.asked == {"/.well-known/openid-configuration": 1, "/jwks": 1}


def test_nothing_is_fetched_for_an_unknown_issuer_or_a_wrong_algorithm(verifier, provider):
    assert reason(verifier, provider.token(iss="http://127.0.0.1:1")) == "issuer"
    assert reason(verifier, sign({"alg": "none"}, provider.claims(), None)) == "algorithm"
    assert provider.asked == {}


def test_a_new_key_is_picked_up_with_one_fetch(verifier, provider):
    verifier.verify(provider.token())
    provider.keys = [jwk("RSA", "rsa-2", 2)]
    assert verifier.verify(provider.token({"kid": "rsa-2"}, number=2)).subject == "ada-1"
    assert provider.fetches == 2
    assert reason(verifier, provider.token()) == "key"


def test_a_thousand_unknown_keys_cause_one_fetch_a_minute(verifier, provider, clock):
    verifier.verify(provider.token())
    for number in range(1000):
        assert reason(verifier, provider.token({"kid": f"unknown-{number}"})) == "key"
    assert provider.fetches == 2
    clock.advance(59)
    assert reason(verifier, provider.token({"kid": "unknown"})) == "key"
    assert provider.fetches == 2
    clock.advance(1)
    assert reason(verifier, provider.token({"kid": "unknown"})) == "key"
    assert provider.fetches == 3


def test_old_keys_serve_for_a_day_while_the_provider_is_away(verifier, provider, clock, caplog):
    verifier.verify(provider.token())
    provider.script["/jwks"] = lambda handler: handler.reply(500, b"")
    cached = verifier._providers[provider.issuer].keys
    for _ in range(23):
        clock.advance(HOUR)
        cached.renew()
        verifier.verify(provider.token())
    where = f"{provider.issuer}/jwks at 127.0.0.1"
    assert f"oidc.corp: its keys could not be fetched: {where}: status 500 'Internal Server Error'" in caplog.text
    clock.advance(HOUR)
    for _ in range(3):
        with pytest.raises(BackendUnavailable) as away:
            verifier.verify(provider.token())
    assert away.value.retry_after == 5
    assert provider.fetches == 1 + 23 + 1
    provider.script.clear()
    clock.advance(5)
    assert verifier.verify(provider.token()).subject == "ada-1"


def test_keys_are_renewed_every_five_minutes_beside_the_sign_ins(verifier, provider, clock):
    cached = verifier._providers[provider.issuer].keys
    verifier.verify(provider.token())
    provider.keys = [jwk("RSA", "rsa-2", 2)]
    clock.advance(299)
    cached.renew()
    assert provider.fetches == 1
    clock.advance(1)
    cached.renew()
    assert provider.fetches == 2
    verifier.verify(provider.token({"kid": "rsa-2"}, number=2))
    assert provider.fetches == 2


def test_a_provider_that_does_not_answer_is_asked_again_and_is_reached_when_it_does(verifier, provider, clock):
    cached = verifier._providers[provider.issuer].keys
    provider.script["/jwks"] = lambda handler: handler.reply(500, b"")
    assert not cached.reached
    cached.renew()
    cached.renew()
    assert (cached.reached, provider.fetches) == (False, 1)
    provider.script.clear()
    clock.advance(60)
    cached.renew()
    cached.renew()
    assert (cached.reached, provider.fetches) == (True, 2)
    provider.script["/jwks"] = lambda handler: handler.reply(500, b"")
    clock.advance(300)
    cached.renew()
    assert not cached.reached
    verifier.verify(provider.token())


class Slow:
    """Stands in for a ``ProviderClient``: it takes its time, as a cooperative socket does."""

    deadline = contextlib.nullcontext

    def __init__(self, issuer):
        self.fetches = 0
        self.issuer = issuer

    def check(self, url):
        pass

    def get(self, url, kind):
        gevent.sleep(0.01)
        if kind is jwks.Discovery:
            return kind(self.issuer, "https://a", "https://t", "https://j")
        self.fetches += 1
        return kind([jwk("RSA", "rsa-1")])


def test_sign_ins_that_come_at_once_share_a_fetch(clock):
    slow = Slow("https://id.example.org")
    issuer = ProviderKeys(ProviderSettings("corp", issuer=slow.issuer), slow, clock)
    first = [gevent.spawn(issuer.key, "rsa-1", "RS256") for _ in range(20)]
    gevent.joinall(first, timeout=5)
    assert all(greenlet.value for greenlet in first)
    assert slow.fetches == 1
    unknown = [gevent.spawn(issuer.key, f"unknown-{number}", "RS256") for number in range(20)]
    known = issuer.key("rsa-1", "RS256")
    assert known and slow.fetches == 1
    gevent.joinall(unknown, timeout=5)
    assert {type(greenlet.exception) for greenlet in unknown} == {InvalidAssertion}
    assert slow.fetches == 2


@pytest.mark.parametrize(
    "document",
    [
        jwk("RSA", "rsa-1", use="enc"),
        jwk("RSA", "rsa-1", alg="PS256"),
        jwk("RSA", "rsa-1", alg=["RS256"]),
        jwk("RSA", ["rsa-1"]),
        jwk("RSA", "rsa-1", n="AQAB"),
        jwk("RSA", "rsa-1", n="A" * 400 + "!"),
        jwk("RSA", "rsa-1", n=5),
        jwk("RSA", "rsa-1", n="-" * 1367),
        {"kty": "RSA", "kid": "rsa-1", "n": "x"},
        {"kty": "oct", "kid": "rsa-1", "k": "x" * 43},
        {"kty": ["RSA"], "kid": "rsa-1"},
        {"kid": "rsa-1"},
        jwk("EC", "rsa-1", crv="P-521"),
        jwk("EC", "rsa-1", y=jwk("EC", "")["x"]),
        jwk("OKP", "rsa-1", crv="Ed448"),
    ],
    ids=range(15),  # the keys are new in each process
)
def test_a_key_that_does_not_fit_is_left_out(verifier, provider, document):
    provider.keys = [document, jwk("EC", "ec-1")]
    verifier.verify(provider.token({"alg": "ES256", "kid": "ec-1"}))
    assert reason(verifier, provider.token()) == "key"


def test_a_private_key_that_is_published_still_only_verifies(verifier, provider):
    provider.keys = [{**key("RSA").as_dict(private=True), "kid": "rsa-1"}]
    verifier.verify(provider.token())
    found = verifier._providers[provider.issuer].keys.key("rsa-1", "RS256")
    assert not found.is_private


# --- what may be fetched


def unavailable(verifier, provider, caplog):
    """Return the cause in the log that a provider cannot be used, with ``ISSUER`` for its URL."""
    with pytest.raises(BackendUnavailable):
        verifier.verify(provider.token())
    (message,) = caplog.messages
    assert "\n" not in message and caplog.records[0].exc_info is None
    return message.removeprefix("oidc.corp: its keys could not be fetched: ").replace(provider.issuer, "ISSUER")


NO_URL = "an endpoint is not an https URL in ASCII without a user name"
DISCOVERY = "ISSUER/.well-known/openid-configuration"
NOT_JSON = "the response is not the JSON that it should be"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"issuer": "http://127.0.0.1:1/"}, f"{DISCOVERY}: its discovery document names another issuer, 'http://127.0.0.1:1/'"),
        ({"jwks_uri": "http://id.example.org/jwks"}, "http://id.example.org/jwks: an endpoint is not https"),
        ({"jwks_uri": "file:///etc/passwd"}, NO_URL),
        ({"jwks_uri": "https://user@id.example.org/jwks"}, NO_URL),
        ({"jwks_uri": "https://[::1/jwks"}, NO_URL),
        ({"jwks_uri": "https://id.example.org:port/jwks"}, NO_URL),
        ({"jwks_uri": "https://id.example.org/jwks\r\nX: y"}, NO_URL),
        ({"jwks_uri": "http://127.0.0.1:1/jwks"}, "http://127.0.0.1:1/jwks at 127.0.0.1: connection refused"),
        ({"jwks_uri": "http://127.0.0.1:1/jwks?secret=x"}, "http://127.0.0.1:1/jwks at 127.0.0.1: connection refused"),
        ({"jwks_uri": "https://id.invalid/jwks"}, "https://id.invalid/jwks: the name cannot be resolved (name or service not known)"),
        ({"authorization_endpoint": "javascript:alert(1)"}, NO_URL),
        ({"token_endpoint": None}, f"{DISCOVERY} at 127.0.0.1: {NOT_JSON}"),
        ({"jwks_uri": 5}, f"{DISCOVERY} at 127.0.0.1: {NOT_JSON}"),
    ],
    ids=str,
)
def test_a_wrong_discovery_document_makes_the_provider_unavailable(verifier, provider, caplog, changed, why):
    provider.discovery = changed
    assert unavailable(verifier, provider, caplog) == why


def redirect(handler):
    handler.reply(302, b"", Location="/elsewhere")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (redirect, "status 302 'Found'"),
        (lambda handler: handler.reply(404, b""), "status 404 'Not Found'"),
        (lambda handler: handler.reply(200, b"<html>"), NOT_JSON),
        (lambda handler: handler.reply(200, b"[" * 200_000), NOT_JSON),
        (lambda handler: handler.reply(200, b"\xff{}"), NOT_JSON),
        (lambda handler: handler.reply(200, b" " * (BODY_BYTES + 1)), "status 200 with more than 262144 bytes"),
        (lambda handler: handler.reply(200, b"{", **{"Content-Length": "50"}), NOT_JSON),
        (lambda handler: handler.wfile.write(b"220 smtp\r\n"), "not an HTTP response: BadStatusLine('220 smtp\\r\\n')"),
        (lambda handler: handler.connection.shutdown(socket.SHUT_RDWR), "the connection was closed without a response"),
    ],
)
def test_a_wrong_answer_makes_the_provider_unavailable(verifier, provider, caplog, script, why):
    provider.script["/jwks"] = script
    assert unavailable(verifier, provider, caplog) == f"ISSUER/jwks at 127.0.0.1: {why}"
    assert "/elsewhere" not in provider.asked


def test_keys_of_other_algorithms_make_the_provider_unavailable(verifier, provider, caplog):
    provider.keys = []
    assert unavailable(verifier, provider, caplog) == "ISSUER/jwks: it has no key for RS256 ES256 EdDSA Ed25519"


def test_cookies_and_proxies_are_left_alone(verifier, provider, clock, monkeypatch):
    seen = []

    def look(handler):
        seen.append(handler.headers.get("Cookie"))
        handler.reply(200, b"{}", **{"Set-Cookie": "a=b; Path=/"})

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    provider.script["/jwks"] = look
    cached = verifier._providers[provider.issuer].keys
    cached.renew()
    clock.advance(jwks.RETRY_SECONDS)
    cached.renew()
    assert seen == [None, None]


def get(allow_private, url):
    """Request a JSON object of a provider."""
    client = ProviderClient(allow_private)
    with client.deadline():
        return client.get(url, dict)


def failure(allow_private, url):
    """Return the log's text for a request that fails."""
    with pytest.raises(FetchFailed) as failed:
        get(allow_private, url)
    return str(failed.value)


def test_a_private_address_is_not_connected_to():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        for host in LOOPBACK_HOSTS[:2]:
            url = f"https://{host}:{listener.getsockname()[1]}/jwks"
            refusal = "the address 127.0.0.1 is not public; allow_private of this provider allows it"
            assert failure(False, url) == f"{url}: {refusal}"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_the_connection_goes_to_the_address_that_was_checked(provider, monkeypatch):
    asked = []

    def resolve(domain, port, type):
        asked.append(domain)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port))]

    client = ProviderClient(True)
    monkeypatch.setattr(client._fetcher, "_resolve", resolve)
    port = provider.issuer.rpartition(":")[2]
    with client.deadline():
        assert client.get(f"http://localhost:{port}/jwks", dict)["keys"]
    assert asked == ["localhost"]


def test_http_is_for_loopback_and_for_who_allows_it(provider):
    assert failure(False, f"{provider.issuer}/jwks") == f"{provider.issuer}/jwks: an endpoint is not https"
    assert failure(True, "http://10.0.0.1/jwks") == "http://10.0.0.1/jwks: an endpoint is not https"


def test_only_so_many_requests_are_in_flight(provider):
    client = ProviderClient(True)
    client._in_flight = IN_FLIGHT
    with pytest.raises(FetchFailed, match="/jwks: 20 requests to this provider are in flight already"):
        client.get(f"{provider.issuer}/jwks", dict)


@pytest.mark.parametrize("token", ["a\r\nX: secret", "secret\u20ac"])
def test_an_access_token_that_is_no_header_is_not_sent_and_not_logged(provider, token):
    with pytest.raises(FetchFailed) as failed:
        ProviderClient(True).get(f"{provider.issuer}/me", dict, token)
    assert str(failed.value) == f"{provider.issuer}/me at 127.0.0.1: the header Authorization to send is not printable ASCII"
    assert not provider.asked


def test_a_fetch_ends_in_time_whatever_the_provider_does():
    child = """
        from gevent import monkey; monkey.patch_all()
        import gevent, time
        from gevent.server import StreamServer
        from dpresence.identity import provider_client
        from dpresence.outbound import FetchFailed
        def drip(sock, _):
            sock.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 100000\\r\\n\\r\\n")
            while True:
                sock.sendall(b" "); gevent.sleep(0.05)
        server = StreamServer(("127.0.0.1", 0), drip); server.start()
        provider_client.DEADLINE_SECONDS = 0.3
        client = provider_client.ProviderClient(True)
        started = time.monotonic()
        try:
            with client.deadline():
                client.get(f"http://127.0.0.1:{server.server_port}/", dict)
        except FetchFailed as failed:
            print(str(failed).replace(str(server.server_port), "PORT"), 0.25 < time.monotonic() - started < 1, client._in_flight)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(child)], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout == "http://127.0.0.1:PORT/ at 127.0.0.1: no answer within 0.3 s True 0\n", done.stderr


# --- TLS


def certificate(folder, host, name="cert"):
    """Write a self-signed certificate and its key; return their files."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    files[1].write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return files


@pytest.mark.parametrize(
    ("host", "trusted", "outcome"),
    [
        ("127.0.0.1", True, {}),
        ("127.0.0.1", False, "certificate verify failed: self-signed certificate"),
        ("id.example.org", True, "certificate verify failed: IP address mismatch, certificate is not valid for '127.0.0.1'."),
    ],
)
def test_a_certificate_must_be_trusted_and_of_that_host(tmp_path, monkeypatch, host, trusted, outcome):
    cert, private = certificate(tmp_path, host)
    other, _ = certificate(tmp_path, "127.0.0.1", "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert if trusted else other))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, private)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            try:
                with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
                    peer.recv(4096)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except OSError:
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            got = get(True, url := f"https://127.0.0.1:{listener.getsockname()[1]}/jwks")
        except FetchFailed as failed:
            got = failed.cause
            assert failed.where == f"{url} at 127.0.0.1"
        thread.join(5)
    assert got == outcome


# --- settings and secrets


def ini(**changed):
    good = {
        "directory.url": "sqlite://",
        "identity.verifiers": "oidc",
        "oidc.providers": "corp",
        "oidc.corp.issuer": "https://id.example.org",
        "oidc.corp.client_id": CLIENT,
        "oidc.corp.domains": "Example.org",
    }
    merged = {**good, **{name.replace("__", "."): value for name, value in changed.items()}}
    return {name: value for name, value in merged.items() if value is not None}


def test_five_lines_make_a_provider():
    settings = load(ini(), "/srv/dpresence")
    assert settings.oidc.configured == (
        ProviderSettings("corp", issuer="https://id.example.org", client_id=CLIENT, domains=("example.org",), title="corp"),
    )
    assert settings.identity.secret_file == "/srv/dpresence/presence.secret"


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"oidc__providers": ""}, "oidc.c….client_id"),
        ({"oidc__providers": "Corp"}, "oidc.providers"),
        ({"oidc__providers": "a/b"}, "oidc.providers"),
        ({"identity__verifiers": ""}, "identity.verifiers"),
        ({"oidc__corp__issuer": None}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "id.example.org"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "http://id.example.org"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "http://127.0.0.1:9"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "http://10.0.0.1", "oidc__corp__allow_private": "true"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://me@id.example.org"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://id.example.org?a=b"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://id.invalid"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://id.test/realm"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://id.localhost"}, "oidc.corp.issuer"),
        ({"oidc__corp__client_id": ""}, "oidc.corp.client_id"),
        ({"oidc__corp__domains": ""}, "oidc.corp.domains"),
        ({"oidc__corp__algorithms": ""}, "oidc.corp.algorithms"),
        ({"oidc__corp__algorithms": "RS256 none"}, "oidc.corp.algorithms"),
        ({"oidc__corp__algorithms": "HS256"}, "oidc.corp.algorithms"),
        ({"oidc__corp__verify": "false"}, "oidc.corp.verify"),
        ({"oidc__other__issuer": "https://other.example"}, "oidc.o….issuer"),
        ({"identity__development": "true"}, "identity.verifiers"),
    ],
    ids=str,
)
def test_a_wrong_setting_stops_the_start_and_is_named(changed, key):
    with pytest.raises(SettingError, match=f"^{re.escape(key)}( =|:) "):
        load(ini(**changed), "/srv")


def test_two_providers_cannot_have_one_issuer():
    twice = {f"oidc.two.{name}": ini()[f"oidc.corp.{name}"] for name in ("issuer", "client_id", "domains")}
    with pytest.raises(SettingError, match=r"^oidc\.corp\.issuer: "):
        load({**ini(oidc__providers="corp two"), **twice}, "/srv")


def test_loopback_may_be_plain_where_it_is_allowed():
    load(ini(oidc__corp__issuer="http://127.0.0.1:9000", oidc__corp__allow_private="true"), "/srv")


def test_settings_ini_and_docs_agree_on_the_keys_of_a_provider():
    fields = keys(ProviderSettings, "oidc.<provider>")
    docs = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(oidc\.<provider>\.\w+)` \| .* \| (.*) \|$", docs, re.MULTILINE))
    assert rows == {name: field.metadata["doc"] for name, field in fields.items()}
    shown = re.findall(r"^# oidc\.corp\.(\w+) = ", (ROOT / "presence.ini").read_text(encoding="utf-8"), re.MULTILINE)
    assert [f"oidc.<provider>.{name}" for name in shown] == list(fields)


@pytest.fixture
def clients(clock, monkeypatch):
    """Return a function that loads the clients of an ini."""
    monkeypatch.setattr(outbound.ssl, "create_default_context", trust)

    def make(here, **changed):
        settings = load(ini(**changed), str(here))
        return load_clients(settings, load_providers(settings.oidc, clock), clock)

    return make


def test_the_secret_is_made_once_and_for_its_owner_alone(clients, tmp_path):
    first = clients(tmp_path).secret
    file = tmp_path / "presence.secret"
    assert len(first) >= 32 and first == clients(tmp_path).secret
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_secret_is_made_without_a_provider(clients, tmp_path):
    nobody = {name.replace(".", "__"): None for name in ini() if name.startswith(("oidc", "identity"))}
    assert clients(tmp_path, **nobody).secret == b""
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_not_made_beside_another_database(clients, tmp_path):
    with pytest.raises(SettingError, match=r"^identity\.secret_file: must be a readable file of 32 random bytes"):
        clients(tmp_path, directory__url="postgresql://db.example.org/presence")
    (tmp_path / "presence.secret").write_bytes(b"x" * 32)
    (tmp_path / "presence.secret").chmod(0o400)
    assert clients(tmp_path, directory__url="postgresql://db.example.org/presence").secret == b"x" * 32


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [(b"x" * 31 + b"\n", 0o600, "32 random bytes or more"), (b"x" * 64, 0o640, "readable by its owner alone"), (b"x" * 64, 0o604, "alone")],
)
def test_a_secret_that_is_none_stops_the_start(clients, tmp_path, content, mode, why):
    file = tmp_path / "presence.secret"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(SettingError, match=why):
        clients(tmp_path)


def test_a_secret_that_cannot_be_written_stops_the_start(clients, tmp_path):
    with pytest.raises(SettingError, match=r"^identity\.secret_file: .*folder that can be written to"):
        clients(tmp_path, identity__secret_file=str(tmp_path / "nowhere" / "presence.secret"))


def test_a_client_secret_that_cannot_be_read_stops_the_start(clients, tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    reasons = {"empty": "it is empty", "missing": "No such file or directory", "binary": "it is not UTF-8"}
    for file, reason in reasons.items():
        allowed = "must be a readable file that is not empty"
        with pytest.raises(SettingError, match=rf"^oidc\.corp\.client_secret_file: {allowed} \({reason}\)$"):
            clients(tmp_path, oidc__corp__client_secret_file=str(tmp_path / file))
