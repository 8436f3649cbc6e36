"""When and in which order outcomes are published: what a device of a person who is shown as offline does changes neither (section 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.service.outcomes import Received
from dpresence.tests.web.invisible import ANN, Scene
from dpresence.tests.web.support import World


@pytest.fixture(params=["hidden", "absent", "pushed"])
def scene(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Scene:
    scene = Scene(make_world(), ack=True)
    scene.say("offline")
    if request.param != "hidden":
        scene.device.leave()
    if request.param == "pushed":
        monkeypatch.setattr(scene, "acknowledge", lambda: accept(scene))
    scene.world.settle()
    return scene


def accept(scene: Scene) -> None:
    """Record that a push service has accepted all that waits."""
    directory, outcomes = scene.world.registry.backends.directory, scene.world.services.outcomes
    ids = [each.id for each in directory.followed_waiting(scene.puid, 100)]
    outcomes.record(directory.account_of(ANN).id, Received(ids, None, scene.world.clock.steady.now()), "pushed")


def send(scene: Scene, **fields: Any) -> str:
    return str(scene.notify(outcome=True, **fields)[0]["id"])


def check(scene: Scene, seconds: float = 0) -> list[tuple[str, str, int]]:
    """Let time pass, run the job, and return the outcomes with the seconds at which the application could know them."""
    scene.world.clock.advance(seconds)
    scene.world.settle()
    scene.world.services.outcomes.run()
    scene.world.settle()
    return [(each.id, each.outcome, each.at) for each in scene.world.services.outcomes.read(scene.app.id, 0)]


def after(scene: Scene, seconds: int) -> int:
    """Return the time (ms, whole seconds) at which an application first knows what happens so many seconds from now."""
    return (scene.world.clock.now() // 1000 + seconds) * 1000


def test_a_ttl_that_ends_right_after_an_acknowledgement_is_told_at_its_end(scene: Scene) -> None:
    sent, end = send(scene, ttl=8), after(scene, 8)
    assert check(scene, 7) == []
    scene.acknowledge()
    assert check(scene, 1) == [(sent, "expired", end)]


def test_what_expired_while_another_one_waits_was_not_dropped(scene: Scene) -> None:
    sent, end = send(scene, ttl=2), after(scene, 2)
    send(scene, ttl=60)
    scene.acknowledge()
    for _ in range(6):
        told = check(scene, 1)
    assert told == [(sent, "expired", end)]


def test_a_notification_that_is_not_queued_expires_after_the_longest_time_of_one_that_is(scene: Scene) -> None:
    sent, end = send(scene, ttl=0), after(scene, 5)
    assert check(scene, 4.9) == []
    assert check(scene, 0.1) == [(sent, "expired", end)]


def test_a_check_of_what_is_held_does_not_tell_what_a_full_queue_has_dropped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.world.services.outcomes, "check_full", lambda _: None)  # it would tell that after a random delay
    sent, checked = send(scene), after(scene, 60)
    scene.acknowledge()
    check(scene, 1)
    scene.notify(60), scene.notify(60)
    assert [check(scene, seconds) for seconds in (1, 2, 5, 20, 30.9)] == [[]] * 5
    assert check(scene, 0.1) == [(sent, "dropped", checked)]


def test_the_next_checks_of_what_is_lost_depend_only_on_when_it_was_sent(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.world.services.outcomes, "check_full", lambda _: None)
    sent, checked = send(scene), after(scene, 240)
    scene.acknowledge()
    for seconds in (30, 31.5, 50, 10):  # the check that was due after 60 s was late
        assert check(scene, seconds) == []
    scene.notify(60), scene.notify(60)
    assert check(scene, 118.4) == []
    assert check(scene, 0.1) == [(sent, "dropped", checked)]


def test_what_a_late_job_finds_is_told_in_the_order_in_which_it_was_sent(scene: Scene) -> None:
    sent = []
    for _ in range(8):
        sent.append(send(scene, ttl=20))
        scene.world.clock.advance(0.01)
    for id_ in reversed(sent):
        scene.world.settle()
        if scene.device.code is None and not scene.device.closed:
            scene.device.receive({"action": "ack", "notifications": [id_]})
        scene.world.clock.advance(0.1)
    assert [id_ for id_, _, _ in check(scene, 30)] == sent
