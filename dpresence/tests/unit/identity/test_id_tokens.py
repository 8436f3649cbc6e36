"""ID tokens that are accepted, and their single use."""

from __future__ import annotations

import pytest

from dpresence.errors import InvalidAssertion
from dpresence.identity import jwks
from dpresence.logouts import provider_session
from dpresence.model import Identity
from dpresence.tests.oidc_support import CLIENT, jwk, key, sign

from .support import ALGORITHMS, DAY, HOUR, KIDS, reason


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_token_names_its_person(verifier, provider, clock, algorithm):
    token = provider.token({"alg": algorithm, "kid": KIDS[algorithm], "typ": "JWT"})
    now = clock.now() // 1000 * 1000
    assert verifier.verify(token) == Identity("ada@example.org", provider.issuer, "ada-1", now + (HOUR + 60) * 1000, now - 5000)


def test_a_token_names_the_session_of_its_provider(verifier, provider):
    session = provider_session(provider.issuer, "sid-1")
    assert verifier.verify(provider.token(sid="sid-1")).provider_session == session
    assert len({session, provider_session(provider.issuer, "sid-2"), provider_session("https://other.example", "sid-1")}) == 3
    assert reason(verifier, provider.token(sid=7)) == "malformed"


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
    clock.advance(jwks.REFRESH_SECONDS)
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
