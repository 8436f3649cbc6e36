"""Sign-ins, and back-channel logout, with Debian's ``glewlwyd`` as the provider and a service process."""

from __future__ import annotations

import os

import pytest
import requests
from joserfc.jwk import generate_key

from dpresence.tests.waiting import eventually

from .glewlwyd import OIDC, SECONDS, Glewlwyd, is_installed
from .warm import WarmService

pytestmark = pytest.mark.slow
SECRET = "a-secret-of-the-service"  # glewlwyd does not decode it as RFC 6749, 2.3.1, says


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    if not is_installed():
        assert os.environ.get("CI") != "true", "glewlwyd is not installed"
        pytest.skip("needs Debian's glewlwyd")
    provider = Glewlwyd(tmp_path_factory.mktemp("provider") / "glewlwyd")
    try:
        provider.add_plugin("oidc", "oidc", **OIDC)
        provider.add("scope", name="email", password_required=False, scheme={})
        provider.add_property("verified")
        provider.add_person("ada")
        provider.add_person("mallory", verified="no")
        yield provider
    finally:
        provider.close()


@pytest.fixture
def serve(provider, tmp_path):
    """Return a function that starts a service that signs in at the provider, and registers it there."""
    started = []

    def serve(client, **changed):
        settings = {
            **{"identity.development": "false", "identity.verifiers": "oidc", "outbound.allow_loopback": "false", "oidc.providers": "corp"},
            **{"oidc.corp.issuer": provider.issuer, "oidc.corp.client_id": client, "oidc.corp.domains": "example.org"},
            "oidc.corp.allow_private": "true",
        }
        service = WarmService(tmp_path, {**settings, **changed})
        service.start()
        started.append(service)
        methods = {"token_endpoint_auth_method": ["private_key_jwt", "client_secret_basic"]}
        provider.add(
            "client",
            **{"client_id": client, "name": client, "confidential": True, "client_secret": SECRET, "authorization_type": ["code"]},
            **{"scope": ["openid", "email"], "redirect_uri": [f"{service.origin}/login/corp/callback"]},
            **{
                "jwks_uri": f"{service.origin}/login/corp/jwks",
                "backchannel_logout_uri": f"{service.origin}/login/corp/backchannel-logout",
            },
            **methods,
        )
        return service

    yield serve
    for service in started:
        service.kill()
        service.assert_clean()


def secret(tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    return {"oidc.corp.client_secret_file": str(tmp_path / "secret")}


def sign_in(service, provider, browser, name="ada"):
    away = browser.get(f"{service.origin}/login/corp?next=/account", allow_redirects=False, timeout=SECONDS)
    back = provider.walk(browser, away.headers["Location"], name)
    return browser.get(back, headers={"Accept": "application/json"}, timeout=SECONDS)


def is_signed_in(service, browser):
    return browser.get(f"{service.origin}/account", timeout=SECONDS).ok


@pytest.mark.parametrize("kind", [("RSA", 2048), ("EC", "P-256"), ("OKP", "Ed25519")], ids=lambda kind: kind[0])
def test_a_service_with_a_key_signs_people_in(serve, provider, tmp_path, kind):
    (tmp_path / "corp.pem").write_bytes(generate_key(*kind).as_pem(private=True))
    (tmp_path / "corp.pem").chmod(0o600)
    service = serve(f"key-{kind[0]}", **{"oidc.corp.client_key_file": str(tmp_path / "corp.pem")})
    with requests.Session() as browser:
        answer = sign_in(service, provider, browser)
        assert answer.json()["account"]["email"] == "ada@example.org", answer.text


def test_an_address_that_is_not_verified_is_refused(serve, provider, tmp_path):
    service = serve("unverified", **secret(tmp_path))
    with requests.Session() as browser:
        answer = sign_in(service, provider, browser, "mallory").json()
        assert (answer["errno"], answer["details"]) == (34, "unverified")


def test_a_logout_at_the_provider_ends_the_sign_in_at_the_service(serve, provider, tmp_path):
    service = serve("logout", **secret(tmp_path))
    with requests.Session() as browser:
        sign_in(service, provider, browser)
        assert is_signed_in(service, browser)
        provider.log_out(browser)
        eventually(lambda: not is_signed_in(service, browser))
        sign_in(service, provider, browser)
        assert is_signed_in(service, browser)
