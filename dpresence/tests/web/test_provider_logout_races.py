"""Logouts by an OpenID Connect provider during a sign-in, and at another process."""

from __future__ import annotations

import shutil

import pytest

from dpresence.tests.waiting import eventually
from dpresence.tests.web.races import Held
from dpresence.tests.web.support import refusal

from .oidc_sign_in import INVALID, SignIn, clock, make, provider, world
from .provider_logouts import ADA, ENDED, NOT_SIGNED_IN, csrf, device, log_out_well, sign_in, signed_in

__all__ = ["clock", "make", "provider", "world"]


@pytest.mark.parametrize("claims", [{}, {"sid": None}], ids=["session", "person"])
def test_a_logout_during_the_redemption_of_the_code_ends_the_sign_in(world, provider, claims):
    sign_in(world, provider, sid="another")  # the account exists
    late = SignIn(world).give(provider, sid="sid-1")
    log_out_well(world, provider, **claims)
    assert refusal(late.back()) == INVALID
    assert not signed_in(late.browser)


@pytest.mark.parametrize("claims", [{}, {"sid": None}], ids=["session", "person"])
def test_a_logout_just_before_the_session_is_stored_ends_the_sign_in(world, provider, monkeypatch, claims):
    late = SignIn(world).give(provider, sid="sid-1")
    held = Held(monkeypatch, world.registry.backends.directory, "add_session")
    answers = []
    held.overtake(lambda: answers.append(late.back()), lambda: log_out_well(world, provider, **claims))
    assert refusal(answers[0]) == ENDED
    assert not signed_in(late.browser)


@pytest.mark.parametrize("claims", [{}, {"sid": None}], ids=["session", "person"])
def test_a_logout_while_a_channel_joins_closes_it(world, provider, monkeypatch, claims):
    device(world, provider.token())  # the account exists
    channel, frame = world.channel(), {"email": ADA, "assertion": provider.token(sid="sid-1"), "status": "online"}
    held = Held(monkeypatch, world.services.devices, "connect")
    held.overtake(lambda: channel.receive(frame), lambda: log_out_well(world, provider, **claims))
    assert channel.code == NOT_SIGNED_IN


def test_a_logout_just_before_a_ticket_is_stored_refuses_the_device(world, provider, monkeypatch):
    channel = world.channel()
    frame = {"email": ADA, "assertion": provider.token(sid="sid-1"), "status": "online", "ticket": True}
    held = Held(monkeypatch, world.registry.backends.directory, "add_ticket")
    held.overtake(lambda: channel.receive(frame), lambda: log_out_well(world, provider))
    assert channel.sent == [ENDED[1]]


# -- two processes


@pytest.fixture
def pair(make, tmp_path, redis_server, migrated):
    """Two services that share everything."""
    shutil.copy(migrated, tmp_path / "shared.db")
    shared = {"directory__url": f"sqlite:///{tmp_path}/shared.db", "tracker": "redis", "mailbox": "redis", "redis__url": redis_server.url}
    return make(**shared), make(**shared)


def test_a_logout_at_one_process_ends_everything_at_the_other(pair, provider):
    one, two = pair
    browser = csrf(sign_in(two, provider))
    channels = [device(two, browser("POST", "/ticket").json["ticket"]), device(two, provider.token(sid="sid-1"))]
    stays = device(two, provider.token(sid="sid-2"))
    log_out_well(one, provider)
    eventually(lambda: [channel.code for channel in channels] == [NOT_SIGNED_IN] * 2)
    assert not signed_in(browser)
    assert stays.code is None


def test_a_process_that_missed_the_signal_closes_the_channel_when_it_recovers(pair, provider):
    one, two = pair
    token, stays = device(two, provider.token(sid="sid-1")), device(two, provider.token(sid="sid-2"))
    two.registry.backends.tracker._parts[0]._pubsub._on_message = lambda message: None
    log_out_well(one, provider)
    two.services._on_signal("missed", "")
    eventually(lambda: token.code == NOT_SIGNED_IN)
    eventually(lambda: not two.services.recovery.running())
    assert stays.code is None
