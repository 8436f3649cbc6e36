"""Sign-ins with a signed proof in place of a secret, and back-channel logout, with a real OpenID provider and a service process."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
import requests
from joserfc.jwk import generate_key
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from dpresence.tests.live.real_provider import SECONDS, RealProvider, give_up, install, trusting
from dpresence.tests.live.warm import WarmService

KEYS = {"RS256": ("RSA", 2048), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}

if not shutil.which("node") or not shutil.which("npm"):
    give_up("node or npm is missing")


@pytest.fixture(scope="module")
def provider():
    install()
    provider = RealProvider()
    yield provider
    provider.close()


@pytest.fixture
def serve(provider, tmp_path):
    """Return a function that starts a service that signs in at the provider as a client."""
    started = []

    def serve(client, algorithm=""):
        changed = {"oidc__corp__client_id": client}
        if algorithm:
            (tmp_path / "corp.pem").write_bytes(generate_key(*KEYS[algorithm]).as_pem(private=True))
            (tmp_path / "corp.pem").chmod(0o600)
            changed |= {"oidc__corp__client_secret_file": "", "oidc__corp__client_key_file": str(tmp_path / "corp.pem")}
        settings = {name.replace("__", "."): value for name, value in trusting(provider.issuer, tmp_path, **changed).items()}
        service = WarmService(tmp_path, settings)
        provider.again(urlencode({"service": service.origin}))
        service.start()
        started.append(service)
        return service

    yield serve
    for service in started:
        service.kill()
        service.assert_clean()


def sign_in(service, provider, browser, login="ada"):
    away = browser.get(f"{service.origin}/login/corp?next=/account", allow_redirects=False, timeout=SECONDS)
    back = provider.walk(away.headers["Location"], login, browser=browser)
    home = browser.get(back, headers={"Accept": "application/json"}, timeout=SECONDS)
    assert (home.status_code, home.url) == (200, f"{service.origin}/account"), home.text


def is_signed_in(service, browser):
    return browser.get(f"{service.origin}/account", timeout=SECONDS).ok


def ticket_of(service, browser):
    page = browser.get(f"{service.origin}/sidebar", headers={"Accept": "text/html"}, timeout=SECONDS).text
    csrf = page.partition('name="csrf" content="')[2].partition('"')[0]
    return browser.post(f"{service.origin}/ticket", headers={"X-CSRF-Token": csrf}, timeout=SECONDS).json()["ticket"]


@contextmanager
def device(service, proof):
    with connect(service.origin.replace("http", "ws", 1) + "/presence") as channel:
        channel.send(json.dumps({"email": "ada@example.org", "assertion": proof, "status": "online"}))
        assert json.loads(channel.recv(timeout=SECONDS)) == {"result": "OK"}
        yield channel


def close_code(channel):
    with pytest.raises(ConnectionClosed) as closed:
        channel.recv(timeout=SECONDS)
    return closed.value.rcvd.code


@pytest.mark.parametrize("algorithm", ["ES256", *(pytest.param(name, marks=pytest.mark.slow) for name in ("RS256", "EdDSA"))])
def test_a_service_with_a_key_signs_people_in(serve, provider, algorithm):
    service = serve(f"key-{algorithm}", algorithm)
    with requests.Session() as browser:
        sign_in(service, provider, browser)
    assert provider.asked("/token") > 0


def test_a_logout_at_the_provider_ends_the_sign_in_at_the_service(serve, provider):
    service = serve("dpresence-RS256")
    with requests.Session() as browser, requests.Session() as other:
        sign_in(service, provider, browser)
        sign_in(service, provider, other)
        with device(service, ticket_of(service, browser)) as channel:
            provider.log_out(browser)
            assert close_code(channel) == 4009
        assert not is_signed_in(service, browser) and is_signed_in(service, other)
        sign_in(service, provider, browser)
        assert is_signed_in(service, browser)


@pytest.mark.slow
def test_a_logout_without_a_session_ends_everything_of_the_person(serve, provider):
    service = serve("person")
    with requests.Session() as browser, requests.Session() as other:
        sign_in(service, provider, browser)
        sign_in(service, provider, other)
        with device(service, ticket_of(service, other)) as channel:
            provider.log_out(browser)
            assert close_code(channel) == 4009
        assert not is_signed_in(service, browser) and not is_signed_in(service, other)
