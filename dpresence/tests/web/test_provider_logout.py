"""Back-channel logout by an OpenID Connect provider: what it ends, what it leaves, and what is refused (docs/protocol.md, section 6)."""

from __future__ import annotations

import logging

import pytest

from dpresence.tests.oidc_support import TinyProvider
from dpresence.tests.web.races import Away
from dpresence.tests.web.support import FORM, ko, refusal

from .oidc_sign_in import AWAY, INVALID, clock, make, provider, world
from .provider_logouts import ADA, ENDED, NOT_SIGNED_IN, csrf, device, log_out, log_out_well, refused, sign_in, signed_in

__all__ = ["clock", "make", "provider", "world"]


# -- what ends


def test_the_browser_of_a_session_that_has_ended_is_signed_out(world, provider):
    browser = sign_in(world, provider)
    assert signed_in(browser)
    log_out_well(world, provider)
    assert refusal(browser("GET", "/account")) == ENDED


def test_the_tickets_of_that_browser_and_their_channels_end(world, provider):
    browser = csrf(sign_in(world, provider))
    tickets = [browser("POST", "/ticket").json["ticket"] for _ in range(2)]
    channel = device(world, tickets[0])
    log_out_well(world, provider)
    assert channel.code == NOT_SIGNED_IN
    assert world.channel().receive({"email": ADA, "assertion": tickets[1], "status": "online"}) == INVALID[1]
    assert world.registry.backends.tracker.devices(world.services.accounts._directory.account_of(ADA).id) == []


@pytest.mark.parametrize("fields", [{}, {"ticket": True}, {"device": "phone"}], ids=str)
def test_the_channel_of_an_id_token_ends_and_its_ticket_too(world, provider, fields):
    token = provider.token(sid="sid-1")
    channel = device(world, token, **fields)
    ticket = channel.sent[0].get("ticket")
    log_out_well(world, provider)
    assert channel.code == NOT_SIGNED_IN
    for proof in filter(None, (token, ticket)):
        assert world.channel().receive({"email": ADA, "assertion": proof, "status": "online"}) == INVALID[1]


def test_the_device_of_an_id_token_is_gone_at_once_also_under_a_status_of_the_person(world, provider):
    browser = csrf(sign_in(world, provider, sid="sid-2"))
    assert browser("PUT", "/status", {"status": "online"}).status_int == 200
    user, tracker = world.services.accounts._directory.account_of(ADA).id, world.registry.backends.tracker
    channel = device(world, provider.token(sid="sid-1"))
    assert tracker.status(user) == "online"
    log_out_well(world, provider)
    assert (channel.code, tracker.status(user), tracker.devices(user)) == (NOT_SIGNED_IN, "offline", [])


def test_id_tokens_of_the_session_are_refused_from_then_on(world, provider, caplog):
    token, later = provider.token(sid="sid-1"), provider.token(sid="sid-2")
    log_out_well(world, provider, sub=None)
    with caplog.at_level(logging.INFO):
        assert refusal(world.browser()("GET", "/account", Authorization=f"Bearer {token}")) == INVALID
    assert f"sign-in refused: logged_out (a…@example.org, {provider.issuer})" in caplog.messages
    assert refusal(world.browser()("POST", "/login", {"assertion": token})) == INVALID
    assert world.browser()("GET", "/account", Authorization=f"Bearer {later}").status_int == 200


def test_a_session_that_was_opened_by_a_post_of_the_token_ends(world, provider):
    browser = world.browser()
    assert browser("POST", "/login", {"assertion": provider.token(sid="sid-1")}).status_int == 200
    log_out_well(world, provider)
    assert not signed_in(browser)


def test_a_channel_follows_the_session_of_its_latest_token(world, provider):
    channel = device(world, provider.token(sid="sid-1"))
    assert channel.receive({"email": ADA, "assertion": provider.token(sid="sid-2"), "status": "online"})["result"] == "OK"
    log_out_well(world, provider)
    assert channel.code is None
    log_out_well(world, provider, sid="sid-2")
    assert channel.code == NOT_SIGNED_IN
    assert not world.services.hub._of_provider_sessions


def test_the_person_may_sign_in_again_even_if_the_provider_keeps_the_session_id(world, provider, clock):
    sign_in(world, provider)
    log_out_well(world, provider)
    clock.advance(1)
    browser = sign_in(world, provider)
    assert signed_in(browser)
    early = {"email": ADA, "assertion": provider.token(sid="sid-1"), "status": "online"}
    assert world.channel().receive(early) == INVALID[1]
    clock.advance(5)
    assert device(world, provider.token(sid="sid-1")).code is None


def test_a_logout_of_the_person_ends_everything_also_paired_devices(world, provider, clock):
    browser, token = csrf(sign_in(world, provider)), provider.token()
    pairing = world.browser()("POST", "/pair", {"device": "lamp", "client": "Lamp"}).json
    assert browser("POST", "/pair/answer", {"code": pairing["user_code"], "allow": True}).status_int == 200
    credential = world.browser()("POST", "/pair/token", {"device_code": pairing["device_code"]}).json["credential"]
    channels = [device(world, credential, device="lamp"), device(world, token)]
    log_out_well(world, provider, sid=None)
    assert [channel.code for channel in channels] == [NOT_SIGNED_IN] * 2
    assert not signed_in(browser)
    for proof in (credential, token):
        assert world.channel().receive({"email": ADA, "assertion": proof, "status": "online"}) == INVALID[1]
    clock.advance(1)
    assert signed_in(sign_in(world, provider))


# -- what stays


