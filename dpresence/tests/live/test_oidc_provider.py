"""The whole sign-in against a real OpenID provider: npm's ``oidc-provider``, installed into ``build/`` and started on loopback.

It wants Node 20 and npm; where they are missing, or npm reaches no registry, this module is skipped, but never on CI.
"""

from __future__ import annotations

import json
import shutil
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from websockets.sync.client import connect

from dpresence.errors import BackendUnavailable, InvalidAssertion, NotAdmitted
from dpresence.identity.oidc import parse
from dpresence.tests.live.real_provider import CALLBACK, SECONDS, RealProvider, give_up, install, trusting
from dpresence.tests.live.warm import WarmService
from dpresence.tests.oidc_support import part, raw, sign
from dpresence.tests.support import FakeClock
from dpresence.tests.web.support import AUDIENCE, Browser, World, ko, refusal

ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")
INVALID = (401, ko(34, "Invalid assertion"))
ENDED = (401, ko(34, "Invalid assertion: the identity provider ended the sign-in", details="ended"))

if not shutil.which("node") or not shutil.which("npm"):
    give_up("node or npm is missing")


@pytest.fixture(scope="module")
def running():
    install()
    provider = RealProvider()
    yield provider
    provider.close()


@pytest.fixture
def provider(running):
    """The provider; whatever a test made of it, the next one finds it as it was."""
    yield running
    running.again()


@pytest.fixture
def make(provider, tmp_path):
    worlds = []

    def make(**changed):
        clock = FakeClock(time.time_ns() // 1_000_000)
        worlds.append(World(None, str(tmp_path), clock, **trusting(provider.issuer, tmp_path, **changed)))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make):
    return make()


def begin(world: World) -> tuple[Browser, str]:
    """Return a browser and the provider's URL it was sent to."""
    browser = world.browser()
    return browser, browser("GET", "/login/corp?next=/grants").headers["Location"]


def come_back(browser: Browser, url: str):
    assert url.startswith(CALLBACK)
    return browser("GET", url.removeprefix(AUDIENCE))


def sign_in(world: World, provider: RealProvider, login: str = "ada"):
    browser, url = begin(world)
    return browser, come_back(browser, provider.walk(url, login))


def reason(world: World, token: str) -> str:
    with pytest.raises(InvalidAssertion) as refused:
        world.services.accounts.verify(token, "127.0.0.1")
    return refused.value.reason


def account(browser: Browser) -> tuple[str, str]:
    found = browser("GET", "/account").json["account"]
    return found["email"], found["subject"]


# --- the whole flow


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_browser_signs_in_through_the_providers_pages(make, provider, algorithm):
    world = make(oidc__corp__client_id=f"dpresence-{algorithm}", oidc__corp__algorithms=algorithm)
    browser, answer = sign_in(world, provider)
    assert (answer.status_int, answer.headers["Location"]) == (303, f"{AUDIENCE}/grants")
    assert account(browser) == ("ada@example.org", "ada")


def test_a_public_client_signs_in_by_its_proof_key(make, provider):
    world = make(oidc__corp__client_id="public", oidc__corp__client_secret_file="")
    assert sign_in(world, provider)[1].status_int == 303


def test_a_mail_address_in_userinfo_only_is_asked_for(world, provider):
    provider.again("slim")
    before = provider.asked("/me")
    browser, answer = sign_in(world, provider)
    assert answer.status_int == 303 and provider.asked("/me") == before + 1
    assert account(browser) == ("ada@example.org", "ada")


@pytest.mark.parametrize(("login", "why"), [("mallory", "unverified"), ("text", "unverified"), ("far", "domain")])
def test_a_mail_address_that_is_not_proven_is_refused(world, provider, login, why):
    browser, answer = sign_in(world, provider, login)
    expected = ko(34, f"Invalid assertion: {NotAdmitted.REASONS[why]}", details=why)
    assert refusal(answer) == (401, expected)
    assert browser("GET", "/account").status_int == 401


