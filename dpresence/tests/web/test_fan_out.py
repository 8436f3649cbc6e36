"""The fan-out of a feed to the channels of an application at one process."""

from __future__ import annotations

from typing import Any

import pytest

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
