"""Tickets: single-use proofs this service makes itself (section 2)."""

from __future__ import annotations

import pytest

from dpresence.tests.support import FakeConnection
from dpresence.tests.web.races import Away
from dpresence.tests.web.support import App, Browser, World, ko, refusal, updates

ANN = "ann@example.org"
NO_COOKIE = (401, ko(104, "Cookie: dpresence, which a sign-in sets"))
INVALID = (401, ko(34, "Invalid assertion"))


def ticket_of(browser: Browser) -> str:
    return str(browser("POST", "/ticket").json["ticket"])


def enter(world: World, ticket: str, /, **fields: object) -> tuple[FakeConnection, dict[str, object]]:
    channel = world.channel()
    answer = channel.receive({"email": ANN, "assertion": ticket, "status": "online", **fields})
    return channel, answer


def test_a_ticket_of_a_browser_session_makes_a_page_a_device(world: World) -> None:
    ann = world.person(ANN)
    ticket = ticket_of(ann)
    assert ticket.startswith("ticket:") and len(ticket) >= 7 + 43
    _, answer = enter(world, ticket)
    assert answer == {"result": "OK"}


def test_a_ticket_is_good_for_sixty_seconds(world: World) -> None:
    ann = world.person(ANN)
    early, late = ticket_of(ann), ticket_of(ann)
    world.clock.advance(59.9)
    assert enter(world, early)[1] == {"result": "OK"}
    world.clock.advance(0.1)
    assert enter(world, late)[1] == ko(34, "Invalid assertion")


def test_a_ticket_opens_the_device_channel_and_nothing_else(world: World) -> None:
    ticket = ticket_of(world.person(ANN))
    no_user = (401, ko(34, "Invalid assertion: a ticket opens the device channel and nothing else"))
    for scheme in ("BrowserID", "Bearer"):
        assert refusal(world.browser()("GET", "/devices", Authorization=f"{scheme} {ticket}")) == no_user
    assert refusal(world.browser()("POST", "/login", {"assertion": ticket})) == no_user
    assert enter(world, ticket)[1] == {"result": "OK"}


def test_each_use_of_a_ticket_gives_the_next_when_asked_for(world: World) -> None:
    first, answer = enter(world, ticket_of(world.person(ANN)), ticket=True, device="page")
    assert set(answer) == {"result", "ticket"}
    first.lose()
    world.clock.advance(3600)
    _, again = enter(world, str(answer["ticket"]), ticket=True, device="page")
    assert again["result"] == "OK" and again["ticket"] != answer["ticket"]


def test_a_device_that_signed_in_with_an_assertion_gets_a_ticket_good_until_its_session_would_have_ended(world: World) -> None:
    channel, answer = enter(world, world.assertion(ANN), ticket=True, device="phone")
    channel.lose()
    world.clock.advance(43199)
    channel, answer = enter(world, str(answer["ticket"]), ticket=True, device="phone")
    assert answer["result"] == "OK"
    channel.lose()
    world.clock.advance(1)
    assert enter(world, str(answer["ticket"]), device="phone")[1] == ko(34, "Invalid assertion")


def test_a_ticket_that_shows_up_again_kills_all_that_followed_from_it(world: World) -> None:
    ticket = ticket_of(world.person(ANN))
    _, answer = enter(world, ticket, ticket=True)
    page, answer = enter(world, str(answer["ticket"]), ticket=True)
    assert enter(world, ticket)[1] == ko(34, "Invalid assertion")
    assert enter(world, str(answer["ticket"]))[1] == ko(34, "Invalid assertion")
    assert page.code == 4009


def test_a_ticket_that_shows_up_again_closes_the_channel_it_had_opened(world: World) -> None:
    ticket = ticket_of(world.person(ANN))
    page, _ = enter(world, ticket)
    bystander = world.device(ANN, device="phone")
    assert enter(world, ticket)[1] == ko(34, "Invalid assertion")
    assert (page.code, bystander.code) == (4009, None)


def test_a_device_that_got_no_answer_comes_back_with_the_same_ticket_and_nobody_notices(world: World, app: App, puid: str) -> None:
    first, answer = enter(world, world.assertion(ANN), ticket=True, device="phone")
    service = world.followed(app)
    first.lose()
    ticket = str(answer["ticket"])
    for _ in range(2):  # the answer with the next ticket never arrives
        enter(world, ticket, ticket=True, device="phone")[0].lose()
    _, answer = enter(world, ticket, ticket=True, device="phone")
    assert enter(world, str(answer["ticket"]), device="phone")[1] == {"result": "OK"}
    world.advance(60)
    assert updates(service) == []


@pytest.mark.parametrize("fields", [{"device": "phone"}, {}])
def test_the_connection_whose_answer_was_lost_is_replaced(world: World, fields: dict[str, str]) -> None:
    ann = world.person(ANN)
    ticket = ticket_of(ann)
    half_open, _ = enter(world, ticket, ticket=True, **fields)
    channel, answer = enter(world, ticket, ticket=True, **fields)
    assert (answer["result"], half_open.code, channel.code) == ("OK", 4010, None)
    assert len(ann("GET", "/devices").json["devices"]) == 1


@pytest.mark.parametrize("backend", ["directory", "tracker"])
@pytest.mark.parametrize("done", [False, True])
def test_a_backend_that_is_away_costs_no_ticket(world: World, monkeypatch: pytest.MonkeyPatch, backend: str, done: bool) -> None:
    ticket = ticket_of(world.person(ANN))
    method = {"directory": "use_ticket", "tracker": "connect"}[backend]
    away = Away(monkeypatch, getattr(world.registry.backends, backend), method, done=done)
    assert enter(world, ticket, ticket=True, device="page")[1]["errno"] == 201
    away.back = True
    assert enter(world, ticket, ticket=True, device="page")[1]["result"] == "OK"