def test_the_text_true_counts_where_the_provider_is_marked(make, provider):
    assert sign_in(make(oidc__corp__email_verified_string="true"), provider, "text")[1].status_int == 303


def test_somebody_else_with_the_same_address_is_refused(world, provider):
    assert sign_in(world, provider)[1].status_int == 303
    assert sign_in(world, provider, "twin")[1].json["errno"] == 122
    assert world.registry.backends.directory.unpin("ada@example.org")
    assert account(sign_in(world, provider, "twin")[0]) == ("ada@example.org", "twin")


def test_turning_round_at_the_provider_signs_nobody_in(world, provider):
    browser, url = begin(world)
    back = provider.walk(url, "ada", abort=True)
    assert "error=access_denied" in back
    assert refusal(come_back(browser, back)) == ENDED


def test_a_code_is_good_once_and_for_the_browser_that_asked(world, provider):
    browser, url = begin(world)
    back = provider.walk(url, "ada")
    stolen = dict(parse_qsl(urlsplit(back).query))
    assert stolen["iss"] == provider.issuer

    def inject():
        mallory, begun = begin(world)
        state = dict(parse_qsl(urlsplit(begun).query))["state"]
        return come_back(mallory, f"{CALLBACK}?{urlencode({**stolen, 'state': state})}")

    assert come_back(begin(world)[0], back).json["errno"] == 121
    assert refusal(inject()) == INVALID  # another code verifier
    assert come_back(browser, back).status_int == 303
    assert refusal(inject()) == INVALID


def test_a_wrong_client_secret_is_reported_to_the_operator(make, provider, tmp_path, caplog):
    (tmp_path / "wrong").write_text("wrong")
    world = make(oidc__corp__client_secret_file=str(tmp_path / "wrong"))
    assert sign_in(world, provider)[1].json["errno"] == 201
    assert f"oidc.corp: a sign-in failed: {provider.issuer}/token at 127.0.0.1: status 401 invalid_client" in caplog.text


def test_an_issuer_spelled_otherwise_is_not_believed(make, provider, caplog):
    world = make(oidc__corp__issuer=provider.issuer.replace("127.0.0.1", "localhost"))
    assert world.browser()("GET", "/login/corp").json["errno"] == 201
    assert "its discovery document names another issuer" in caplog.text
    assert reason(world, provider.id_token()) == "issuer"


# --- its tokens, as they are and edited


def test_its_token_is_good_in_a_header_and_on_a_channel_and_once_at_login(world, provider):
    token = provider.id_token()
    signed = {"Authorization": f"Bearer {token}"}
    assert [world.browser()("GET", "/account", **signed).status_int for _ in range(2)] == [200, 200]
    frame = {"email": "ada@example.org", "assertion": token, "status": "online"}
    assert world.channel().receive(frame) == {"result": "OK"}
    assert world.browser()("POST", "/login", {"assertion": token}).status_int == 200
    assert refusal(world.browser()("POST", "/login", {"assertion": token})) == INVALID
    world.clock.advance(3600 + 61)
    assert reason(world, token) == "expired"


def test_its_token_for_another_client_is_refused(world, provider):
    assert reason(world, provider.id_token(client="dpresence-ES256")) == "algorithm"
    assert reason(world, provider.id_token(client="post")) == "audience"


def test_its_token_with_another_nonce_is_refused(world, provider):
    token = parse(provider.id_token())
    checker = world.registry.clients.providers["corp"]._provider
    assert checker.check(token, "n-1").sub == "ada"
    with pytest.raises(InvalidAssertion) as refused:
        checker.check(token, "n-2")
    assert refused.value.reason == "nonce"


