"""Logout tokens that are accepted and refused (OpenID Connect Back-Channel Logout 1.0, 2.6)."""

from __future__ import annotations

import pytest

from dpresence.errors import InvalidLogout
from dpresence.identity.oidc_logout import EVENT, verify_logout
from dpresence.logouts import ProviderLogout, provider_person, provider_session
from dpresence.tests.oidc_support import CLIENT, key, sign

from .support import ALGORITHMS, KIDS


@pytest.fixture
def verify(made, provider, clock):
    """Return a function that verifies a logout token; its named arguments are settings."""
    return lambda token, **changed: verify_logout(made(**changed)._providers[provider.issuer], token, clock)


def why(verify, token, **changed):
    with pytest.raises(InvalidLogout) as refused:
        verify(token, **changed)
    assert refused.value.error == f"the logout token is not valid: {InvalidLogout.REASONS[refused.value.details]}"
    return refused.value.details


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_token_names_what_has_ended(verify, provider, clock, algorithm):
    found = verify(provider.logout_token({"alg": algorithm, "kid": KIDS[algorithm]}))
    day, now = 24 * 3600_000, clock.now()
    assert found == ProviderLogout(found.digest, provider.issuer, "sid-1", "ada-1", now, now + day + 720_000)
    assert found.key == provider_session(provider.issuer, "sid-1")


@pytest.mark.parametrize("typ", [None, "JWT", "logout+jwt", "application/logout+jwt", "Logout+JWT"])
def test_a_token_may_have_one_of_these_types(verify, provider, typ):
    assert verify(provider.logout_token({"typ": typ})).sid == "sid-1"


@pytest.mark.parametrize(
    "claims",
    [{"sub": None}, {"exp": None}, {"aud": ["other", CLIENT]}, {"events": {EVENT: {"reason": "x"}, "https://other.example/event": 1}}],
    ids=str,
)
def test_a_token_may_say_less_or_more(verify, provider, claims):
    assert verify(provider.logout_token(**claims)).sid == "sid-1"


def test_a_token_for_a_phone_app_of_the_provider_counts(verify, provider):
    assert why(verify, provider.logout_token(aud="phone")) == "audience"
    assert verify(provider.logout_token(aud="phone"), audiences=("phone",)).sid == "sid-1"


def test_a_token_without_session_ends_all_of_the_person(verify, provider):
    token = provider.logout_token(sid=None)
    assert verify(token).key == provider_person(provider.issuer, "ada-1")
    assert why(verify, token, backchannel_logout_session_required=True) == "session"


def test_the_same_message_has_the_same_digest_and_another_provider_another(verify, provider):
    first, again, other = (verify(provider.logout_token(jti=jti)).digest for jti in ("1", "1", "2"))
    assert first == again != other


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://id.example.org"}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": None}, "malformed"),
        ({"iat": None}, "malformed"),
        ({"iat": "now"}, "malformed"),
        ({"jti": None}, "malformed"),
        ({"jti": ""}, "malformed"),
        ({"jti": 7}, "malformed"),
        ({"events": None}, "malformed"),
        ({"events": [EVENT]}, "malformed"),
        ({"events": EVENT}, "malformed"),
        ({"events": {}}, "events"),
        ({"events": {EVENT: None}}, "events"),
        ({"events": {EVENT: []}}, "events"),
        ({"events": {EVENT + "/": {}}}, "events"),
        ({"nonce": "n"}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"nonce": 0}, "nonce"),
        ({"sid": "", "sub": None}, "malformed"),
        ({"sid": 7}, "malformed"),
        ({"sid": "x" * 256}, "malformed"),
        ({"sid": None, "sub": None}, "subject"),
        ({"sid": None, "sub": ""}, "subject"),
    ],
    ids=str,
)
def test_wrong_claims_are_refused(verify, provider, claims, reason):
    assert why(verify, provider.logout_token(**claims)) == reason


@pytest.mark.parametrize(
    ("name", "seconds", "reason"), [("exp", -61, "expired"), ("iat", 62, "time"), ("nbf", 62, "time"), ("iat", -661, "old")]
)
def test_wrong_times_are_refused(verify, provider, clock, name, seconds, reason):
    assert why(verify, provider.logout_token(**{name: clock.now() // 1000 + seconds})) == reason


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "none"}, "algorithm"),
        ({"alg": "PS256"}, "algorithm"),
        ({"typ": "at+jwt"}, "type"),
        ({"typ": "id+jwt"}, "type"),
        ({"crit": ["b64"]}, "type"),
        ({"kid": "rsa-9"}, "key"),
    ],
    ids=str,
)
def test_wrong_headers_are_refused(verify, provider, header, reason):
    header = {"alg": "RS256", "kid": "rsa-1", **header}
    assert why(verify, sign(header, provider.logout_claims(), key("RSA"), model="RS256")) == reason


def test_a_forged_token_is_refused(verify, provider):
    good = provider.logout_token()
    head, _, signature = good.split(".")
    other = provider.logout_token(sid="sid-2").split(".")[1]
    assert why(verify, provider.logout_token(number=5)) == "signature"
    assert why(verify, f"{head}.{other}.{signature}") == "signature"
    assert why(verify, sign({"alg": "none"}, provider.logout_claims(), None)) == "algorithm"
    assert why(verify, sign({"alg": "HS256", "kid": "rsa-1"}, provider.logout_claims(), b"secret")) == "algorithm"
    assert why(verify, provider.logout_token({"alg": "ES256", "kid": "ec-1"}), algorithms=("RS256",)) == "algorithm"
    assert why(verify, "x" * 8193) == "too_long"
    assert [why(verify, text) for text in ("", "x", "a.b.c", good + ".")] == ["malformed"] * 4


def test_an_id_token_ends_nothing(verify, provider):
    assert why(verify, provider.token(sid="sid-1", jti="1")) == "malformed"
