"""Everything held about a person as one document, and its end (section 6)."""

from __future__ import annotations

import pytest

from dpresence.model import Identity
from dpresence.service.accounts import ERASURES_PER_HOUR
from dpresence.tests.web.races import Away
from dpresence.tests.web.support import NOT_FOUND, App, World, ko, refusal, updates

ANN, DEV = "ann@example.org", "dev@example.org"
DAY = "2026-11-22"
ENDED = (401, ko(130, "the session has ended; send a new assertion"))


def test_the_document_shows_everything_held_about_me(world: World, app: App) -> None:
    now, ann = world.clock.now(), world.person(ANN)
    puid = ann("POST", f"/grant/{app.id}").json["puid"]
    world.device(ANN, "unavailable", device="phone", ack=True)
    mine = world.registered(ann, "mine.example.org")
    world.notify(app, {"puid": puid, "message": "hi", "action": "open"})
    document = ann("GET", "/account").json
    assert document["account"] == {
        "email": ANN,
        "issuer": "dev.invalid",
        "subject": ANN,
        "created_at": now,
        "override": None,
        "override_until": None,
        "hours": None,
    }
    assert document["sessions"] == [{"created_at": now, "expires_at": now + 43_200_000}]
    assert document["devices"] == [{"device": "phone", "status": "unavailable", "connected": True, "since": now}]
    assert document["status"] == "unavailable"
    state = {"paused": False, "quiet": False, "shows": "status", "until": None, "hours": None, "push": False}
    assert document["grants"] == [
        {"appid": app.id, "puid": puid, "granted_at": now, "since": now, **state, "last_looked": DAY, "looks": []}
    ]
    assert document["notifications"] == [{"appid": app.id, "source": "Chess", "message": "hi", "action": "open", "sent": now}]
    assert [item["appid"] for item in document["applications"]] == [mine["appid"]]


def test_the_document_holds_no_secret_and_nothing_of_others(world: World, app: App) -> None:
    world.grant(ANN, app)
    dev = app.owner
    ticket = dev("POST", "/ticket").json["ticket"]
    shown = dev("GET", "/account").text
    cookie = dev.web.cookies["dpresence"]
    assert app.key not in shown and ticket not in shown and cookie not in shown and ANN not in shown


def test_erasure_ends_sessions_and_devices_and_takes_grants_with_it(world: World, app: App) -> None:
    ann, elsewhere, service = world.person(ANN), world.person(ANN), world.followed(app)
    puid = ann("POST", f"/grant/{app.id}").json["puid"]
    device = world.device(ANN)
    world.settle(), service.take()
    answer = ann("DELETE", "/account")
    assert (answer.status_int, answer.body) == (204, b"")
    assert device.code == 4009
    assert refusal(ann("GET", "/account")) == ENDED and refusal(elsewhere("GET", "/account")) == ENDED
    world.advance(60)
    assert updates(service) == [(puid, "offline", "revoked")]
    assert world.notify(app, {"puid": puid})[0]["errno"] == 110


def test_erasure_takes_my_applications_with_it(world: World, app: App) -> None:
    ann, service = world.person(ANN), world.followed(app)
    puid = ann("POST", f"/grant/{app.id}").json["puid"]
    world.notify(app, {"puid": puid, "message": "gone"})
    app.owner("DELETE", "/account")
    assert service.code == 4001
    assert ann("GET", "/grants").json == {"grants": []} and ann("GET", "/account").json["notifications"] == []
    assert refusal(ann("POST", f"/grant/{app.id}")) == NOT_FOUND


def test_a_person_who_comes_back_after_an_erasure_is_somebody_new(world: World, app: App) -> None:
    ann = world.person(ANN)
    puid = ann("POST", f"/grant/{app.id}").json["puid"]
    world.notify(app, {"puid": puid, "message": "old"})
    ann("DELETE", "/account")
    again = world.person(ANN)
    document = again("GET", "/account").json
    assert (document["grants"], document["notifications"], document["status"]) == ([], [], "offline")
    assert world.grant(ANN, app) != puid


def test_erasure_of_one_leaves_the_other_alone(world: World, app: App) -> None:
    puid, device = world.grant("bob@example.org", app), world.device("bob@example.org")
    world.person(ANN)("DELETE", "/account")
    assert device.code is None
    assert world.notify(app, {"puid": puid})[0]["delivered"] is True


def test_an_account_is_pinned_to_who_vouched_for_it_first(world: World) -> None:
    directory = world.registry.backends.directory
    directory.sign_in(Identity(ANN, "another.example.org", ANN, 0), 0)
    pinned = (409, ko(122, "email: its account belongs to another issuer or subject"))
    assert refusal(world.browser()("POST", "/login", {"assertion": world.assertion(ANN)})) == pinned
    channel = world.channel()
    assert channel.receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online"}) == pinned[1]
    assert directory.unpin(ANN)
    assert world.person(ANN).csrf


def test_erasures_that_the_database_did_not_make_do_not_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = world.person(ANN)
    away = Away(monkeypatch, world.registry.backends.directory, "erase")
    for _ in range(2 * ERASURES_PER_HOUR):
        assert ann("DELETE", "/account").status_int == 503
    away.back = True
    assert ann("DELETE", "/account").status_int == 204
