"""Browser sign-ins at an OpenID Connect provider that are refused, and the reason in the log."""

from __future__ import annotations

import logging

import gevent

from dpresence.tests.waiting import PATIENCE_SECONDS
from dpresence.tests.web.support import AUDIENCE, ko, refusal

from .oidc_sign_in import AWAY, DOMAIN, ENDED, INVALID, NO_EMAIL, UNVERIFIED, SignIn, clock, cookies, make, provider, world

__all__ = ["clock", "make", "provider", "world"]


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
    disclosed = [
        ({"email": "ada@elsewhere.example"}, DOMAIN),
        ({"email_verified": False}, UNVERIFIED),
        ({"email_verified": "true"}, UNVERIFIED),
        ({"email": "ädä@example.org"}, NO_EMAIL),
    ]
    for claims, expected in [*((claims, INVALID) for claims in tokens), *disclosed]:
        sign_in = SignIn(world).give(provider, **claims)
        answer = sign_in.back()
        assert refusal(answer) == expected, claims
        assert list(cookies(answer)) == [sign_in.cookie]
        assert sign_in.browser("GET", "/account").status_int == 401


def test_a_token_that_was_issued_long_ago_opens_nothing(world, provider, clock):
    sign_in = SignIn(world).give(provider, iat=clock.now() // 1000 - 660)
    assert refusal(sign_in.back()) == INVALID


def test_a_token_endpoint_that_gives_nothing_has_an_error_of_its_own(world, provider, caplog):
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


def test_a_userinfo_endpoint_that_fails_is_logged_with_its_url(world, provider, caplog):
    provider.script["/me"] = lambda handler: handler.reply(500, b"")
    assert refusal(SignIn(world).give(provider, email=None).back()) == AWAY
    assert f"oidc.corp: a sign-in failed: {provider.issuer}/me at 127.0.0.1: status 500 'Internal Server Error'" in caplog.messages


def test_failures_of_an_address_are_slowed_down_and_a_good_sign_in_is_not(make, provider):
    world = make(channels__failures_per_minute="2")
    for _ in range(20):
        assert refusal(SignIn(world).back(error="access_denied", code=None)) == ENDED
    assert SignIn(world).back(error="access_denied", code=None).json["errno"] == 117
    assert SignIn(world).give(provider).back().status_int == 303


def test_an_address_has_few_codes_checked_at_a_time_and_another_one_does_not_wait(make, provider):
    world = make()
    entered = [world.services.accounts._failures.slot("192.0.2.1") for _ in range(4)]
    for turn in entered:
        turn.__enter__()
    waiting = SignIn(world, address="192.0.2.1")
    answer = gevent.spawn(waiting.back)
    assert SignIn(world).give(provider).back().status_int == 303
    assert not answer.ready()
    waiting.give(provider)
    entered[0].__exit__(None, None, None)
    assert answer.get(timeout=PATIENCE_SECONDS).status_int == 303


def test_nothing_secret_reaches_the_log_or_an_answer(world, provider, caplog):
    with caplog.at_level(logging.DEBUG):
        for claims in ({}, {"nonce": "other"}, {"email": None}):
            sign_in = SignIn(world).give(provider, **claims)
            answer = sign_in.back(code="code-of-ada")
            token = provider.tokens[1]["id_token"]
            for secret in (token[:60], token[-60:], sign_in.asked["nonce"], "code-of-ada"):
                assert secret not in answer.text and secret not in caplog.text
