"""A sign-in at an OpenID Connect provider that fails: the page leads to another one, which ends where the first one was to end."""

from __future__ import annotations

import re

import pytest

from dpresence.errors import SessionEnded
from dpresence.tests.web.oidc_sign_in import SignIn, clock, make, provider, world
from dpresence.tests.web.support import AUDIENCE

__all__ = ["clock", "make", "provider", "world"]

HTML = {"Accept": "text/html"}
BEGIN = "/login/corp?next=/grant/a%3Fredirect%3Dhttps://x.example/"
AGAIN = "/login?next=%2Fgrant%2Fa%3Fredirect%3Dhttps%3A%2F%2Fx.example%2F"


def ways(answer):
    """Return the status, and the addresses of the buttons of a page."""
    return answer.status_int, re.findall(r'<a class="button[^"]*" href="([^"]*)"', answer.text.partition("<main")[2])


@pytest.mark.parametrize(("claims", "status"), [({"nonce": "other"}, 401), ({"email_verified": False}, 401)])
def test_a_proof_that_is_refused_leads_on_to_the_same_page(world, provider, claims, status):
    assert ways(SignIn(world, BEGIN).give(provider, **claims).back(headers=HTML)) == (status, [AGAIN, "/"])


def test_a_person_who_declined_by_mistake_comes_back_to_the_same_page(world):
    assert ways(SignIn(world, BEGIN).back(error="access_denied", code=None, headers=HTML)) == (401, [AGAIN, "/"])


def test_without_a_page_in_particular_the_sign_in_page_is_plain(world):
    assert ways(SignIn(world).back(error="access_denied", code=None, headers=HTML)) == (401, ["/login", "/"])


def test_a_provider_that_is_away_leads_on_to_the_same_page(world, provider):
    provider.script["/jwks"] = lambda handler: handler.reply(500, b"")
    assert ways(world.browser()("GET", BEGIN, **HTML)) == (503, [AGAIN, "/"])


def test_a_provider_that_does_not_exist_leads_to_those_that_do(world):
    assert ways(world.browser()("GET", BEGIN.replace("corp", "nobody"), **HTML)) == (404, [AGAIN, "/"])


def test_an_answer_that_cannot_be_used_again_is_not_offered_again(make, provider):
    world = make(identity__logins_per_hour="1")
    assert SignIn(world).give(provider).back().status_int == 303
    assert ways(SignIn(world, BEGIN).give(provider).back(headers=HTML)) == (429, [AGAIN, "/"])


def test_nor_after_an_error_of_this_service(world, provider, monkeypatch):
    monkeypatch.setattr(world.services.accounts, "login_with_provider", lambda *_: 1 / 0)
    assert ways(SignIn(world, BEGIN).give(provider).back(headers=HTML)) == (500, [AGAIN, "/"])


def test_a_sign_in_that_was_ended_meanwhile_begins_again_without_the_used_code(world, provider, monkeypatch):
    def ended(*_):
        raise SessionEnded

    monkeypatch.setattr(world.registry.backends.directory, "add_session", ended)
    answer = SignIn(world, BEGIN).give(provider).back(headers=HTML)
    assert (answer.status_int, answer.headers["Location"]) == (303, AUDIENCE + AGAIN)


def test_a_destination_that_is_no_text_is_refused_on_a_page(world):
    assert ways(world.browser()("GET", "/login/corp?next=%ff", **HTML)) == (400, ["/"])