def test_its_token_edited_in_any_part_is_refused(world, provider):
    token = provider.id_token()
    head, payload, signature = token.split(".")
    header, claims = (json.loads(raw(each)) for each in (head, payload))
    public = requests.get(f"{provider.issuer}/jwks", timeout=SECONDS).json()["keys"][0]
    forged = {
        "payload": f"{head}.{part({**claims, 'email': 'root@example.org'})}.{signature}",
        "issuer": f"{head}.{part({**claims, 'iss': 'https://id.example.org'})}.{signature}",
        "none": f"{part({**header, 'alg': 'none'})}.{payload}.",
        "none and signed": f"{part({**header, 'alg': 'none'})}.{payload}.{signature}",
        "kid": f"{part({**header, 'kid': 'other'})}.{payload}.{signature}",
        "shared secret": sign({**header, "alg": "HS256"}, claims, json.dumps(public).encode()),
        "shared secret n": sign({**header, "alg": "HS256"}, claims, raw(public["n"])),
        "cut": token[:-1],
        "signature": f"{head}.{payload}.{signature[::-1]}",
    }
    reasons = {name: reason(world, text) for name, text in forged.items()}
    assert reasons == {
        "payload": "signature", "issuer": "issuer", "none": "algorithm", "none and signed": "algorithm", "kid": "key",
        "shared secret": "algorithm", "shared secret n": "algorithm", "cut": reasons["cut"], "signature": "signature",
    }  # fmt: skip
    assert reasons["cut"] in ("signature", "malformed")


def test_its_new_keys_are_picked_up_with_one_fetch(world, provider):
    old = provider.id_token()
    world.services.accounts.verify(old, "127.0.0.1")
    before = provider.asked("/jwks")
    provider.again("rotate")
    for _ in range(3):
        world.services.accounts.verify(provider.id_token(), "127.0.0.1")
    assert provider.asked("/jwks") == before + 1
    assert reason(world, old) == "key"
    assert provider.asked("/jwks") == before + 1


def test_a_thousand_unknown_keys_make_it_be_asked_once(world, provider):
    head, payload, signature = provider.id_token().split(".")
    header = json.loads(raw(head))
    world.browser()("GET", "/login/corp")
    before = provider.asked("/jwks")
    for number in range(1000):
        assert reason(world, f"{part({**header, 'kid': f'k{number}'})}.{payload}.{signature}") == "key"
    assert provider.asked("/jwks") == before + 1


def test_its_keys_serve_for_a_day_while_it_is_away(world, provider):
    token = provider.id_token()
    world.services.accounts.verify(token, "127.0.0.1")
    provider.again("away")
    world.clock.advance(3000)
    world.registry.clients.providers["corp"].renew()
    world.services.accounts.verify(token, "127.0.0.1")
    world.clock.advance(24 * 3600)
    with pytest.raises(BackendUnavailable):
        world.services.accounts.verify(token, "127.0.0.1")


# --- over real sockets


@pytest.mark.slow
def test_a_service_process_signs_people_in(provider, tmp_path):
    settings = {name.replace("__", "."): value for name, value in trusting(provider.issuer, tmp_path).items()}
    service = WarmService(tmp_path, settings)
    provider.again(urlencode({"service": service.origin}))
    service.start()
    try:
        with requests.Session() as browser:
            away = browser.get(f"{service.origin}/login/corp?next=/account", allow_redirects=False, timeout=SECONDS)
            back = provider.walk(away.headers["Location"], "ada")
            home = browser.get(back, headers={"Accept": "application/json"}, timeout=SECONDS)
            assert (home.url, home.json()["account"]["email"]) == (f"{service.origin}/account", "ada@example.org")
            assert [cookie.name for cookie in browser.cookies] == ["dpresence"]
        token = provider.id_token()
        with connect(service.origin.replace("http", "ws", 1) + "/presence") as device:
            device.send(json.dumps({"email": "ada@example.org", "assertion": token, "status": "online"}))
            assert json.loads(device.recv(timeout=SECONDS)) == {"result": "OK"}
        assert requests.get(f"{service.origin}/devices", headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS).ok
        assert (tmp_path / "presence.secret").stat().st_mode & 0o777 == 0o600
        assert service.stop() == 0
    finally:
        service.kill()
    service.assert_clean()
    assert token[-40:] not in service.log() and "code=" not in service.log()
