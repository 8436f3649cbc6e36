"""A validated domain is looked at again: domains change hands (section 6)."""

from __future__ import annotations

import pytest

from dpresence.errors import BackendUnavailable, ProofFailed
from dpresence.tasks import in_job
from dpresence.tests.web.support import App, World

ANN = "ann@example.org"


def pass_days(world: World, days: int) -> int:
    """Let days pass, the check running each hour or so; return how often the domain was fetched."""
    world.proof.paths.clear()
    for _ in range(days * 24):
        world.clock.advance(3600)
        world.services.domain_checks.check_due()
    return len(world.proof.paths)


@pytest.fixture
def key(world: World, app: App) -> str:
    return str(app.owner("GET", f"/myapps/{app.id}").json["domain_key"])


def state(world: World, app: App) -> tuple[bool, bool, int]:
    """Return whether the domain is validated, whether the application is active, and the failures in a row."""
    application = world.registry.backends.directory.application(app.id)
    return application.valid_domain, application.active, application.failed_checks


@pytest.mark.slow
def test_a_domain_is_looked_at_once_a_week(world: World, app: App) -> None:
    assert pass_days(world, 6) == 0
    assert pass_days(world, 15) == 3
    assert state(world, app) == (True, True, 0)


@pytest.mark.slow
def test_after_a_failure_it_is_looked_at_daily_and_the_third_in_a_row_ends_it(world: World, app: App) -> None:
    puid, service = world.grant(ANN, app), world.followed(app)
    world.proof.answer = (404, "")
    assert pass_days(world, 8) == 2
    assert state(world, app) == (True, True, 2) and service.code is None
    assert pass_days(world, 1) == 1
    assert state(world, app) == (False, False, 0)
    assert (service.code, service.reason) == (4003, "the application is not active")
    assert pass_days(world, 30) == 0, "what is not validated is not looked at"
    grants = world.person(ANN)("GET", "/grants").json["grants"]
    assert [grant["puid"] for grant in grants] == [puid], "grants stay"


@pytest.mark.slow
def test_a_success_in_between_starts_the_count_anew(world: World, app: App, key: str) -> None:
    world.proof.answer = (200, "somebody else's key")
    pass_days(world, 8)
    assert state(world, app) == (True, True, 2)
    world.proof.answer = (200, key)
    pass_days(world, 1)
    assert state(world, app) == (True, True, 0)
    world.proof.answer = (200, "somebody else's key")
    pass_days(world, 8)
    assert state(world, app) == (True, True, 2)


def test_the_service_s_own_looks_do_not_count_as_the_developer_s(world: World, app: App) -> None:
    world.proof.answer = (404, "")
    owner = world.person("dev@example.org")
    for _ in range(9):  # and one when it was validated
        assert owner("POST", f"/myapps/{app.id}/validate").json["errno"] == 141
    application = world.registry.backends.directory.application(app.id)
    world.registry.backends.directory.change_application(app.id, {"check_at": world.clock.now()})
    world.services.domain_checks.check_due()
    assert world.registry.backends.directory.application(app.id).failed_checks == application.failed_checks + 1


def test_a_domain_that_moves_during_the_look_keeps_its_own_state(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    old = world.registry.backends.directory.application(app.id)
    world.proof.answer = (404, "")

    def move(domain: str) -> tuple[str, str]:
        app.owner("PATCH", f"/myapps/{app.id}", {"domain": world.proof.other_domain})
        return old.domain_key, "http"

    monkeypatch.setattr(world.services.domain_checks._proofs, "fetch", move)
    world.registry.backends.directory.change_application(app.id, {"check_at": world.clock.now()})
    world.services.domain_checks.check_due()
    assert state(world, app) == (False, False, 0), "the proof was one of the old domain"


def test_a_look_that_began_before_the_developer_has_proven_the_domain_again_ends_nothing(
    world: World, app: App, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = world.services.domain_checks._proofs.fetch
    world.registry.backends.directory.change_application(app.id, {"check_at": world.clock.now(), "failed_checks": 2})

    def late(domain: str, owner: str = "") -> tuple[str, str]:
        if owner:
            return fetch(domain, owner)
        world.proof.answer = (200, key)
        assert app.owner("POST", f"/myapps/{app.id}/validate").status_int == 200
        raise ProofFailed("domain: the web server was down", details="refused")

    monkeypatch.setattr(world.services.domain_checks._proofs, "fetch", late)
    world.services.domain_checks.check_due()
    assert state(world, app) == (True, True, 0)


def test_a_failed_check_that_cannot_be_stored_is_repeated_without_a_traceback(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.proof.answer = (404, "")

    def away(*_: object) -> None:
        raise BackendUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(world.registry.backends.directory, "change_application", away)
        assert pass_days(world, 8) == 2
    assert state(world, app) == (True, True, 0) and capsys.readouterr().err == ""
    assert pass_days(world, 1) == 1 and state(world, app) == (True, True, 1)


def test_the_checks_take_nothing_of_the_share_of_the_owner_who_may_keep_it_full(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, fetch = [], world.services.domain_checks._proofs.fetch
    monkeypatch.setattr(world.services.domain_checks._proofs, "fetch", lambda domain: seen.append(in_job()) or fetch(domain))
    assert pass_days(world, 8) == 1 and seen == [True]
