"""Outcomes of one application are published although another one's, or its developer's share of the database, is unavailable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.errors import BackendUnavailable
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
