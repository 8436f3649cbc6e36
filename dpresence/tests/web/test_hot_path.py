"""Updates and plain notifications make the same calls of the backends beside webhooks, topics, idempotency keys and outcomes."""

from __future__ import annotations

from collections import Counter

import pytest

from dpresence.tests.waiting import eventually
from dpresence.tests.web.calls import ROLES, count_calls
from dpresence.tests.web.support import App, World
from dpresence.tests.web.webhook_endpoint import ANN, Endpoint, long_leases

__all__ = ["long_leases"]


@pytest.fixture(params=[False, True], ids=["", "beside a webhook"])
def beside(request: pytest.FixtureRequest, world: World) -> None:
    """Another application has a webhook, for presence and outcomes, that this process sends."""
    if request.param:
        Endpoint(world, world.application(world.person("other@example.org"), name="Go"), "presence", "outcome").take()


@pytest.mark.usefixtures("beside")
def test_an_update_makes_one_call(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    world.grant(ANN, app)
    device, service = world.device(ANN), world.service(app)
    calls = count_calls(world, monkeypatch, *ROLES)
    device.receive({"email": ANN, "status": "unavailable"})
    eventually(lambda: service.sent)
    assert calls == {"update": 1}


@pytest.mark.usefixtures("beside")
def test_a_notification_without_control_makes_the_calls_of_its_delivery(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    puid = world.grant(ANN, app)
    device, service = world.device(ANN), world.service(app)
    calls = count_calls(world, monkeypatch, *ROLES)
    service.receive({"action": "notify", "notifications": [{"puid": puid, "message": "Your move"}]})
    eventually(lambda: device.sent and calls["discard_received"])
    accepts = ["grants_by_puid", "grants_by_puid", "latest", "enqueue"]
    assert calls == Counter([*accepts, "devices", "pending", "active", "sent_status", "discard_received"])
