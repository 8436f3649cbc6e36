"""ID tokens in place of an assertion, and accounts that are pinned to the subject of an issuer."""

from __future__ import annotations

import json
import logging

import pytest

from dpresence.errors import InvalidAssertion
from dpresence.tests.oidc_support import key, sign
from dpresence.tests.web.support import refusal

from .oidc_sign_in import AWAY, INVALID, SignIn, clock, make, provider, world

__all__ = ["clock", "make", "provider", "world"]


def test_an_account_stays_with_its_subject_until_it_is_released(world, provider):
    assert SignIn(world).give(provider).back().status_int == 303
    other = SignIn(world).give(provider, sub="ada-2")
    assert other.back().json["errno"] == 122
    assert other.browser("GET", "/account").status_int == 401
    assert world.registry.backends.directory.unpin("ada@example.org")
    assert SignIn(world).give(provider, sub="ada-2").back().status_int == 303
    assert SignIn(world).give(provider).back().json["errno"] == 122


def test_login_takes_an_id_token_once(world, provider):
    token = provider.token({"alg": "ES256", "kid": "ec-1"})
    browser = world.browser()
    assert browser("POST", "/login", {"assertion": token}).json["email"] == "ada@example.org"
    assert refusal(browser("POST", "/login", {"assertion": token})) == INVALID
    spelled_anew = sign({"alg": "ES256", "kid": "ec-1"}, provider.claims(), key("EC"))
    assert spelled_anew != token
    assert refusal(browser("POST", "/login", {"assertion": spelled_anew})) == INVALID


def test_login_takes_a_fresh_id_token_only(world, provider, clock, caplog):
    token = provider.token()
    clock.advance(660)
    with caplog.at_level(logging.INFO):
        assert refusal(world.browser()("POST", "/login", {"assertion": token})) == INVALID
    assert "sign-in refused: old" in caplog.text


def test_a_used_id_token_stays_used_to_its_last_second(world, provider, clock):
    token = provider.token(exp=clock.now() // 1000 + 60)
    assert world.browser()("POST", "/login", {"assertion": token}).status_int == 200
    clock.advance(119)
    world.services.accounts.sweep()
    assert refusal(world.browser()("POST", "/login", {"assertion": token})) == INVALID


def test_a_header_may_repeat_an_id_token_until_it_ends(world, provider, clock):
    signed = {"Authorization": f"Bearer {provider.token()}"}
    for _ in range(2):
        assert world.browser()("GET", "/account", **signed).json["account"]["email"] == "ada@example.org"
    clock.advance(3600)
    assert world.browser()("GET", "/account", **signed).status_int == 200
    clock.advance(60)
    assert refusal(world.browser()("GET", "/account", **signed)) == INVALID


def test_a_device_signs_in_with_an_id_token_and_again_after_a_loss(world, provider, clock):
    frame = {"email": "ada@example.org", "assertion": provider.token(), "status": "online", "device": "phone"}
    first = world.channel()
    assert first.receive(frame) == {"result": "OK"}
    clock.advance(1800)
    first.lose()
    assert world.channel().receive(frame) == {"result": "OK"}
    assert world.channel().receive({**frame, "email": "joe@example.org"})["errno"] == 133
    assert world.channel().receive({**frame, "assertion": provider.token(number=5)})["errno"] == 34


def test_a_token_of_another_client_of_the_provider_opens_the_device_channel_and_nothing_else(make, provider):
    world = make(oidc__corp__audiences="phone-app desktop-app")
    for audience in ("phone-app", ["desktop-app"]):
        token = provider.token(aud=audience)
        assert world.channel().receive({"email": "ada@example.org", "assertion": token, "status": "online"}) == {"result": "OK"}
        assert refusal(world.browser()("POST", "/login", {"assertion": token})) == INVALID
        assert refusal(world.browser()("GET", "/account", Authorization=f"Bearer {token}")) == INVALID
    for wrong in ({"aud": "other"}, {"aud": ["phone-app", "other"]}, {"aud": ["phone-app", "other"], "azp": "other"}):
        frame = {"email": "ada@example.org", "assertion": provider.token(**wrong), "status": "online"}
        assert world.channel().receive(frame)["errno"] == 34
    both = provider.token(aud=["phone-app", "other"], azp="phone-app")
    assert world.channel().receive({"email": "ada@example.org", "assertion": both, "status": "online"}) == {"result": "OK"}


def test_a_token_of_another_client_is_refused_unless_it_is_configured(world, provider):
    frame = {"email": "ada@example.org", "assertion": provider.token(aud="phone-app"), "status": "online"}
    assert world.channel().receive(frame)["errno"] == 34


def test_a_provider_that_is_away_is_no_failure_of_the_client(make, provider):
    world = make(channels__failures_per_minute="1")
    provider.script["/jwks"] = lambda handler: handler.reply(500, b"")
    for _ in range(3):
        assert refusal(world.browser()("POST", "/login", {"assertion": provider.token()})) == AWAY


def test_both_kinds_of_verifier_can_be_configured(make, provider, tmp_path):
    n = json.dumps({"algorithm": "RS", "n": str(key("RSA").raw_value.private_numbers().public_numbers.n), "e": "65537"})
    (tmp_path / "issuer.json").write_text(n)
    browserid = {
        "browserid__issuers": "login.example.org",
        "browserid__login.example.org__keys": str(tmp_path / "issuer.json"),
        "browserid__login.example.org__domains": "example.org",
    }
    world = make(identity__verifiers="browserid oidc", **browserid)
    assert world.browser()("POST", "/login", {"assertion": provider.token()}).status_int == 200
    with pytest.raises(InvalidAssertion):
        world.services.accounts.verify("a.b.c~d.e.f", "127.0.0.1")
