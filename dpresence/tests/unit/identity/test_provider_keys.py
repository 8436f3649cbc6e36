"""The cache of a provider's keys: how often they are fetched, and the keys that are used."""

from __future__ import annotations

import contextlib

import gevent
import pytest

from dpresence.errors import BackendUnavailable, InvalidAssertion
from dpresence.identity import jwks
from dpresence.identity.jwks import ProviderKeys
from dpresence.settings import ProviderSettings
from dpresence.tests.oidc_support import jwk, key, sign
from dpresence.tests.waiting import PATIENCE_SECONDS

from .support import HOUR, reason


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
    gevent.joinall(first, timeout=PATIENCE_SECONDS)
    assert all(greenlet.value for greenlet in first)
    assert slow.fetches == 1
    unknown = [gevent.spawn(issuer.key, f"unknown-{number}", "RS256") for number in range(20)]
    known = issuer.key("rsa-1", "RS256")
    assert known and slow.fetches == 1
    gevent.joinall(unknown, timeout=PATIENCE_SECONDS)
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
