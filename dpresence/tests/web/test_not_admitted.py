"""Refusals that say why: to the person whose proof is good but who may not sign in, and to the operator in the log."""

from __future__ import annotations

import logging

import pytest

from dpresence.tests.waiting import eventually
from dpresence.tests.web.oidc_sign_in import SignIn, clock, make, provider, world
from dpresence.tests.web.support import refusal

__all__ = ["clock", "make", "provider", "world"]

HTML = {"Accept": "text/html"}


def page(sign_in):
    """Return the page that the browser shows when it comes back from the provider."""
    sign_in.browser.web.extra_environ["HTTP_ACCEPT"] = "text/html"
    answer = sign_in.back()
    assert (answer.status_int, answer.content_type) == (401, "text/html")
    return answer


@pytest.mark.parametrize(
    ("claims", "title", "again"),
    [
        ({"email_verified": False}, "Your e-mail address is not verified", True),
        ({"email": None}, "Your provider did not send your e-mail address", True),
        ({"email": "ada@elsewhere.example"}, "This provider does not match your e-mail address", True),
        ({"nonce": "other"}, "Your sign-in was not accepted", True),
        ({}, "Your account is blocked", False),
    ],
)
def test_a_page_tells_a_person_why_they_may_not_sign_in(world, provider, claims, title, again):
    assert SignIn(world).give(provider).back().status_int == 303
    world.registry.backends.directory.block("ada@example.org", not claims)
    provider.profile = {"sub": "ada-1"}
    answer = page(SignIn(world).give(provider, **claims))
    assert f"<h1>{title}</h1>" in answer.text
    assert ('<a class="button" href="/login">Sign in</a>' in answer.text) is again, "who is blocked is not sent round in a circle"


def test_a_provider_without_userinfo_tells_no_address_either(world, provider):
    provider.discovery = {"userinfo_endpoint": None}
    assert refusal(SignIn(world).give(provider, email=None).back())[1]["details"] == "email"


@pytest.mark.parametrize(
    ("claims", "line"),
    [
        ({"email_verified": False}, "unverified (a…@example.org, corp)"),
        ({"email": "ada@elsewhere.example"}, "domain (a…@elsewhere.example, corp)"),
        ({"email": "ädä@example.org"}, "email (corp)"),
        ({"nonce": "other"}, "nonce (corp)"),
        ({"aud": "other"}, "audience (corp)"),
    ],
)
def test_the_log_names_the_masked_account_the_provider_and_the_reason(world, provider, caplog, claims, line):
    with caplog.at_level(logging.INFO):
        SignIn(world).give(provider, **claims).back()
    assert f"sign-in refused: {line}" in caplog.messages
    assert "ada@" not in caplog.text


def test_the_log_names_who_is_blocked_or_pinned_to_another_subject(world, provider, caplog):
    assert SignIn(world).give(provider).back().status_int == 303
    with caplog.at_level(logging.INFO):
        SignIn(world).give(provider, sub="joe-1").back()
        world.registry.backends.directory.block("ada@example.org", True)
        SignIn(world).give(provider).back()
    about = f"(a…@example.org, {provider.issuer})"
    refused = [message for message in caplog.messages if message.startswith("sign-in refused")]
    assert refused == [f"sign-in refused: pinned to another issuer or subject {about}", f"sign-in refused: blocked {about}"]


def test_the_log_names_what_a_token_or_a_bundle_claims(world, provider, make_world, caplog):
    development = make_world()
    bundle = development.assertion("ann@example.org")
    development.clock.advance(3600)
    with caplog.at_level(logging.INFO):
        world.browser()("GET", "/account", Authorization=f"Bearer {provider.token(aud='other')}")
        development.browser()("GET", "/account", Authorization=f"BrowserID {bundle}")
        development.browser()("GET", "/account", Authorization="BrowserID a~b")
    refused = [message.partition(": ")[2] for message in caplog.messages if message.startswith("sign-in refused")]
    assert refused == ["audience (a…@example.org, corp)", "expired (a…@example.org, dev.invalid)", "malformed"]


def test_the_heartbeat_says_which_providers_answered_when_they_were_asked_last(world, provider, clock):
    def heartbeat():
        answer = world.browser()("GET", "/__heartbeat__")
        assert answer.status_int == 200, "a provider that is away stops nothing here"
        return answer.json.pop("providers")

    provider.script["/jwks"] = lambda handler: handler.reply(500, b"")
    assert heartbeat() == {"corp": False}
    renew = world.registry.clients.providers["corp"].renew
    renew()
    assert heartbeat() == {"corp": False}
    provider.script.clear()
    clock.advance(60)
    renew()
    assert heartbeat() == {"corp": True}


def test_the_start_asks_each_provider(world, provider, caplog):
    provider.script["/jwks"] = lambda handler: handler.reply(500, b"")
    world.registry.background.start()
    eventually(lambda: caplog.messages)
    world.registry.background.stop()
    where = f"{provider.issuer}/jwks at 127.0.0.1"
    assert f"oidc.corp: its keys could not be fetched: {where}: status 500 'Internal Server Error'" in caplog.messages
    assert world.browser()("GET", "/__heartbeat__").json["providers"] == {"corp": False}
