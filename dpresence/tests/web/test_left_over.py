"""Nothing that waits outlives its grant, also when the process that should have discarded it has ended: stores are found empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from dpresence.backends.mailbox import QueuedNotification
from dpresence.backends.sql.tables import inbox, notifications, received_unseen
from dpresence.model import Notification
from dpresence.tests.web.support import App, World

ANN, BOB = "ann@example.org", "bob@example.org"
DAY_MS = 86_400_000


@pytest.fixture(params=["sql", "redis"])
def kept(request: pytest.FixtureRequest, make_world: Callable[..., World]) -> tuple[World, Callable[[], Any]]:
    """A service with that mailbox, and what tells how much is left in its store."""
    if request.param == "sql":
        world = make_world()
        database = world.registry.backends.mailbox.database
        counts = [select(func.count()).select_from(table) for table in (notifications, received_unseen, inbox)]
        return world, lambda: [database.run(lambda connection, count=count: connection.scalar(count)) for count in counts]
    redis = request.getfixturevalue("redis_server")
    world = make_world(mailbox="redis", redis__url=redis.url)
    return world, lambda: [0 for _ in range(3)] if set(redis.client.keys()) <= {b"dpresence:m:count"} else redis.client.keys()


def push(world: World, user: str, puid: str, *names: str) -> None:
    """Store what no grant stands for, as a process that ended right after its push has left it."""
    items = [Notification(name, "app", puid, "Chess", "secret", "", world.clock.now()) for name in names]
    world.registry.backends.mailbox.enqueue([QueuedNotification(user, item, DAY_MS, 0) for item in items], 1000)


def later(world: World) -> None:
    """Let the sweep have its turn, in whichever process."""
    world.clock.advance(60)
    world.services.notifications.sweep()


@pytest.mark.slow
def test_notifications_pushed_for_an_ended_grant_are_found_and_discarded(kept: tuple[World, Callable[[], Any]]) -> None:
    world, left = kept
    app = world.application()
    puid = world.grant(ANN, app)
    world.notify(app, {"puid": puid, "message": "stays"})
    gone = [Notification(f"n{n}", "app", f"puid-{n}", "Chess", "secret", "", world.clock.now()) for n in range(700)]
    world.registry.backends.mailbox.enqueue([QueuedNotification(f"gone-{n}", item, DAY_MS, 0) for n, item in enumerate(gone)], 1000)
    push(world, "gone-0", "puid-0", *(f"m{n}" for n in range(150)))
    later(world)
    assert world.notify(app, {"puid": puid})[0]["queue_size"] == 2
    ann = world.person(ANN)
    ann("DELETE", f"/grant/{app.id}")
    assert len(ann("GET", "/notifications").json["notifications"]) == 2, "the history is the person's own"
    ann("DELETE", "/notifications")
    assert left() == [0, 0, 0]


def test_after_everybody_is_erased_the_store_is_empty(kept: tuple[World, Callable[[], Any]]) -> None:
    world, left = kept
    app: App = world.application()
    people = {email: world.grant(email, app) for email in (ANN, BOB)}
    device = world.device(ANN, "offline", ack=True)
    for puid in people.values():
        world.notify(app, *[{"puid": puid, "message": "secret"}] * 20)
    world.settle()
    ids = [item["id"] for frame in device.take() for item in frame["notifications"]]
    device.receive({"action": "ack", "notifications": ids[:10]})
    users = [world.registry.backends.directory.grants_by_puid(app.id, [puid])[puid].user for puid in people.values()]
    for email in people:
        world.person(email)("DELETE", "/account")
    world.carry_out()
    for user, puid in zip(users, people.values(), strict=True):
        push(world, user, puid, "late")
    assert left() != [0, 0, 0]
    later(world)
    assert left() == [0, 0, 0]


def test_one_process_at_a_time_looks_for_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    real = world.registry.backends.mailbox.queues
    monkeypatch.setattr(world.registry.backends.mailbox, "queues", lambda *page: looks.append(page) or real(*page))
    for _ in range(3):
        world.services.notifications.sweep()
    assert len(looks) == 1
