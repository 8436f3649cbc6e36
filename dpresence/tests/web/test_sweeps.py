"""Sweeps of very many let everybody else have a turn."""

from __future__ import annotations

import gevent
import pytest

from dpresence.errors import BackendUnavailable
from dpresence.model import GrantSet
from dpresence.tests.web.support import World


def test_a_sweep_of_very_many_lost_devices_lets_others_have_their_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, swept, turns = world.registry.backends.tracker, [], []
    for number in range(1000):
        tracker.connect(f"user-{number}", "phone", f"c{number}", "online", GrantSet(0, ()), 20, 0)
        tracker.leave(f"user-{number}", "phone", f"c{number}")
    world.clock.advance(16)
    monkeypatch.setattr(world.services.grants, "of", lambda user: GrantSet(0, ()))  # as if they were all known
    expire = tracker.expire
    monkeypatch.setattr(tracker, "expire", lambda user, grants: swept.append(user) or expire(user, grants))

    def watch() -> None:
        while True:
            turns.append(len(swept))
            gevent.sleep(0.0001)  # a timer, which runs only when the event loop also looks at sockets

    watcher = gevent.spawn(watch)
    assert world.services.devices.sweep() == 1000
    watcher.kill()
    assert len(swept) == 1000
    assert len({count // 100 for count in turns}) >= 8
    assert list(tracker.due()) == []


def test_a_sweep_goes_on_after_a_user_for_whom_a_backend_is_unavailable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = world.registry.backends.tracker
    for number in range(3):
        tracker.connect(f"user-{number}", "phone", f"c{number}", "online", GrantSet(0, ()), 20, 0)
        tracker.leave(f"user-{number}", "phone", f"c{number}")
    world.clock.advance(16)

    def grants_of(user: str) -> GrantSet:
        if user == "user-0":
            raise BackendUnavailable
        return GrantSet(0, ())

    monkeypatch.setattr(world.services.grants, "of", grants_of)
    with pytest.raises(BackendUnavailable):
        world.services.devices.sweep()
    assert list(tracker.due()) == ["user-0"]


@pytest.mark.parametrize("error", [BackendUnavailable, KeyError])
def test_users_for_whom_sweeps_fail_keep_no_others_from_being_swept(
    world: World, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    tracker = world.registry.backends.tracker
    for number in range(8):
        tracker.connect(f"user-{number}", "phone", f"c{number}", "online", GrantSet(0, ()), 20, 0)
        tracker.leave(f"user-{number}", "phone", f"c{number}")
    world.clock.advance(16)
    failing = {f"user-{number}" for number in range(5)}

    def grants_of(user: str) -> GrantSet:
        if user in failing:
            raise error
        return GrantSet(0, ())

    monkeypatch.setattr(world.services.grants, "of", grants_of)
    for _ in range(6):
        with pytest.raises(error):
            world.services.devices.sweep()
    assert set(tracker.due()) == failing
    failing.remove("user-4")
    for _ in range(5):
        with pytest.raises(error):
            world.services.devices.sweep()
    assert set(tracker.due()) == failing


def test_a_sweep_ends_soon_while_the_directory_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, asked = world.registry.backends.tracker, []
    for number in range(10):
        tracker.connect(f"user-{number}", "phone", f"c{number}", "online", GrantSet(0, ()), 20, 0)
        tracker.leave(f"user-{number}", "phone", f"c{number}")
    world.clock.advance(16)

    def grants_of(user: str) -> GrantSet:
        asked.append(user)
        raise BackendUnavailable

    monkeypatch.setattr(world.services.grants, "of", grants_of)
    with pytest.raises(BackendUnavailable):
        world.services.devices.sweep()
    assert len(asked) == 3