def test_other_sessions_and_paired_devices_stay(world, provider):
    browser = csrf(sign_in(world, provider))
    pairing = world.browser()("POST", "/pair", {"device": "lamp", "client": "Lamp"}).json
    assert browser("POST", "/pair/answer", {"code": pairing["user_code"], "allow": True}).status_int == 200
    credential = world.browser()("POST", "/pair/token", {"device_code": pairing["device_code"]}).json["credential"]
    lamp, other, without = device(world, credential), sign_in(world, provider, sid="sid-2"), sign_in(world, provider, sid=None)
    phone = device(world, provider.token(sid="sid-2"), device="phone")
    log_out_well(world, provider)
    assert [signed_in(each) for each in (browser, other, without)] == [False, True, True]
    assert lamp.code is None and phone.code is None


def test_the_same_session_id_at_another_provider_is_another_session(make, provider, clock):
    second = TinyProvider(clock)
    try:
        more = {"issuer": second.issuer, "client_id": "dpresence", "domains": "other.example", "allow_private": "true"}
        world = make(oidc__providers="corp two", **{f"oidc__two__{name}": value for name, value in more.items()})
        browser, channel = sign_in(world, provider), device(world, provider.token(sid="sid-1"))
        answer = log_out(world, second.logout_token(), "/login/two/backchannel-logout")
        assert answer.json == {"result": "OK"}
        assert signed_in(browser) and channel.code is None
        assert refusal(log_out(world, second.logout_token())) == refused("issuer")
        assert refusal(log_out(world, provider.logout_token(), "/login/two/backchannel-logout")) == refused("issuer")
        assert signed_in(browser) and channel.code is None
    finally:
        second.close()


def test_a_logout_of_nobody_who_is_known_is_answered_well(world, provider):
    log_out_well(world, provider)
    log_out_well(world, provider, sid=None, sub="nobody")


# -- what is refused


def test_logouts_are_counted_by_their_outcome(world, provider):
    token = provider.logout_token()
    assert [log_out(world, each).status_int for each in (token, token, "no token")] == [200, 400, 400]
    counts = world.services.metrics.counts()
    assert (counts["provider_logouts ok"], counts["provider_logouts refused"]) == (1, 2)


def test_a_token_is_used_once(world, provider, clock):
    token = provider.logout_token(sid=None)
    assert log_out(world, token).json == {"result": "OK"}
    clock.advance(1)
    browser = sign_in(world, provider)
    assert refusal(log_out(world, token)) == refused("replayed")
    assert refusal(log_out(world, provider.logout_token(sid=None, jti=provider.parsed(token)["jti"]))) == refused("replayed")
    assert signed_in(browser)


def test_a_token_that_is_not_valid_ends_nothing_and_the_log_names_the_reason(world, provider, caplog):
    browser = sign_in(world, provider)
    forged = {
        "signature": provider.logout_token(number=5),
        "audience": provider.logout_token(aud="other"),
        "algorithm": provider.logout_token({"alg": "none"}),
        "nonce": provider.logout_token(nonce="n"),
        "events": provider.logout_token(events={}),
        "malformed": provider.token(sid="sid-1"),
    }
    for reason, token in forged.items():
        with caplog.at_level(logging.INFO):
            answer = log_out(world, token)
        assert (refusal(answer), answer.headers["Cache-Control"]) == (refused(reason), "no-store")
        assert f"logout refused: {reason} (corp)" in caplog.messages
        assert token not in caplog.text
    assert signed_in(browser)


def test_a_logout_of_a_person_is_refused_where_a_session_is_required(make, provider):
    world = make(oidc__corp__backchannel_logout_session_required="true")
    browser = sign_in(world, provider)
    assert refusal(log_out(world, provider.logout_token(sid=None))) == refused("session")
    assert signed_in(browser)
    log_out_well(world, provider)
    assert not signed_in(browser)


def test_a_call_without_a_token_is_refused(world, provider):
    browser, path = world.browser(), "/login/corp/backchannel-logout"
    assert refusal(browser("POST", path, b"", Content_Type=FORM)) == (400, ko(108, "logout_token: is missing"))
    assert refusal(browser("POST", path, {"logout_token": provider.logout_token()})) == (
        400,
        ko(107, "the body: a form, application/x-www-form-urlencoded"),
    )
    assert refusal(log_out(world, provider.logout_token(), "/login/other/backchannel-logout")) == (404, ko(110, "not found"))
    assert refusal(browser("GET", path)) == (405, ko(115, "the method is not allowed here"))


def test_wrong_tokens_of_an_address_are_slowed_down_and_a_good_one_is_not(make, provider):
    world = make(channels__failures_per_minute="2")
    wrong = provider.logout_token(number=5)
    assert [log_out(world, wrong).status_int for _ in range(3)] == [400, 400, 429]
    log_out_well(world, provider)


def test_a_token_whose_logout_was_not_stored_may_be_sent_again(world, provider, monkeypatch):
    browser, token = sign_in(world, provider), provider.logout_token()
    away = Away(monkeypatch, world.registry.backends.directory, "end_provider_session")
    assert refusal(log_out(world, token)) == (503, ko(201, "the service is unavailable for a moment", retry_after=5))
    away.back = True
    assert log_out(world, token).json == {"result": "OK"}
    assert not signed_in(browser)


def test_while_the_providers_keys_are_not_known_it_may_send_the_token_again(make, provider):
    provider.script["/jwks"] = lambda handler: handler.reply(503, b"")
    world = make()
    assert refusal(log_out(world, provider.logout_token())) == AWAY
