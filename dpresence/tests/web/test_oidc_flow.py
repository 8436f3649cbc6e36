"""Signing in at an OpenID provider with a browser, and with an ID token wherever an assertion goes."""

from __future__ import annotations

import json
import logging
import re
from base64 import b64decode, urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import gevent
import pytest

from dpresence import outbound
from dpresence.errors import InvalidAssertion, NotAdmitted
from dpresence.tests.oidc_support import CLIENT, TinyProvider, key, sign, trust
from dpresence.tests.support import FakeClock
from dpresence.tests.web.support import AUDIENCE, NOT_FOUND, ko, refusal

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


# --- the way there


def test_the_browser_is_sent_to_the_provider_with_all_that_must_come_back(world, provider):
    sign_in = SignIn(world)
    assert sign_in.location.startswith(f"{provider.issuer}/auth?")
    asked = sign_in.asked
    state, nonce, challenge = asked.pop("state"), asked.pop("nonce"), asked.pop("code_challenge")
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": f"{AUDIENCE}/login/corp/callback",
        "scope": "openid email",
        "code_challenge_method": "S256",
    }
    assert len({state, nonce, challenge}) == 3 and {len(state), len(nonce), len(challenge)} == {43}
    assert SignIn(world).asked["state"] != state


def test_the_cookie_is_for_this_host_and_for_ten_minutes(world, make):
    sign_in = SignIn(world)
    assert cookies(sign_in.answer)[sign_in.cookie].partition("; ")[2] == attributes(600)
    sign_in = SignIn(make(identity__audience="https://presence.example.org"))
    assert cookies(sign_in.answer)[f"__Host-{sign_in.cookie}"].partition("; ")[2] == attributes(600, "secure; ")


def test_an_authorization_endpoint_may_have_a_query(world, provider):
    provider.discovery = {"authorization_endpoint": f"{provider.issuer}/auth?tenant=1"}
    assert SignIn(world).location.startswith(f"{provider.issuer}/auth?tenant=1&response_type=code&")


def test_an_unknown_provider_is_not_found(world):
    assert refusal(world.browser()("GET", "/login/other")) == NOT_FOUND
    assert refusal(world.browser()("GET", "/login/other/callback?code=1&state=2")) == NOT_FOUND


def test_without_a_provider_there_is_no_way_and_no_secret(make_world, tmp_path):
    world = make_world()
    assert refusal(world.browser()("GET", "/login/corp")) == NOT_FOUND
    assert not (tmp_path / "presence.secret").exists()


def test_a_provider_that_is_away_is_said_to_be(world, provider):
    provider.script["/jwks"] = lambda handler: handler.reply(500, b"")
    answer = world.browser()("GET", "/login/corp")
    assert refusal(answer) == AWAY
    assert answer.headers["Retry-After"] == "5"


# --- the way back


def test_coming_back_opens_a_browser_session(world, provider):
    sign_in = SignIn(world, "/login/corp?next=/grants%3Flimit%3D5").give(provider)
    answer = sign_in.back()
    assert (answer.status_int, answer.headers["Location"]) == (303, f"{AUDIENCE}/grants?limit=5")
    assert cookies(answer)["dpresence"].partition("; ")[2] == attributes(43200)
    assert cookies(answer)[sign_in.cookie].startswith(f"{sign_in.cookie}=; Max-Age=0; ")
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Referrer-Policy"] == "same-origin"
    account = sign_in.browser("GET", "/account").json["account"]
    assert (account["email"], account["issuer"], account["subject"]) == ("ada@example.org", provider.issuer, "ada-1")


def test_every_sign_in_has_a_session_of_its_own(world, provider):
    first = SignIn(world).give(provider)
    first.back()
    before = first.browser.web.cookies["dpresence"]
    again = first.browser("GET", "/login/corp")
    first.asked = dict(parse_qsl(urlsplit(again.headers["Location"]).query))
    first.give(provider).back()
    assert first.browser.web.cookies["dpresence"] != before


def test_the_code_is_redeemed_by_this_client_with_its_proof_key(make, provider, tmp_path):
    secret = tmp_path / "corp.secret"
    secret.write_text("a+secret: of 100%41\n")
    sign_in = SignIn(make(oidc__corp__client_secret_file=str(secret))).give(provider)
    assert sign_in.back(code="code%2B1").status_int == 303
    [(headers, form)] = provider.forms
    verifier = form.pop("code_verifier")
    assert urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode() == sign_in.asked["code_challenge"]
    assert form == {"grant_type": "authorization_code", "code": "code+1", "redirect_uri": f"{AUDIENCE}/login/corp/callback"}
    scheme, _, pair = headers["Authorization"].partition(" ")
    name, _, password = b64decode(pair).decode().partition(":")
    assert (scheme, name, unquote_plus(password)) == ("Basic", CLIENT, "a+secret: of 100%41")


