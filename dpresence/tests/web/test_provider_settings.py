"""Sign-ins with a key in place of a secret, without ``nonce`` or ``email_verified``, and the buttons on the sign-in page."""

from __future__ import annotations

import logging

import pytest
from joserfc import jwt
from joserfc.jwk import import_key

from dpresence.errors import NotAdmitted
from dpresence.identity.oidc_tokens import REGISTRY
from dpresence.tests.oidc_support import CLIENT, key
from dpresence.tests.web.support import ko, refusal

from .oidc_sign_in import INVALID, UNVERIFIED, SignIn, clock, make, provider, world

__all__ = ["clock", "make", "provider", "world"]

DIRECT = (401, ko(34, f"Invalid assertion: {NotAdmitted.REASONS['direct']}", details="direct"))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>'


# -- private_key_jwt


@pytest.fixture
def with_key(make, tmp_path):
    """Return a function that makes a service with a client key."""

    def made(kind="EC", **changed):
        (tmp_path / "corp.pem").write_bytes(key(kind).as_pem(private=True))
        (tmp_path / "corp.pem").chmod(0o600)
        return make(oidc__corp__client_key_file=str(tmp_path / "corp.pem"), **changed)

    return made


def proof_of(world, provider):
    """Return the header and the claims of the proof that the provider was sent, verified by the published keys."""
    headers, form = provider.forms[-1]
    assert "Authorization" not in headers and "client_secret" not in form
    assert (form["client_id"], form["client_assertion_type"]) == (CLIENT, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    published = world.browser()("GET", "/login/corp/jwks").json["keys"]
    token = jwt.decode(form["client_assertion"], import_key(published[0]), registry=REGISTRY)
    assert token.header["kid"] == published[0]["kid"]
    return token.header, token.claims


@pytest.mark.parametrize(("kind", "algorithm"), [("RSA", "RS256"), ("EC", "ES256"), ("OKP", "EdDSA")])
def test_a_service_with_a_key_proves_who_it_is_at_the_token_endpoint(with_key, provider, clock, kind, algorithm):
    world = with_key(kind)
    assert SignIn(world).give(provider).back().status_int == 303
    header, claims = proof_of(world, provider)
    now = clock.now() // 1000
    assert header["alg"] == algorithm
    parties = {"iss": CLIENT, "sub": CLIENT, "aud": f"{provider.issuer}/token"}
    assert claims == {**parties, "iat": now, "exp": now + 60, "jti": claims["jti"]}
    assert SignIn(world).give(provider).back().status_int == 303
    assert proof_of(world, provider)[1]["jti"] != claims["jti"]


def test_a_proof_may_be_made_out_for_the_issuer(with_key, provider):
    world = with_key(oidc__corp__client_key_audience="issuer")
    assert SignIn(world).give(provider).back().status_int == 303
    assert proof_of(world, provider)[1]["aud"] == provider.issuer


def test_the_keys_that_are_published_are_both_and_public(with_key, tmp_path):
    (tmp_path / "next.pem").write_bytes(key("OKP").as_pem(private=True))
    (tmp_path / "next.pem").chmod(0o600)
    world = with_key(oidc__corp__next_client_key_file=str(tmp_path / "next.pem"))
    found = world.browser()("GET", "/login/corp/jwks").json["keys"]
    assert [each["kty"] for each in found] == ["EC", "OKP"]
    assert not {"d", "p", "q"} & {name for each in found for name in each}


def test_a_service_without_a_key_publishes_none(world):
    assert world.browser()("GET", "/login/corp/jwks").json == {"keys": []}
    assert refusal(world.browser()("GET", "/login/other/jwks")) == (404, ko(110, "not found"))


def test_others_who_may_read_the_key_are_logged(make, tmp_path, caplog):
    (tmp_path / "corp.pem").write_bytes(key("EC").as_pem(private=True))
    (tmp_path / "corp.pem").chmod(0o644)
    make(oidc__corp__client_key_file=str(tmp_path / "corp.pem"))
    assert "holds the client key of oidc.corp, and others may read or write it" in caplog.text


# -- providers without nonce, and without email_verified


def test_a_sign_in_needs_no_nonce_where_the_provider_has_none(make, provider):
    world = make(oidc__corp__nonce="false")
    sign_in = SignIn(world)
    assert "nonce" in sign_in.asked
    assert sign_in.give(provider, nonce=None).back().status_int == 303
    assert SignIn(world).give(provider).back().status_int == 303


def test_a_nonce_that_is_wrong_is_refused_even_there(make, provider):
    world = make(oidc__corp__nonce="false")
    for nonce in ("other", ""):
        assert refusal(SignIn(world).give(provider, nonce=nonce).back()) == INVALID


def test_an_old_token_without_nonce_is_refused(make, provider, clock):
    world = make(oidc__corp__nonce="false")
    assert refusal(SignIn(world).give(provider, nonce=None, iat=clock.now() // 1000 - 660).back()) == INVALID


def test_direct_tokens_of_such_a_provider_are_refused_with_the_reason(make, provider, caplog):
    world, token = make(oidc__corp__nonce="false"), provider.token()
    with caplog.at_level(logging.INFO):
        assert refusal(world.browser()("POST", "/login", {"assertion": token})) == DIRECT
    assert "sign-in refused: direct (a…@example.org, corp)" in caplog.messages
    assert refusal(world.browser()("GET", "/account", Authorization=f"Bearer {token}")) == DIRECT
    assert world.channel().receive({"email": "ada@example.org", "assertion": token, "status": "online"}) == DIRECT[1]
    assert refusal(world.browser()("POST", "/login", {"assertion": provider.token(number=5)})) == INVALID


@pytest.mark.parametrize(("value", "good"), [(None, True), (True, True), (False, False), ("true", False), ("", False)])
def test_a_missing_verification_counts_where_the_provider_is_marked(make, provider, value, good):
    marked, unmarked = make(oidc__corp__email_verified_missing="true"), make()
    answer = SignIn(marked).give(provider, email_verified=value).back()
    assert answer.status_int == 303 if good else refusal(answer) == UNVERIFIED
    if value is not True:
        assert refusal(SignIn(unmarked).give(provider, email_verified=value).back()) == UNVERIFIED


def test_an_address_in_userinfo_only_needs_no_verification_where_the_provider_is_marked(make, provider):
    world = make(oidc__corp__nonce="false", oidc__corp__email_verified_missing="true")
    provider.profile = {"sub": "ada-1", "email": "ada@example.org"}
    assert SignIn(world).give(provider, nonce=None, email=None, email_verified=None).back().status_int == 303


# -- buttons


def test_a_button_has_the_icon_and_the_colour_of_its_provider(make, tmp_path):
    (tmp_path / "corp.svg").write_bytes(SVG)
    world = make(oidc__corp__icon=str(tmp_path / "corp.svg"), oidc__corp__color="#24292F", oidc__corp__title="Corp")
    browser = world.browser()
    page = browser.web.get("/login", headers={"Accept": "text/html"})
    button = page.html.find("a", {"data-provider": "corp"})
    assert (button.text, button.img["src"], button.img["alt"]) == ("Sign in with Corp", "/login/corp/icon", "")
    assert page.html.find("link", {"href": "/login/buttons.css"}) and "style=" not in page.text
    icon, sheet = browser("GET", "/login/corp/icon"), browser("GET", "/login/buttons.css")
    assert (icon.body, icon.content_type) == (SVG, "image/svg+xml")
    assert icon.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (sheet.text, sheet.content_type) == ('[data-provider="corp"] { background: #24292f; color: #ffffff; }\n', "text/css")
    assert [each.headers["X-Content-Type-Options"] for each in (icon, sheet)] == ["nosniff"] * 2


def test_a_button_without_icon_and_colour_is_as_the_others(world):
    browser = world.browser()
    page = browser.web.get("/login", headers={"Accept": "text/html"})
    assert not page.html.find("a", {"data-provider": "corp"}).img and "buttons.css" not in page.text
    assert refusal(browser("GET", "/login/corp/icon")) == (404, ko(110, "not found"))
    assert browser("GET", "/login/buttons.css").text == ""
