"""Outcomes of one application are published although another one's, or its developer's share of the database, is unavailable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.service import coalescer
from dpresence.tests.waiting import eventually
from dpresence.tests.web.invisible import ANN, Scene
from dpresence.tests.web.support import App, World


@pytest.fixture
def scene(make_world: Callable[..., World]) -> Scene:
    return Scene(make_world(), ack=True)


def busy(scene: Scene, monkeypatch: pytest.MonkeyPatch, method: str, *apps: App) -> None:
    """Let a method of the directory be unavailable to the developers of some applications."""
    directory = scene.world.registry.backends.directory
    real, appids = getattr(directory, method), [app.id for app in apps]

    def call(appid: str, *arguments: Any) -> Any:
        if appid in appids:
            raise BackendUnavailable
        return real(appid, *arguments)

    monkeypatch.setattr(directory, method, call)


def another(scene: Scene) -> tuple[App, str]:
    """Return an application of another developer and the PUID of the same person."""
    app = scene.world.application(scene.world.person("developer2@example.org"), scene.world.proof.other_domain, name="Go")
    return app, scene.world.grant(ANN, app)


def told(scene: Scene, app: App) -> list[str]:
    scene.world.settle()
    return [each.outcome for each in scene.world.services.outcomes.read(app.id, 0)]


def wait(scene: Scene, seconds: float) -> None:
    scene.world.clock.advance(seconds)
    scene.world.services.outcomes.run()


def test_an_acknowledgement_does_not_wait_for_the_developer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    other, puid = another(scene)
    user = scene.world.registry.backends.directory.account_of(ANN).id
    ids = [scene.notify(outcome=True)[0]["id"], scene.world.notify(other, {"puid": puid, "outcome": True})[0]["id"]]
    scene.world.settle()
    with monkeypatch.context() as patch:
        busy(scene, patch, "publish_outcomes", scene.app)
        assert scene.device.receive({"action": "ack", "notifications": ids}) == {"result": "OK"}
        assert (told(scene, scene.app), told(scene, other)) == ([], ["delivered"])
        assert scene.world.registry.backends.mailbox.undelivered_ids(user, ids) == set()
    wait(scene, 3)
    assert told(scene, scene.app) == ["delivered"]


@pytest.mark.parametrize("lost", [False, True], ids=["went offline", "tracker lost its data"])
def test_what_the_application_may_know_is_told_after_the_process_has_ended(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    scene.notify(outcome=True)
    scene.world.settle()
    with monkeypatch.context() as patch:
        patch.setattr(scene.world.services.outcomes, "_request_publishing", lambda _: None)  # the process ended here
        scene.acknowledge()
    scene.say("offline")
    if lost:
        monkeypatch.setattr(scene.world.registry.backends.tracker, "latest_of_grants", lambda *_, **__: {})
    assert told(scene, scene.app) == []
    wait(scene, 61)  # it is looked up in the mailbox, too
    assert told(scene, scene.app) == ["delivered"]


def test_the_job_goes_on_after_an_application_for_which_a_backend_is_unavailable(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    other, puid = another(scene)
    scene.say("offline")
    scene.device.leave()
    scene.notify(ttl=10, outcome=True)
    scene.world.notify(other, {"puid": puid, "ttl": 20, "outcome": True})
    with monkeypatch.context() as patch:
        busy(scene, patch, "publish_outcomes", scene.app)
        with pytest.raises(BackendUnavailable):
            wait(scene, 21)
        assert (told(scene, scene.app), told(scene, other)) == ([], ["expired"])
    wait(scene, 31)
    assert told(scene, scene.app) == ["expired"]


@pytest.mark.parametrize("method", ["place_followed", "publish_outcomes"])
def test_a_stored_notification_is_sent_also_while_its_outcomes_cannot_be_recorded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    scene.notify(topic="move", outcome=True)
    scene.device.take()
    with monkeypatch.context() as patch:
        busy(scene, patch, method, scene.app)
        sent = scene.notify(topic="move", outcome=True)[0]
        assert (sent["result"], sent["delivered"]) == ("OK", True)
        assert [each["id"] for frame in scene.device.take() for each in frame["notifications"]] == [sent["id"]]
    scene.world.services.retries.flush()
    assert scene.device.receive({"action": "ack", "notifications": [sent["id"]]}) == {"result": "OK"}
    assert told(scene, scene.app) == ["replaced", "delivered"]


def test_a_flood_that_ends_at_once_delays_no_outcome_of_another_application(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpresence.service.outcomes.PAGE", 10)
    other, puid = another(scene)
    for _ in range(2):
        scene.world.notify(scene.app, *[{"puid": scene.puid, "ttl": 60, "outcome": True} for _ in range(50)])
    scene.world.notify(other, {"puid": puid, "ttl": 60, "outcome": True})
    ended: list[str] = []
    record_end = scene.world.services.outcomes.record_end
    monkeypatch.setattr(scene.world.services.outcomes, "record_end", lambda appid, *rest: (ended.append(appid), record_end(appid, *rest)))
    wait(scene, 61)
    assert other.id in ended[:2]
    assert len(told(scene, scene.app)) == 100


def revoke(scene: Scene, id_: str) -> None:
    assert scene.ann("DELETE", f"/grant/{scene.app.id}").status_int == 204


def cancel(scene: Scene, id_: str) -> None:
    path = f"/myapps/{scene.app.id}/notifications/{id_}?puid={scene.puid}"
    assert scene.world.browser()("DELETE", path, Authorization=f"Bearer {scene.app.key}").status_int == 204


@pytest.mark.parametrize(("end", "outcome"), [(revoke, "revoked"), (cancel, "cancelled")])
def test_an_outcome_that_could_not_be_signalled_is_signalled_once_the_tracker_is_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, end: Callable[[Scene, str], None], outcome: str
) -> None:
    monkeypatch.setattr(coalescer, "RETRY_SECONDS", 0.01)
    tracker = scene.world.registry.backends.tracker
    signal, signals = tracker.signal, list[tuple[str, str]]()

    def away(topic: str, key: str) -> None:
        if topic == "outcomes":
            raise BackendUnavailable
        signal(topic, key)

    one = scene.notify(outcome=True)[0]["id"]
    scene.world.settle()
    with monkeypatch.context() as patch:
        patch.setattr(tracker, "signal", away)
        end(scene, one)
        assert told(scene, scene.app) == [outcome]
    monkeypatch.setattr(tracker, "signal", lambda *args: (signals.append(args), signal(*args)))
    scene.world.services.outbox.apply_all()
    eventually(lambda: ("outcomes", scene.app.id) in signals)