def test_a_public_client_names_itself_in_the_form(world, provider):
    assert SignIn(world).give(provider).back().status_int == 303
    [(headers, form)] = provider.forms
    assert form["client_id"] == CLIENT and "client_secret" not in form and "Authorization" not in headers


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(make, provider, tmp_path):
    (tmp_path / "corp.secret").write_text("hush")
    provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    sign_in = SignIn(make(oidc__corp__client_secret_file=str(tmp_path / "corp.secret"))).give(provider)
    assert sign_in.back().status_int == 303
    [(headers, form)] = provider.forms
    assert (form["client_id"], form["client_secret"]) == (CLIENT, "hush") and "Authorization" not in headers


def test_the_mail_address_may_be_in_userinfo_only(world, provider):
    sign_in = SignIn(world).give(provider, email=None, email_verified=None)
    provider.profile = {"sub": "ada-1", "email": "ada@example.org", "email_verified": True, "name": "Ada"}
    assert sign_in.back().status_int == 303
    assert sign_in.browser("GET", "/account").json["account"]["email"] == "ada@example.org"


def test_userinfo_is_checked_as_the_token_is(world, provider):
    profiles = [
        ({"sub": "joe-1", "email": "ada@example.org", "email_verified": True}, INVALID),
        ({"sub": "ada-1", "email": "ada@example.org"}, UNVERIFIED),
        ({"sub": "ada-1", "email": "ada@elsewhere.example", "email_verified": True}, DOMAIN),
        ({"sub": "ada-1"}, NO_EMAIL),
        ({"email": "ada@example.org", "email_verified": True}, AWAY),
        ([], AWAY),
    ]
    for provider.profile, expected in profiles:
        assert refusal(SignIn(world).give(provider, email=None).back()) == expected, provider.profile


def test_userinfo_is_not_asked_when_the_token_says_enough(world, provider):
    assert SignIn(world).give(provider).back().status_int == 303
    assert provider.asked["/me"] == 0


def test_next_is_a_path_of_this_service_or_nothing(world, provider):
    others = ["//evil.example", "/%5Cevil.example", "https://evil.example/", "/%0d%0aSet-Cookie:a=b", "/a%09b", "a", ""]
    for path in others:
        answer = SignIn(world, f"/login/corp?next={path}").give(provider).back()
        assert answer.headers["Location"] == f"{AUDIENCE}/", path


def test_the_way_on_does_not_depend_on_the_host_header(world, provider):
    sign_in = SignIn(world).give(provider)
    sign_in.browser.web.extra_environ["HTTP_HOST"] = "evil.example"
    for line in cookies(sign_in.answer).values():
        sign_in.browser.web.extra_environ["HTTP_COOKIE"] = line.partition(";")[0]
    assert sign_in.back().headers["Location"] == f"{AUDIENCE}/"


# --- what is refused on the way back

NOT_BEGUN = (403, ko(121, "the sign-in was not started in this browser, or it has expired"))
OTHER_STATE = (403, ko(121, "state: does not belong to this sign-in"))  # where its cookie has the right name


def test_another_state_is_refused_and_nothing_is_asked(world, provider):
    sign_in = SignIn(world).give(provider)
    for state in ("x" * 43, "", "%C3%A9", "a%3D%22;,%0A", None):
        assert refusal(sign_in.back(state=state)) == NOT_BEGUN, state
    for state in (sign_in.asked["state"][:16], sign_in.asked["state"] + "x", sign_in.asked["state"][:-1] + "%C3%A9"):
        assert refusal(sign_in.back(state=state)) == OTHER_STATE, state
    assert provider.forms == []
    assert sign_in.back().status_int == 303  # whoever sent that has not ended the sign-in


def test_a_browser_that_did_not_begin_is_refused(world, provider):
    sign_in = SignIn(world).give(provider)
    sign_in.browser = world.browser()
    assert refusal(sign_in.back()) == NOT_BEGUN


