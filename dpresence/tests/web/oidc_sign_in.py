"""Fixtures and helpers for browser sign-ins at an OpenID Connect provider."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from dpresence import outbound
from dpresence.errors import NotAdmitted
from dpresence.tests.oidc_support import CLIENT, TinyProvider, trust
from dpresence.tests.support import FakeClock
from dpresence.tests.web.support import ko

INVALID = (401, ko(34, "Invalid assertion"))
NO_EMAIL, UNVERIFIED, DOMAIN = (
    (401, ko(34, f"Invalid assertion: {NotAdmitted.REASONS[reason]}", details=reason)) for reason in ("email", "unverified", "domain")
)
ENDED = (401, ko(34, "Invalid assertion: the identity provider ended the sign-in", details="ended"))
AWAY = (503, ko(201, "the identity provider does not answer", retry_after=5))
COOKIE = "dpresence-oidc"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def provider(clock):
    provider = TinyProvider(clock)
    yield provider
    provider.close()


@pytest.fixture
def make(provider, clock, make_world, monkeypatch):
    """Return a function that makes a service that trusts the provider."""
    monkeypatch.setattr(outbound.ssl, "create_default_context", trust)
    trusted = {
        "identity__development": "false",
        "identity__verifiers": "oidc",
        "outbound__allow_loopback": "false",
        "oidc__providers": "corp",
        "oidc__corp__issuer": provider.issuer,
        "oidc__corp__client_id": CLIENT,
        "oidc__corp__algorithms": "RS256 ES256",
        "oidc__corp__domains": "example.org",
        "oidc__corp__allow_private": "true",
        "channels__failures_per_minute": "1000",
    }
    return lambda **changed: make_world(clock=clock, **{**trusted, **changed})


@pytest.fixture
def world(make):
    return make()


class SignIn:
    """One browser on its way to the provider and back."""

    def __init__(self, world, path="/login/corp", address="127.0.0.1"):
        self.world = world
        self.browser = world.browser(address)
        self.answer = self.browser("GET", path)
        assert self.answer.status_int == 303, self.answer
        self.location = self.answer.headers["Location"]
        self.asked = dict(parse_qsl(urlsplit(self.location).query))

    @property
    def cookie(self):
        """Return the name of the cookie that holds this attempt."""
        return f"{COOKIE}-{self.asked['state'][:16]}"

    def give(self, provider, **claims):
        """Let the provider's token endpoint give an ID token for this sign-in."""
        provider.give(**{"nonce": self.asked["nonce"], **claims})
        return self

    def back(self, path="/login/corp/callback", headers=None, **query):
        """Come back from the provider, by default with a code and the right state."""
        query = {"code": "code-1", "state": self.asked["state"], **query}
        shown = "&".join(f"{name}={value}" for name, value in query.items() if value is not None)
        return self.browser("GET", f"{path}?{shown}", **(headers or {}))


def cookies(response):
    """Return the cookies an answer sets, by name; their dates are the real clock's and left out."""
    lines = [re.sub(r"expires=[^;]*; ", "", line) for line in response.headers.getall("Set-Cookie")]
    return {line.partition("=")[0]: line for line in lines}


def attributes(seconds, secure=""):
    return f"Max-Age={seconds}; Path=/; {secure}HttpOnly; SameSite=Lax"
