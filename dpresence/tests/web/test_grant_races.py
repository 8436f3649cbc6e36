"""Grants that are changed at once, and changed while a backend is away: the last word is the directory's."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest
from msgspec import UNSET, UnsetType

from dpresence.backends.directory.sql import outbox
from dpresence.errors import DomainNotValidated, NotActive, NotFound
from dpresence.tests.support import view_and_head
from dpresence.tests.web.races import Held, shown
from dpresence.tests.web.support import App, World, updates

ANN = "ann@example.org"
SOON, LATER = 4_000_000_000_000, 5_000_000_000_000


# -- at once


@pytest.mark.parametrize("paused", [True, False])
def test_of_a_pause_and_its_end_at_once_the_one_that_was_stored_last_is_seen(
    world: World, app: App, puid: str, user: str, monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    grants = world.services.grants
    grants.change(user, app.id, {"paused": not paused})
    held = Held(monkeypatch, world.registry.backends.tracker, "append_current_status")
    held.overtake(lambda: grants.change(user, app.id, {"paused": paused}), lambda: grants.change(user, app.id, {"paused": not paused}))
    assert grants.find(user, app.id).paused is not paused
    assert shown(world, app, puid) == ("online" if paused else "offline")


def test_a_pause_that_overtakes_the_grant_is_seen(world: World, app: App, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grants, application = world.services.grants, world.registry.backends.directory.application(app.id)
    held = Held(monkeypatch, world.registry.backends.tracker, "append_grant")
    held.overtake(lambda: grants.grant(user, application), lambda: grants.change(user, app.id, {"paused": True}))
    assert shown(world, app, grants.find(user, app.id).puid) == "offline"


@pytest.mark.parametrize(("until", "expected"), [(LATER, LATER), (None, None), (UNSET, SOON)])
def test_a_grant_that_was_overtaken_by_another_one_ends_when_it_says(
    world: World, app: App, user: str, monkeypatch: pytest.MonkeyPatch, until: int | UnsetType | None, expected: int | None
) -> None:
    grants, application = world.services.grants, world.registry.backends.directory.application(app.id)
    held, made = Held(monkeypatch, world.registry.backends.directory, "add_grant"), []
    held.overtake(
        lambda: made.append(grants.grant(user, application, until=until)),
        lambda: made.append(grants.grant(user, application, until=SOON)),
    )
    assert [grant.until for grant in made] == [SOON, expected]
    assert grants.find(user, app.id) == made[-1] and made[0].puid == made[-1].puid


@pytest.mark.parametrize("paused", [True, False])
def test_a_revocation_that_overtakes_a_pause_is_the_last_word(
    world: World, app: App, puid: str, user: str, monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    grants, service = world.services.grants, world.followed(app)
    grants.change(user, app.id, {"paused": not paused})
    held = Held(monkeypatch, world.registry.backends.tracker, "append_current_status")
    held.overtake(lambda: grants.change(user, app.id, {"paused": paused}), lambda: grants.revoke(user, app.id))
    world.settle()
    assert updates(service)[-1] == (puid, "offline", "revoked")
    assert shown(world, app, puid) is None


# -- an application that changes meanwhile


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda world, app: app.owner("POST", f"/myapps/{app.id}/deactivate"), NotActive),
        (lambda world, app: app.owner("PATCH", f"/myapps/{app.id}", {"domain": world.proof.other_domain}), DomainNotValidated),
        (lambda world, app: move_and_prove(world, app), DomainNotValidated),
        (lambda world, app: app.owner("DELETE", f"/myapps/{app.id}"), NotFound),
    ],
)
def test_a_grant_that_was_overtaken_by_a_change_of_its_application_does_not_survive(
    world: World, app: App, user: str, monkeypatch: pytest.MonkeyPatch, change: Callable[[World, App], object], refusal: type[Exception]
) -> None:
    application = world.registry.backends.directory.application(app.id)
    held = Held(monkeypatch, world.registry.backends.directory, "add_grant")

    def grant() -> None:
        with pytest.raises(refusal):
            world.services.grants.grant(user, application)

    held.overtake(grant, lambda: change(world, app))
    assert world.registry.backends.directory.grants_of_user(user).grants == ()
    assert view_and_head(world.registry.backends.tracker, app.id)[0] == {}


def move_and_prove(world: World, app: App) -> None:
    """Move an application to another domain, which is validated and active right away."""
    moved = app.owner("PATCH", f"/myapps/{app.id}", {"domain": world.proof.other_domain}).json
    world.proof.answer = (200, moved["domain_key"])
    assert app.owner("POST", f"/myapps/{app.id}/validate").status_int == 200
    assert app.owner("POST", f"/myapps/{app.id}/activate").status_int == 200


# -- very many


@pytest.mark.slow
def test_the_end_of_very_many_grants_lets_others_have_their_turn_and_visits_the_mailbox_seldom(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits, turns, database = [], [], world.registry.backends.directory.database
    database.run(lambda it: [outbox.add(it, app.id, "revoked", f"user-{n}", app.id, f"puid-{n}") for n in range(1000)])
    purge = world.registry.backends.mailbox.purge_grants
    monkeypatch.setattr(world.registry.backends.mailbox, "purge_grants", lambda grants: visits.append(len(grants)) or purge(grants))

    def count() -> None:
        while True:
            turns.append(len(visits))
            gevent.sleep(0.0001)  # by the clock, as what waits for a socket

    counter = gevent.spawn(count)
    world.services.outbox.apply_now(app.id)
    counter.kill()
    assert sum(visits) == 1000 and len(visits) <= 5
    assert {1, 2, 3, 4} <= set(turns)