def test_a_sign_in_is_used_once(world, provider):
    sign_in = SignIn(world).give(provider)
    assert sign_in.back().status_int == 303
    session = sign_in.browser.web.cookies["dpresence"]
    assert sign_in.back().headers["Location"] == f"{AUDIENCE}/"  # loaded again by who is signed in
    assert sign_in.browser.web.cookies["dpresence"] == session
    sign_in.browser.web.reset()
    assert refusal(sign_in.back()) == NOT_BEGUN
    assert len(provider.forms) == 1


def test_a_sign_in_that_failed_is_used_up(world, provider):
    sign_in = SignIn(world)
    assert refusal(sign_in.back(error="access_denied", code=None)) == ENDED
    assert refusal(sign_in.give(provider).back()) == NOT_BEGUN


def test_a_sign_in_takes_ten_minutes_at_most(world, provider, clock):
    late, in_time = SignIn(world), SignIn(world)
    clock.advance(599)
    assert in_time.give(provider).back().status_int == 303
    clock.advance(1)
    assert refusal(late.give(provider).back()) == NOT_BEGUN


def test_a_cookie_is_as_this_service_wrote_it(world, provider):
    sign_in = SignIn(world).give(provider)
    value = sign_in.browser.web.cookies[sign_in.cookie]
    first = "B" if value[0] == "A" else "A"
    for forged in (
        value[:-4] + ("BBBB" if value.endswith("AAAA") else "AAAA"),
        first + value[1:],
        value[1:],
        "",
        "x",
        "é",
        "e30",
        value + value,
    ):
        sign_in.browser.web.set_cookie(sign_in.cookie, forged.encode().decode("latin-1"))
        assert refusal(sign_in.back()) == NOT_BEGUN
    assert provider.forms == []


def test_a_cookie_of_another_service_is_refused(world, make, provider, tmp_path):
    (tmp_path / "other.secret").write_bytes(b"x" * 32)
    (tmp_path / "other.secret").chmod(0o600)
    other = SignIn(make(identity__secret_file=str(tmp_path / "other.secret"))).give(provider)
    other.browser.web.app = world.app
    assert refusal(other.back()) == NOT_BEGUN


def test_a_sign_in_at_one_provider_does_not_end_at_another(make, provider):
    second = {f"oidc__two__{name}": value for name, value in (("issuer", "https://id.example.org"), ("client_id", "x"), ("domains", "*"))}
    sign_in = SignIn(make(oidc__providers="corp two", **second)).give(provider)
    assert refusal(sign_in.back("/login/two/callback")) == NOT_BEGUN


def test_a_provider_that_says_no_proves_nothing(world, caplog):
    for error, shown in (("access_denied", "access_denied"), ("server_error", "server_error"), ("<script>", "an unknown error")):
        with caplog.at_level(logging.INFO):
            assert refusal(SignIn(world).back(error=error, error_description="x", code=None)) == ENDED
        assert f"sign-in refused: the identity provider answered {shown}" in caplog.text
    assert "script" not in caplog.text


def test_a_provider_that_says_no_without_a_state_ended_the_sign_in_too(world, caplog):
    with caplog.at_level(logging.INFO):
        assert refusal(SignIn(world).back(error="access_denied", state=None, code=None)) == ENDED
    assert "sign-in refused: the identity provider answered access_denied (corp)" in caplog.messages
    assert refusal(SignIn(world).back(error="access_denied", state="x", code=None)) == NOT_BEGUN


def test_the_page_of_a_sign_in_that_ended_does_not_speak_of_a_bad_proof(world):
    text = SignIn(world).back(error="access_denied", code=None, headers={"Accept": "text/html"}).text
    assert "The sign-in was cancelled" in text and "too old" not in text and 'href="/login' in text


def test_an_answer_without_code_is_a_wrong_value(world):
    assert refusal(SignIn(world).back(code=None)) == (400, ko(107, "code: is missing"))


def test_an_answer_that_says_something_twice_is_a_wrong_value(world):
    answer = SignIn(world).back(code="1&code=2")
    assert refusal(answer) == (400, ko(107, "a part of the query comes twice"))


def test_the_answer_of_another_issuer_is_refused(world, provider):
    assert refusal(SignIn(world).give(provider).back(iss="https://id.example.org")) == INVALID
    assert provider.forms == []
    assert SignIn(world).give(provider).back(iss=provider.issuer).status_int == 303


def test_an_issuer_that_promised_to_name_itself_must(world, provider):
    provider.discovery = {"authorization_response_iss_parameter_supported": True}
    assert refusal(SignIn(world).give(provider).back()) == INVALID
    assert SignIn(world).give(provider).back(iss=provider.issuer).status_int == 303


