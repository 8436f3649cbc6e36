"""Reconciliation of the tracker's feeds with the directory, at the start and after signals may have been missed."""

from __future__ import annotations

from typing import Any

import pytest

from dpresence.backends.directory.sql import outbox
from dpresence.backends.sql.tables import grants
from dpresence.errors import BackendUnavailable
from dpresence.model import Grant, GrantSet
from dpresence.tests.web.races import Away
from dpresence.tests.web.support import App, World, updates

ANN = "ann@example.org"


def reconcile(world: World) -> None:
    """Reconcile as after signals were missed."""
    world.clock.advance(31)
    world.services.reconciliation.request()
    world.services.reconciliation.sweep()
    world.settle()


def test_a_user_whose_grant_nobody_knows_is_revoked(world: World, app: App) -> None:
    service, tracker = world.followed(app), world.registry.backends.tracker
    lost = Grant(app.id, "puid-of-a-lost-grant", "somebody", 0, 0)
    tracker.connect("somebody", "phone", "c1", "online", GrantSet(0, (lost,)), 20, 0)
    world.settle()
    assert updates(service) == [(lost.puid, "online", "explicit")]
    reconcile(world)
    assert updates(service) == [(lost.puid, "offline", "revoked")]


def test_a_user_who_is_paused_but_shown_is_hidden(world: World, app: App, puid: str) -> None:
    world.device(ANN)
    service, directory = world.followed(app), world.registry.backends.directory
    directory.database.run(lambda it: it.execute(grants.update().values(paused=True)))  # as if a restored store had it
    world.services.grants.invalidate_all()
    reconcile(world)
    assert updates(service) == [(puid, "offline", "explicit")]


def test_a_user_who_has_no_device_is_not_shown_online(world: World, app: App, puid: str) -> None:
    service, tracker = world.followed(app), world.registry.backends.tracker
    user = world.registry.backends.directory.grants_by_puid(app.id, [puid])[puid].user
    known = world.services.grants.of(user)
    tracker.connect(user, "phone", "c1", "online", known, 20, 0)
    tracker.remove(user, "phone", GrantSet(known.revision, ()))  # as by a sweep that did not know of the grant
    world.settle()
    assert updates(service) == [(puid, "online", "explicit")]
    reconcile(world)
    assert updates(service) == [(puid, "offline", "explicit")]


def test_a_correct_status_is_not_reported_again(world: World, app: App, puid: str) -> None:
    world.device(ANN)
    service = world.followed(app)
    reconcile(world)
    assert updates(service) == []


def test_a_request_during_a_comparison_causes_another_one(world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world.device(ANN)
    reconciliation, reconciled = world.services.reconciliation, list[str]()

    def once_requested_again(appid: str) -> None:
        reconciled.append(appid)
        if len(reconciled) == 1:
            reconciliation.request()

    monkeypatch.setattr(reconciliation, "_reconcile", once_requested_again)
    reconcile(world)
    assert reconciled == [app.id]
    for _ in range(2):
        world.clock.advance(31)
        reconciliation.sweep()
        assert reconciled == [app.id, app.id]


def test_a_comparison_that_fails_is_made_again(world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Away(monkeypatch, world.registry.backends.directory, "grants_by_puid")
    with pytest.raises(BackendUnavailable):
        reconcile(world)
    away.back, looked = True, []
    real = world.registry.backends.directory.grants_by_puid
    monkeypatch.setattr(world.registry.backends.directory, "grants_by_puid", lambda *given: looked.append(given) or real(*given))
    world.clock.advance(31)
    world.services.reconciliation.sweep()
    world.services.reconciliation.sweep()
    assert len(looked) == 1


def test_a_process_that_stops_tells_what_it_can_and_logs_what_it_leaves(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ann, service = world.person(ANN), world.followed(app)
    away = Away(monkeypatch, world.registry.backends.tracker, "signal", "append_revocation")
    assert ann("DELETE", f"/grant/{app.id}").status_int == 204
    world.services.finish()
    assert [text for text in caplog.messages if "are pending" in text] == [
        "at least 1 changes are pending; another process or the next start applies them"
    ]
    away.back = True
    caplog.clear()
    world.services.finish()
    world.settle()
    assert (updates(service), caplog.messages) == ([(puid, "offline", "revoked")], [])


def test_a_revoke_that_was_not_reported_can_be_repeated_and_is_reported_then(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, service = world.person(ANN), world.followed(app)
    away = Away(monkeypatch, world.registry.backends.tracker, "signal", "append_revocation")
    assert ann("DELETE", f"/grant/{app.id}").status_int == 204
    away.back = True
    assert ann("DELETE", f"/grant/{app.id}").status_int == 204
    world.settle()
    assert updates(service) == [(puid, "offline", "revoked")]
    assert ann("DELETE", f"/grant/{app.id}").status_int == 404


def test_an_entry_of_a_kind_that_is_unknown_stays_and_holds_up_no_other(world: World, app: App, puid: str) -> None:
    directory, service = world.registry.backends.directory, world.followed(app)
    user = directory.grants_by_puid(app.id, [puid])[puid].user
    directory.database.run(lambda it: outbox.add(it, user, "of a newer version", user))  # type: ignore[arg-type]
    directory.revoke(app.id, user)
    world.carry_out()
    world.settle()
    assert updates(service) == [(puid, "offline", "revoked")]
    assert [entry.kind for entry in directory.outbox(None, 0, 10)] == ["of a newer version"]


def test_a_feed_that_cannot_be_reconciled_keeps_no_other_from_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    apps = sorted((world.application(name=f"App {n}") for n in range(6)), key=lambda app: app.id)
    services, tracker = [world.followed(app) for app in apps], world.registry.backends.tracker
    lost = GrantSet(0, tuple(Grant(app.id, f"lost-{app.id}", "somebody", 0, 0) for app in apps))
    tracker.connect("somebody", "phone", "c1", "online", lost, 20, 0)
    world.settle()
    assert {reason for service in services for _, _, reason in updates(service)} == {"explicit"}
    view, broken = tracker.view, {app.id for app in apps[:4]}

    def fail(appid: str) -> Any:
        if appid in broken:
            raise BackendUnavailable
        return view(appid)

    monkeypatch.setattr(tracker, "view", fail)
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            reconcile(world)
    revoked = [[("offline", "revoked")]]
    assert [[update[1:] for update in updates(service)] for service in services] == [[]] * 4 + revoked * 2
    broken.clear()
    reconcile(world)
    assert [[update[1:] for update in updates(service)] for service in services] == revoked * 4 + [[]] * 2
