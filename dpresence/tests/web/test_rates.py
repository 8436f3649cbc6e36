"""Rates of an account and of an application: a call above them changes nothing; errno 117 has the time to wait (section 7)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from webtest import TestResponse

from dpresence.errors import SlowDown
from dpresence.tests.web.support import App, World, ko, refusal

ANN, BOB, DEV = "ann@example.org", "bob@example.org", "dev@example.org"


def slow_down(answer: TestResponse, error: str, seconds: int) -> bool:
    """Return whether a call was refused for its rate, in body and header."""
    refused = (429, ko(117, error, retry_after=seconds))
    return refusal(answer) == refused and answer.headers["Retry-After"] == str(seconds)


# -- an application


def test_a_developer_asks_for_so_many_proofs_of_one_application(world: World) -> None:
    dev = world.person(DEV)
    appid, other = world.registered(dev)["appid"], world.registered(dev)["appid"]
    world.proof.answer = (200, "another key")
    for _ in range(10):
        assert dev("POST", f"/myapps/{appid}/validate").json["errno"] == 141
    world.proof.paths.clear()
    assert slow_down(dev("POST", f"/myapps/{appid}/validate"), "too many proofs of this application's domain", 360)
    assert world.proof.paths == [], "a refused call fetches nothing"
    assert dev("POST", f"/myapps/{other}/validate").json["errno"] == 141
    world.clock.advance(360)
    assert dev("POST", f"/myapps/{appid}/validate").json["errno"] == 141


def test_a_proof_that_was_not_looked_for_is_not_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    dev = world.person(DEV)
    appid = world.registered(dev)["appid"]

    def refuse(domain: str, owner: str) -> None:
        raise SlowDown("too many domains are being validated", retry_after=5)

    with monkeypatch.context() as busy:
        busy.setattr(world.services.domain_checks._proofs, "fetch", refuse)
        for _ in range(20):
            assert slow_down(dev("POST", f"/myapps/{appid}/validate"), "too many domains are being validated", 5)
    assert dev("POST", f"/myapps/{appid}/validate").json["errno"] == 141


def test_the_proofs_of_somebody_else_cost_the_owner_nothing(world: World) -> None:
    dev, ann = world.person(DEV), world.person(ANN)
    appid = world.registered(dev)["appid"]
    for _ in range(20):
        assert ann("POST", f"/myapps/{appid}/validate").json["errno"] == 110
    assert dev("POST", f"/myapps/{appid}/validate").json["errno"] == 141


def test_an_application_gets_so_many_new_keys(world: World, app: App) -> None:
    keys = [app.owner("POST", f"/myapps/{app.id}/key").json["api_key"] for _ in range(10)]
    assert slow_down(app.owner("POST", f"/myapps/{app.id}/key"), "too many new keys of this application", 360)
    last = world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {keys[-1]}")
    assert last.status_int == 200, "what was refused retired nothing"
    world.clock.advance(360)
    assert app.owner("POST", f"/myapps/{app.id}/key").status_int == 200


# -- an account


def test_an_account_opens_so_many_browser_sessions(make_world: Callable[..., World]) -> None:
    world = make_world(identity__logins_per_hour="2")
    world.person(ANN), world.person(ANN)
    answer = world.browser()("POST", "/login", {"assertion": world.assertion(ANN)})
    assert slow_down(answer, "too many sign-ins of this account", 1800)
    assert "Set-Cookie" not in answer.headers
    assert world.person(BOB).csrf
    world.clock.advance(1800)
    assert len(world.person(ANN)("GET", "/account").json["sessions"]) == 3


def test_a_refused_log_in_does_not_use_its_assertion_up(make_world: Callable[..., World]) -> None:
    world = make_world(identity__logins_per_hour="1")
    world.person(ANN)
    world.clock.advance(3540)
    assertion = world.assertion(ANN)
    assert world.browser()("POST", "/login", {"assertion": assertion}).json["errno"] == 117
    world.clock.advance(60)
    assert world.browser()("POST", "/login", {"assertion": assertion}).status_int == 200


def test_an_account_is_given_so_many_tickets_wherever_they_come_from(make_world: Callable[..., World]) -> None:
    world = make_world(identity__tickets_per_hour="2")
    ann, first = world.person(ANN), {"email": ANN, "status": "online", "ticket": True}
    ann("POST", "/ticket")
    assert world.channel().receive({**first, "assertion": world.assertion(ANN), "device": "phone"})["result"] == "OK"
    too_many = ko(117, "too many tickets of this account", retry_after=1800)
    assert refusal(ann("POST", "/ticket")) == (429, too_many)
    assert world.channel().receive({**first, "assertion": world.assertion(ANN)}) == too_many
    assert world.person(BOB)("POST", "/ticket").status_int == 200
    assert world.device(ANN).code is None, "signing in without asking for one goes on"


def test_a_ticket_for_a_ticket_costs_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(identity__tickets_per_hour="1")
    ticket = world.person(ANN)("POST", "/ticket").json["ticket"]
    for _ in range(5):
        channel = world.channel()
        ticket = channel.receive({"email": ANN, "status": "online", "device": "page", "assertion": ticket, "ticket": True})["ticket"]
        channel.lose()


@pytest.mark.parametrize(
    ("setting", "calls"),
    [("outbound.proofs_per_hour", "validate"), ("presence.keys_per_hour", "key")],
)
def test_the_numbers_are_settings(make_world: Callable[..., World], setting: str, calls: str) -> None:
    world = make_world(**{setting: "1"})
    app = world.application()  # which took the one proof
    answers = [app.owner("POST", f"/myapps/{app.id}/{calls}").status_int for _ in range(2)]
    assert answers == ([429, 429] if calls == "validate" else [200, 429])