def test_a_token_that_proves_nothing_opens_nothing(world, provider):
    tokens = [
        {"nonce": "other"},
        {"nonce": None},
        {"nonce": ""},
        {"aud": "other"},
        {"iss": "https://id.example.org"},
        {"header": {"kid": "rsa-9"}},
        {"number": 5},
    ]
    told = [
        ({"email": "ada@elsewhere.example"}, DOMAIN),
        ({"email_verified": False}, UNVERIFIED),
        ({"email_verified": "true"}, UNVERIFIED),
        ({"email": "ädä@example.org"}, NO_EMAIL),
    ]
    for claims, expected in [*((claims, INVALID) for claims in tokens), *told]:
        sign_in = SignIn(world).give(provider, **claims)
        answer = sign_in.back()
        assert refusal(answer) == expected, claims
        assert list(cookies(answer)) == [sign_in.cookie]
        assert sign_in.browser("GET", "/account").status_int == 401


def test_a_token_that_was_issued_long_ago_opens_nothing(world, provider, clock):
    sign_in = SignIn(world).give(provider, iat=clock.now() // 1000 - 660)
    assert refusal(sign_in.back()) == INVALID


def test_a_token_endpoint_that_gives_nothing_is_told_apart(world, provider, caplog):
    failed = f"oidc.corp: a sign-in failed: {provider.issuer}/token at 127.0.0.1"
    answers = [
        ((400, {"error": "invalid_grant"}), INVALID, "sign-in refused: code"),
        ((401, {"error": "invalid_client"}), AWAY, f"{failed}: status 401 invalid_client"),
        ((400, {"error": "dpk_secret and more"}), AWAY, f"{failed}: status 400 an unknown error"),
        ((500, {}), AWAY, f"{failed}: status 500 'Internal Server Error'"),
        ((302, {}), AWAY, f"{failed}: status 302 'Found'"),
        ((200, {"access_token": "access"}), AWAY, f"{failed}: the response is not the JSON that it should be"),
        ((200, {"id_token": "a.b.c"}), INVALID, "sign-in refused: malformed"),
        ((200, {"id_token": "x"}), INVALID, "sign-in refused: malformed"),
    ]
    for provider.tokens, expected, why in answers:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert refusal(SignIn(world).back()) == expected, provider.tokens
        assert why in caplog.text


def test_failures_of_an_address_are_slowed_down_and_a_good_sign_in_is_not(make, provider):
    world = make(channels__failures_per_minute="2")
    for _ in range(20):
        assert refusal(SignIn(world).back(error="access_denied", code=None)) == ENDED
    assert SignIn(world).back(error="access_denied", code=None).json["errno"] == 117
    assert SignIn(world).give(provider).back().status_int == 303


def test_an_address_has_few_codes_checked_at_a_time_and_another_one_does_not_wait(make, provider):
    world = make()
    entered = [world.presence.accounts._failures.slot("192.0.2.1") for _ in range(4)]
    for turn in entered:
        turn.__enter__()
    waiting = SignIn(world, address="192.0.2.1")
    answer = gevent.spawn(waiting.back)
    assert SignIn(world).give(provider).back().status_int == 303
    assert not answer.ready()
    waiting.give(provider)
    entered[0].__exit__(None, None, None)
    assert answer.get(timeout=5).status_int == 303


def test_nothing_secret_reaches_the_log_or_an_answer(world, provider, caplog):
    with caplog.at_level(logging.DEBUG):
        for claims in ({}, {"nonce": "other"}, {"email": None}):
            sign_in = SignIn(world).give(provider, **claims)
            answer = sign_in.back(code="code-of-hers")
            token = provider.tokens[1]["id_token"]
            for secret in (token[:60], token[-60:], sign_in.asked["nonce"], "code-of-hers"):
                assert secret not in answer.text and secret not in caplog.text


# --- pinning


def test_an_account_stays_with_its_subject_until_it_is_released(world, provider):
    assert SignIn(world).give(provider).back().status_int == 303
    other = SignIn(world).give(provider, sub="ada-2")
    assert other.back().json["errno"] == 122
    assert other.browser("GET", "/account").status_int == 401
    assert world.parts.backends.directory.unpin("ada@example.org")
    assert SignIn(world).give(provider, sub="ada-2").back().status_int == 303
    assert SignIn(world).give(provider).back().json["errno"] == 122


# --- an ID token in place of an assertion


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
    world.presence.accounts.sweep()
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
        world.presence.accounts.verify("a.b.c~d.e.f", "127.0.0.1")
