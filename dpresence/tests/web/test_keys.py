"""Authentication by API keys: a refusal says nothing about them, guessing is slow, and a channel ends with its key (sections 5 and 6)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

from dpresence.errors import BackendUnavailable, InvalidKey
from dpresence.tests.web.support import App, World, ko, refusal

INVALID = ko(105, "the API key is not valid")


def another_secret(key: str) -> str:
    return key[:-43] + "A" * 43


def wrong_keys(app: App, retired: str) -> dict[str, tuple[str, str]]:
    """Return (application, key) of every way to be wrong; each key has the form of one."""
    return {
        "wrong secret": (app.id, another_secret(app.key)),
        "unknown key": (app.id, f"dpk_{'A' * 12}_{'A' * 43}"),
        "retired key": (app.id, retired),
        "unknown application": ("A" * 16, app.key),
    }


@pytest.fixture
def retired(world: World, app: App) -> str:
    """A key of the application that worked until a newer one's overlap was over; ``app.key`` is the newer one."""
    old, app.key = app.key, app.owner("POST", f"/myapps/{app.id}/key").json["api_key"]
    world.clock.advance(86_400)
    return old


def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(world: World, app: App, retired: str) -> None:
    answers = {
        what: world.browser(f"192.0.2.{number}")("GET", f"/myapps/{appid}/presence", Authorization=f"Bearer {key}")
        for number, (what, (appid, key)) in enumerate(wrong_keys(app, retired).items())
    }
    expected = answers["wrong secret"]
    assert refusal(expected) == (401, INVALID)
    for what, answer in answers.items():
        assert (answer.status, answer.headers, answer.body) == (expected.status, expected.headers, expected.body), what


def test_a_right_key_from_a_refused_address_looks_like_a_wrong_one(world: World, app: App) -> None:
    app.owner("POST", f"/myapps/{app.id}/deactivate")
    path = f"/myapps/{app.id}/presence"
    assert refusal(world.browser()("GET", path, Authorization=f"Bearer {another_secret(app.key)}")) == (401, INVALID)
    assert refusal(world.browser()("GET", path, Authorization=f"Bearer {app.key}"))[1]["errno"] == 142


def recording(name: str, call: Callable[..., Any], asked: list[str]) -> Callable[..., Any]:
    """Return ``call``, whose uses are recorded in ``asked``."""

    def recorded(*given: Any) -> Any:
        asked.append(name)
        return call(*given)

    return recorded


@pytest.mark.slow
def test_every_way_to_be_wrong_takes_the_same_path(world: World, app: App, retired: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look for the key's id, found or not, and nothing else; the times are printed."""
    directory, authenticate, asked = world.registry.backends.directory, world.services.api_keys.authenticate, list[str]()
    for name in ("key", "application", "touch_key", "grants_of_application"):
        monkeypatch.setattr(directory, name, recording(name, getattr(directory, name), asked))
    for what, (appid, key) in wrong_keys(app, retired).items():
        took = []
        for turn in range(200):
            asked.clear()
            started = time.perf_counter()
            with pytest.raises(InvalidKey):
                authenticate(appid, key, f"{what} {turn}")
            took.append(time.perf_counter() - started)
            assert asked == ["key"], what
        print(f"{what}: {statistics.median(took) * 1e6:.0f} us")


# -- a channel ends with its key


def let_pass(world: World, seconds: int) -> None:
    for _ in range(seconds // 60):
        world.advance(60)


def test_a_channel_outlives_its_key_by_a_minute_at_most(world: World, app: App) -> None:
    old = world.followed(app)
    app.key = app.owner("POST", f"/myapps/{app.id}/key").json["api_key"]
    new = world.followed(app)
    world.advance(86_400 - 180)
    let_pass(world, 120)
    assert old.code is None
    let_pass(world, 120)
    assert (old.code, old.reason) == (4009, "the API key is not valid")
    assert new.code is None


def test_a_channel_whose_signal_was_lost_ends_all_the_same(world: World, app: App) -> None:
    deactivated = world.followed(app)
    world.registry.backends.directory.change_application(app.id, {"active": False})
    let_pass(world, 60)
    assert deactivated.code == 4003
    world.registry.backends.directory.change_application(app.id, {"active": True})
    gone = world.followed(app)
    world.registry.backends.directory.delete_application(app.id)
    let_pass(world, 60)
    assert gone.code == 4001


def test_a_database_that_is_away_ends_no_channel(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise BackendUnavailable

    service = world.followed(app)
    monkeypatch.setattr(world.registry.backends.directory, "key", away)
    let_pass(world, 300)
    assert service.code is None
