"""ID tokens that are refused, and the reason of each refusal."""

from __future__ import annotations

import gc
import json
import random
import time

import pytest

from dpresence.errors import InvalidAssertion
from dpresence.identity import Verifiers
from dpresence.tests.oidc_support import CLIENT, jwk, key, raw, sign

from .support import DAY, KIDS, reason


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
        ({"events": {}}, "type"),
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
def test_a_payload_without_claims_is_refused(verifier, provider, payload):
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
def test_an_invalid_header_is_refused(verifier, provider, header):
    assert reason(verifier, sign(header, provider.claims(), key("RSA"), "RS256")) == "malformed"


def test_a_token_of_more_than_8192_characters_is_refused(verifier, provider):
    room = 8192 - len(provider.token(more=""))
    fits = provider.token(more="x" * (room * 3 // 4 - 3))
    assert 8180 < len(fits) <= 8192
    verifier.verify(fits)
    assert reason(verifier, provider.token(more="x" * room)) == "too_long"


@pytest.mark.parametrize("text", ["a.b", "a.b.c.d.e", "a b.c.d", "a.b.c\n", "a.b.c=", "a~b.c.d", "é.b.c", "dpk_1", ""])
def test_a_malformed_token_is_not_examined(verifier, text):
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


@pytest.mark.slow
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
