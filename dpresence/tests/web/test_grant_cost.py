"""A change of grants calls the directory a constant number of times, however many grants there are (docs/decisions/0012-outbox.md)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dpresence.model import Application, Grant, Identity
from dpresence.tests.web.calls import count_calls
from dpresence.tests.web.support import App, Browser, World

ANN = "ann@example.org"
MANY = 50


@pytest.fixture(params=[0, MANY - 1], ids=["one grant", f"{MANY} grants"])
def others(request: pytest.FixtureRequest) -> int:
    """Number of grants beside the one of the test."""
    return int(request.param)


def grant_others(world: World, app: App, count: int) -> None:
    """Add further grants: of Ann to other applications, and of other users to the application."""
    directory = world.registry.backends.directory
    [mine] = directory.grants_by_puid(app.id, [world.grant(ANN, app)]).values()
    owner = directory.application(app.id).owner
    for n in range(count):
        directory.add_application(Application(f"app-{n}", owner, f"A{n}", f"a{n}.example.org", "", "key", 0), 1000)
        directory.add_grant(Grant(f"app-{n}", f"puid-{n}", mine.user, 0, 0))
        user = directory.sign_in(Identity(f"user{n}@example.org", "https://issuer.example", f"user{n}", 0), 0)
        directory.add_grant(Grant(app.id, f"puid-of-{n}", user.id, 0, 0))
    world.services.outbox.flush()


@pytest.fixture
def ann(world: World, app: App, others: int) -> Browser:
    grant_others(world, app, others)
    return world.person(ANN)


@pytest.mark.parametrize(
    ("method", "body", "calls"),
    [
        ("PATCH", {"paused": True}, {"grant": 1, "change_grant": 1, "grants_of_users": 1}),
        ("DELETE", None, {"grant": 1, "revoke": 1, "revoke_outcomes": 1}),
    ],
)
def test_a_change_of_a_grant(
    world: World, app: App, ann: Browser, monkeypatch: pytest.MonkeyPatch, method: str, body: Any, calls: dict[str, int]
) -> None:
    counted = count_calls(world, monkeypatch, "directory")
    assert ann(method, f"/grant/{app.id}", body).status_int in (200, 204)
    assert counted == Counter({"session": 1, "outbox": 1, "clear_outbox": 1} | calls)


def test_the_end_of_an_application(world: World, app: App, ann: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_calls(world, monkeypatch, "directory")
    assert app.owner("DELETE", f"/myapps/{app.id}").status_int == 204
    assert (calls["delete_application"], calls["outbox"]) == (1, 1)
    assert calls.total() <= 10, calls


def test_the_end_of_an_account(world: World, app: App, ann: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_calls(world, monkeypatch, "directory")
    assert ann("DELETE", "/account").status_int == 204
    assert calls["erase"] == 1
    assert calls.total() <= 10, calls


def test_a_merge_of_two_accounts(world: World, app: App, ann: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    world.person("eve@example.org")
    assert world.registry.backends.directory.merge(ANN, "eve@example.org")
    calls = count_calls(world, monkeypatch, "directory")
    world.services.outbox.flush()
    assert (calls["grants_of_users"], calls["grants_of_user"]) == (1, 1), "two reads for both accounts"
    assert calls["clear_outbox"] == 1, "of all kinds of entries at once"
    assert calls.total() <= 10, calls
