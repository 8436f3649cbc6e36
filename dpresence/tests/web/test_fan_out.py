"""The fan-out of a feed to the channels of an application at one process."""

from __future__ import annotations

from typing import Any

import pytest

from dpresence.backends.sql.engine import Database
from dpresence.service import fan_out
from dpresence.tests.web.support import App, World, say, updates

ANN = "ann@example.org"


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """Return a list that receives the result of each call of a method."""
    results: list[Any] = []
    real = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *arguments: results.append(real(*arguments)) or results[-1])
    return results


def test_changes_of_one_iteration_are_read_and_encoded_once_for_all_channels(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    puid, services, device = world.grant(ANN, app), [world.followed(app), world.followed(app)], world.device(ANN)
    world.settle()
    for service in services:
        service.take()
    encoded = counted(monkeypatch, fan_out, "encode")
    say(device, "unavailable")
    say(device, "online")
    assert [service.sent for service in services] == [[], []]
    world.settle()
    assert len(encoded) == 1
    for service in services:
        assert updates(service) == [(puid, "unavailable", "explicit"), (puid, "online", "explicit")]


def test_a_channel_that_waits_for_its_snapshot_is_sent_no_updates(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    world.grant(ANN, app)
    monkeypatch.setattr(world.services.feeds, "hold_seconds", lambda application: 5.0)
    service = world.service(app)
    world.device(ANN)
    world.settle()
    assert [frame["action"] for frame in service.take()] == ["auth"]


def test_an_application_without_a_channel_costs_no_read(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    world.grant(ANN, app)
    reads = counted(monkeypatch, world.services.feeds, "read")
    world.device(ANN)
    world.settle()
    assert reads == []


def test_updates_of_a_device_whose_grants_are_cached_ask_the_database_nothing(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.grant(ANN, app)
    service, device = world.followed(app), world.device(ANN)
    world.settle()
    service.take()
    calls: list[str] = []
    real = {name: getattr(Database, name) for name in ("run", "read", "write_nondurable")}

    def counting(name: str) -> Any:
        return lambda *arguments, **options: calls.append(name) or real[name](*arguments, **options)

    for name in real:
        monkeypatch.setattr(Database, name, counting(name))
    for status in ("unavailable", "online") * 3:
        say(device, status)
    world.settle()
    assert (len(updates(service)), calls) == (6, [])
    world.grant("bob@example.org", app)
    assert calls, "a grant does"
