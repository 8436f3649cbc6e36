"""Browser sign-in at an OpenID Connect provider: the redirect, the code, userinfo and the session."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from dpresence.tests.oidc_support import CLIENT
from dpresence.tests.web.support import AUDIENCE, NOT_FOUND, refusal

from .oidc_sign_in import AWAY, DOMAIN, INVALID, NO_EMAIL, UNVERIFIED, SignIn, attributes, clock, cookies, make, provider, world

__all__ = ["clock", "make", "provider", "world"]


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
