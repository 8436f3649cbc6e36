"""Grants, sign-outs and applications that change while a backend is away: the last word is the directory's."""

from __future__ import annotations

import pytest

from dpresence.errors import BackendUnavailable, CloseCode
from dpresence.tests.support import view_and_head
from dpresence.tests.web.races import Away, shown
from dpresence.tests.web.support import App, World, updates

ANN = "ann@example.org"


def test_changes_of_grants_while_the_tracker_was_away_are_reported_later(
    world: World, app: App, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants, application = world.services.grants, world.registry.backends.directory.application(app.id)
    service, tracker = world.followed(app), world.registry.backends.tracker
    away = Away(monkeypatch, tracker, "append_grant", "append_current_status", "append_revocation", "signal")
    puid = grants.grant(user, application).puid
    with pytest.raises(BackendUnavailable):
        world.carry_out()
    away.back = True
    world.carry_out()
    world.settle()
    assert updates(service) == [(puid, "online", "granted")]
    away.back = False
    grants.change(user, app.id, {"paused": True})
    away.back = True
    world.carry_out()
    world.carry_out()
    world.settle()
    assert updates(service) == [(puid, "offline", "explicit")]
    away.back = False
    grants.change(user, app.id, {"paused": False})
    grants.revoke(user, app.id)
    away.back = True
    world.carry_out()
    world.settle()
    assert updates(service) == [(puid, "offline", "revoked")]
    world.carry_out()
    world.settle()
    assert updates(service) == []


@pytest.mark.parametrize("done", [True, False])
def test_changes_the_directory_did_not_answer_are_found_out_later(
    world: World, app: App, puid: str, user: str, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    grants, service = world.services.grants, world.followed(app)
    away = Away(monkeypatch, world.registry.backends.directory, "change_grant", "revoke", done=done)
    with pytest.raises(BackendUnavailable):
        grants.change(user, app.id, {"paused": True})
    world.carry_out()
    world.settle()
    assert updates(service) == ([(puid, "offline", "explicit")] if done else [])
    with pytest.raises(BackendUnavailable):
        grants.revoke(user, app.id)
    away.back = True
    world.carry_out()
    world.settle()
    assert updates(service) == ([(puid, "offline", "revoked")] if done else [])


@pytest.mark.parametrize("done", [True, False])
def test_a_grant_the_directory_did_not_answer_is_reported_if_it_stands_and_else_never_mentioned(
    world: World, app: App, user: str, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    grants, service = world.services.grants, world.followed(app)
    application = world.registry.backends.directory.application(app.id)
    Away(monkeypatch, world.registry.backends.directory, "add_grant", done=done)
    with pytest.raises(BackendUnavailable):
        grants.grant(user, application)
    world.carry_out()
    world.settle()
    assert [reason for _, _, reason in updates(service)] == (["granted"] if done else [])


def test_a_grant_that_is_asked_for_again_because_the_answer_was_lost_is_reported_once_and_as_a_new_one(
    world: World, app: App, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants, service = world.services.grants, world.followed(app)
    application = world.registry.backends.directory.application(app.id)
    away = Away(monkeypatch, world.registry.backends.directory, "add_grant", done=True)
    with pytest.raises(BackendUnavailable):
        grants.grant(user, application)
    away.back = True
    grants.grant(user, application)
    world.carry_out()
    world.settle()
    assert [reason for _, _, reason in updates(service)] == ["granted"]


def test_an_application_that_is_deleted_while_the_tracker_is_away_is_gone_all_the_same(
    world: World, app: App, puid: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.notify(app, {"puid": world.grant("bob@example.org", app)})
    tracker, mailbox = world.registry.backends.tracker, world.registry.backends.mailbox
    bob = next(grant.user for grant in world.registry.backends.directory.grants_of_application(app.id, "", 9) if grant.puid != puid)
    away = Away(monkeypatch, tracker, "signal", "append_revocation", "drop")
    assert app.owner("DELETE", f"/myapps/{app.id}").status_int == 204
    away.back = True
    world.carry_out()
    assert len(mailbox.pending(bob, 0, 10)) == 0
    assert view_and_head(tracker, app.id) == ({}, 0)


def test_a_deactivation_while_the_tracker_is_away_closes_the_channel_within_a_minute(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = world.followed(app)
    Away(monkeypatch, world.registry.backends.tracker, "signal")
    assert app.owner("POST", f"/myapps/{app.id}/deactivate").status_int == 200
    world.advance(60)
    assert service.code == CloseCode.DEACTIVATED


def test_signing_out_everywhere_while_the_tracker_is_away_is_done_later(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, ann = world.device(ANN), world.person(ANN)
    away = Away(monkeypatch, world.registry.backends.tracker, "signal", "remove_all")
    assert ann("POST", "/logout", {"everywhere": True}).status_int == 200
    assert ann("GET", "/grants").status_int == 401
    away.back = True
    world.carry_out()
    assert (device.code, shown(world, app, puid)) == (CloseCode.NOT_SIGNED_IN, "offline")


def test_a_device_that_signs_in_anew_after_signing_out_everywhere_stays(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, ann = world.device(ANN, device="phone"), world.person(ANN)
    away = Away(monkeypatch, world.registry.backends.tracker, "signal", "remove_all")
    assert ann("POST", "/logout", {"everywhere": True}).status_int == 200
    away.back = True
    newer = world.device(ANN, device="laptop")
    world.carry_out()
    assert (older.code, newer.code, shown(world, app, puid)) == (CloseCode.NOT_SIGNED_IN, None, "online")


def test_an_erasure_while_the_tracker_is_away_is_published_later(
    world: World, app: App, puid: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = world.person(ANN)
    own = world.application(dev, name="Go")
    seen, owned, device = world.followed(app), world.followed(own), world.device(ANN)
    theirs = world.grant("bob@example.org", own)
    world.notify(app, {"puid": puid, "message": "gone", "ttl": 60})
    away = Away(monkeypatch, world.registry.backends.tracker, "signal", "remove_all", "append_revocation", "drop")
    unkept = Away(monkeypatch, world.registry.backends.mailbox, "purge", "purge_grants")
    assert dev("DELETE", "/account").status_int == 204
    away.back = unkept.back = True
    world.carry_out()
    world.settle()
    assert updates(seen)[-1] == (puid, "offline", "revoked")
    assert (owned.code, device.code) == (CloseCode.UNKNOWN_APPLICATION, CloseCode.NOT_SIGNED_IN)
    assert shown(world, own, theirs) is None and view_and_head(world.registry.backends.tracker, own.id) == ({}, 0)
    assert list(world.registry.backends.mailbox.pending(user, 0, 10)) == []


def test_a_logout_while_the_tracker_is_away_closes_the_channels_of_its_tickets_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, channel = world.person(ANN), world.channel()
    ticket = ann("POST", "/ticket").json["ticket"]
    assert channel.receive({"email": ANN, "assertion": ticket, "status": "online"}) == {"result": "OK"}
    away = Away(monkeypatch, world.registry.backends.tracker, "signal")
    assert ann("POST", "/logout").status_int == 200
    away.back = True
    world.carry_out()
    assert channel.code == CloseCode.NOT_SIGNED_IN


def test_a_ticket_that_is_shown_twice_while_the_tracker_is_away_closes_its_channel_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.channel()
    ticket = world.person(ANN)("POST", "/ticket").json["ticket"]
    channel.receive({"email": ANN, "assertion": ticket, "status": "online", "device": "phone"})
    away = Away(monkeypatch, world.registry.backends.tracker, "signal")
    assert world.channel().receive({"email": ANN, "assertion": ticket, "status": "online", "device": "thief"})["errno"] == 34
    away.back = True
    world.carry_out()
    assert channel.code == CloseCode.NOT_SIGNED_IN


def test_a_device_that_is_signed_out_while_signals_fail_is_closed_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    device, ann = world.device(ANN, device="phone"), world.person(ANN)
    away = Away(monkeypatch, world.registry.backends.tracker, "signal")
    assert ann("DELETE", "/devices/phone").status_int == 204
    away.back = True
    world.carry_out()
    assert device.code == CloseCode.NOT_SIGNED_IN


def test_devices_that_cannot_connect_while_the_tracker_is_away_leave_nothing_to_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, left = world.registry.backends.tracker, []
    away = Away(monkeypatch, tracker, "connect")
    monkeypatch.setattr(tracker, "leave", lambda *who: left.append(who))
    for _ in range(3):
        refused = world.channel().receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online", "device": "phone"})
        assert refused["errno"] == 201
    away.back = True
    world.carry_out()
    assert left == []