def test_a_thief_who_uses_a_ticket_again_is_noticed_when_its_owner_comes_back(world: World) -> None:
    ticket = ticket_of(world.person(ANN))
    owner, answer = enter(world, ticket, ticket=True, device="page")
    copier, stolen = enter(world, ticket, ticket=True, device="page")
    assert (owner.code, copier.code) == (4010, None)
    assert enter(world, str(answer["ticket"]), device="page")[1] == ko(34, "Invalid assertion")
    assert copier.code == 4009
    assert enter(world, str(stolen["ticket"]), device="page")[1] == ko(34, "Invalid assertion")


def test_a_thief_who_was_first_is_noticed_when_they_reconnect(world: World) -> None:
    ticket = ticket_of(world.person(ANN))
    copier, stolen = enter(world, ticket, ticket=True, device="page")
    owner, _ = enter(world, ticket, ticket=True, device="page")
    assert (copier.code, owner.code) == (4010, None)
    assert enter(world, str(stolen["ticket"]), device="page")[1] == ko(34, "Invalid assertion")
    assert owner.code == 4009


def test_a_thief_with_another_device_is_noticed_at_once(world: World) -> None:
    ticket = ticket_of(world.person(ANN))
    owner, answer = enter(world, ticket, ticket=True, device="page")
    assert enter(world, ticket, ticket=True, device="mine")[1] == ko(34, "Invalid assertion")
    assert owner.code == 4009
    assert enter(world, str(answer["ticket"]), device="page")[1] == ko(34, "Invalid assertion")


def test_a_refusal_that_used_a_ticket_up_gives_the_next_one(world: World) -> None:
    channel = world.channel()
    ticket = ticket_of(world.person(ANN))
    answer = channel.receive({"email": "bob@example.org", "assertion": ticket, "status": "online", "ticket": True})
    assert answer == ko(133, "email: differs from the address that the assertion proves", ticket=answer["ticket"])
    assert enter(world, answer["ticket"])[1] == {"result": "OK"}


def test_the_document_shows_the_tickets_that_are_good(world: World) -> None:
    ann, now = world.person(ANN), world.clock.now()
    ticket_of(ann)
    enter(world, world.assertion(ANN), ticket=True, device="phone")
    assert ann("GET", "/account").json["tickets"] == [
        {"device": None, "expires_at": now + 60_000},
        {"device": "phone", "expires_at": now + 43_200_000},
    ]


def test_log_out_kills_the_tickets_of_its_session_and_closes_their_channels(world: World) -> None:
    ann, bystander = world.person(ANN), world.device(ANN, device="phone")
    unused = ticket_of(ann)
    page, answer = enter(world, ticket_of(ann), ticket=True, device="page")
    ann("POST", "/logout")
    assert (page.code, page.reason, bystander.code) == (4009, "signed out", None)
    assert enter(world, unused)[1] == ko(34, "Invalid assertion")
    assert enter(world, str(answer["ticket"]))[1] == ko(34, "Invalid assertion")


def test_log_out_closes_every_channel_of_its_tickets_though_the_tracker_goes_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = world.person(ANN)
    pages = [enter(world, ticket_of(ann), device=name)[0] for name in ("one", "two", "three")]
    Away(monkeypatch, world.registry.backends.tracker, "devices")
    assert ann("POST", "/logout").status_int == 200
    assert [page.code for page in pages] == [4009] * 3


def test_log_out_everywhere_kills_the_tickets_of_devices_too(world: World) -> None:
    phone, answer = enter(world, world.assertion(ANN), ticket=True, device="phone")
    world.person(ANN)("POST", "/logout", {"everywhere": True})
    assert phone.code == 4009
    assert enter(world, str(answer["ticket"]), device="phone")[1] == ko(34, "Invalid assertion")


def test_erasure_kills_tickets(world: World) -> None:
    ann = world.person(ANN)
    ticket = ticket_of(ann)
    assert ann("DELETE", "/account").status_int == 204
    assert enter(world, ticket)[1] == ko(34, "Invalid assertion")


def test_a_ticket_needs_a_browser_session(world: World) -> None:
    assert refusal(world.browser()("POST", "/ticket", **world.authorization(ANN))) == NO_COOKIE


def test_the_channel_of_a_page_ends_with_its_session(world: World) -> None:
    ann = world.person(ANN)
    world.clock.advance(43000)
    page, _ = enter(world, ticket_of(ann))
    world.advance(200)
    assert page.receive({"email": ANN, "status": "unavailable"}) == ko(130, "the session has ended; send a new assertion")


def test_a_nameless_device_that_was_signed_out_cannot_come_back_with_its_ticket(world: World) -> None:
    ann = world.person(ANN)
    channel, answer = enter(world, world.assertion(ANN), ticket=True)
    (device,) = ann("GET", "/devices").json["devices"]
    assert device["device"].startswith("~")
    ann("DELETE", f"/devices/{device['device']}")
    assert channel.code == 4009
    assert enter(world, str(answer["ticket"]))[1] == ko(34, "Invalid assertion")


def test_a_page_in_grace_is_gone_when_its_session_logs_out(world: World) -> None:
    ann = world.person(ANN)
    page, _ = enter(world, ticket_of(ann), device="page")
    phone = world.device(ANN, device="phone")
    page.lose()
    ann("POST", "/logout")
    left = world.person(ANN)("GET", "/devices").json["devices"]
    assert [(item["device"], item["connected"]) for item in left] == [("phone", True)]
    assert phone.code is None
