"""A service of plain OAuth 2.0, without OpenID Connect, behind a bridge (docs/identity.md): Debian's ``glewlwyd``, a real provider."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from .glewlwyd import OIDC, SECONDS, Glewlwyd, is_installed
from .plain_oauth import PlainOAuth
from .warm import WarmService

pytestmark = pytest.mark.slow
SECRET = "a-secret-of-a-client"
PATHS = {"auth": "/login/oauth/authorize", "token": "/login/oauth/access_token", "userinfo": "/user"}
SCHEME = {"scheme_type": "oauth2", "scheme_name": "octo"}


@pytest.fixture
def upstream():
    server = PlainOAuth("bridge", SECRET)
    yield server
    server.close()


@pytest.fixture
def bridge(upstream, tmp_path):
    """A provider of OpenID Connect, at which people sign in with an account of the other one."""
    if not is_installed():
        assert os.environ.get("CI") != "true", "glewlwyd is not installed"
        pytest.skip("needs Debian's glewlwyd")
    bridge = Glewlwyd(tmp_path / "bridge")
    try:
        bridge.add_plugin("oidc", "oidc", **OIDC)
        endpoints = {f"{name}_endpoint": f"{upstream.url}{path}" for name, path in PATHS.items()}
        external = {"name": "octo", "provider_type": "oauth2", "response_type": "code", "userid_property": "id", "enabled": True}
        external |= {"client_id": "bridge", "client_secret": SECRET, "scope": "read:user", **endpoints}
        parameters = {"redirect_uri": f"{bridge.url}/callback.html", "session_expiration": 600, "provider_list": [external]}
        bridge.add("mod/scheme", **{"module": "oauth2", "name": "octo", "expiration": 600, "max_use": 0, "allow_user_register": True},
                   parameters=parameters)  # fmt: skip
        needed = {"password_required": False, "scheme": {"1": [SCHEME]}, "scheme_required": {"1": 1}}
        bridge.change("scope/openid", {"display_name": "OpenID", **needed})
        bridge.add("scope", name="email", password_required=False, scheme={})
        bridge.add_property("verified")
        bridge.add_person("ada", scope=["openid", "email", "g_profile"])
        yield bridge
    finally:
        bridge.close()


def external_sign_in(browser, answer):
    """Go where the bridge sends the browser, and return the value of the proof that the bridge's page then sends."""
    away = browser.get(answer.json()["redirect_to"], allow_redirects=False, timeout=SECONDS)
    back = away.headers["Location"]
    return {"provider": "octo", "state": parse_qs(urlsplit(back).query)["state"][0], "redirect_to": back}


def test_a_person_of_a_plain_oauth_service_signs_in_through_a_bridge(upstream, bridge, tmp_path):
    with requests.Session() as browser:  # once: the person links the accounts
        bridge.sign_in(browser, "ada")
        begun = {"action": "new", "provider": "octo", "complete_url": f"{bridge.url}/profile.html"}
        answer = bridge.call(browser, "POST", "/profile/scheme/register/", {"username": "ada", **SCHEME, "value": begun})
        value = {"action": "callback", **external_sign_in(browser, answer)}
        bridge.call(browser, "POST", "/profile/scheme/register/", {"username": "ada", **SCHEME, "value": value})

    settings = {
        **{"identity.development": "false", "identity.verifiers": "oidc", "outbound.allow_loopback": "false", "oidc.providers": "corp"},
        **{"oidc.corp.issuer": bridge.issuer, "oidc.corp.client_id": "dpresence", "oidc.corp.domains": "example.org"},
        **{"oidc.corp.allow_private": "true", "oidc.corp.client_secret_file": str(tmp_path / "secret")},
    }
    (tmp_path / "secret").write_text(SECRET)
    service = WarmService(tmp_path, settings)
    service.start()
    try:
        client = {"client_id": "dpresence", "name": "dpresence", "confidential": True, "client_secret": SECRET}
        redirect = {"redirect_uri": [f"{service.origin}/login/corp/callback"], "authorization_type": ["code"]}
        bridge.add("client", **client, **redirect, scope=["openid", "email"], token_endpoint_auth_method=["client_secret_basic"])
        with requests.Session() as browser:  # without a password of the bridge
            away = browser.get(f"{service.origin}/login/corp?next=/account", allow_redirects=False, timeout=SECONDS)
            asked = parse_qs(urlsplit(bridge.redirect(browser, away.headers["Location"])).query)
            answer = bridge.call(browser, "POST", "/auth/scheme/trigger/", {"username": "ada", **SCHEME, "value": {"provider": "octo"}})
            bridge.call(browser, "POST", "/auth/", {"username": "ada", **SCHEME, "value": external_sign_in(browser, answer)})
            back = bridge.consent(browser, "dpresence", "openid email", asked["callback_url"][0])
            home = browser.get(back, headers={"Accept": "application/json"}, timeout=SECONDS)
            assert home.json()["account"]["email"] == "ada@example.org", home.text
    finally:
        service.kill()
    service.assert_clean()
