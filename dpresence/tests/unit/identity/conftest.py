"""Fixtures: a provider on loopback and a verifier of its ID tokens."""

from __future__ import annotations

import pytest

from dpresence import outbound
from dpresence.identity.oidc import OidcVerifier, load_providers
from dpresence.settings import OidcSettings, ProviderSettings
from dpresence.tests.oidc_support import CLIENT, TinyProvider, trust
from dpresence.tests.support import FakeClock

from .support import ALGORITHMS


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
