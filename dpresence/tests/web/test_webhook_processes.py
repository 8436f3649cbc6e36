"""Webhooks of several processes, and of one that was killed (docs/protocol.md, section 6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from dpresence.service import webhook_sender
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually
from dpresence.tests.web.support import App, World
from dpresence.tests.web.webhook_endpoint import Endpoint, end_leases, entries, long_leases  # noqa: F401 - a fixture

ANN, BOB = "ann@example.org", "bob@example.org"


def test_a_service_that_was_killed_sends_again_right_after_its_start(make_world: Callable[..., World], tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/single.db"
    killed = make_world(directory__url=database)
    app = killed.application()
    endpoint = Endpoint(killed, app)
    eventually(lambda: endpoint.proof.posted)
    killed.registry.backends.close()  # it releases nothing
    started = make_world(directory__url=database)
    endpoint.proof.posted.clear()
    started.services.webhook_sender.lease()
    assert app.id in started.services.webhook_sender._leased
    endpoint.world = started
    [message] = endpoint.take(20)  # devices have come back by then
    assert message["type"] == "presence.snapshot"


def test_one_service_at_a_time_sends_and_another_takes_over(pair: tuple[World, World]) -> None:
    first, second = pair
    app = first.application()
    endpoint = Endpoint(first, app)
    eventually(lambda: endpoint.proof.posted)
    holders = [world for world in pair if app.id in world.services.webhook_sender._leased]
    assert len(holders) == 1
    endpoint.proof.posted.clear()
    other = second if holders[0] is first else first
    holders[0].services.webhook_sender.release()
    other.services.webhook_sender.lease()
    assert app.id in other.services.webhook_sender._leased
    other.grant(ANN, app)
    eventually(lambda: endpoint.proof.posted)
    assert entries([json.loads(body) for _, body in endpoint.proof.posted]) == [("offline", "granted")]


def test_a_process_that_ends_leases_nothing_any_more(pair: tuple[World, World]) -> None:
    app = pair[0].application()
    endpoint = Endpoint(pair[0], app)
    eventually(lambda: endpoint.proof.posted)
    ending, other = pair if app.id in pair[0].services.webhook_sender._leased else pair[::-1]
    ending.services.webhook_sender.release()
    ending.services.webhook_sender.check(app.id)  # as at a signal of another process
    ending.settle()
    ending.services.webhook_sender.lease()
    assert app.id not in ending.services.webhook_sender._leased
    other.services.webhook_sender.lease()
    assert app.id in other.services.webhook_sender._leased


class LateLease:
    """A lease of a process whose answer comes late; later ones are answered at once."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        directory, self._answered, self._go = world.registry.backends.directory, Event(), Event()
        self.lease = directory.lease_webhooks
        monkeypatch.setattr(directory, "lease_webhooks", self._answer_late)
        self.greenlet = gevent.spawn(world.services.webhook_sender.lease)
        assert self._answered.wait(PATIENCE_SECONDS)

    def _answer_late(self, *arguments: Any) -> Sequence[str]:
        found = self.lease(*arguments)
        if not self._answered.is_set():
            self._answered.set()
            assert self._go.wait(PATIENCE_SECONDS)
        return found

    def answer(self) -> None:
        self._go.set()
        self.greenlet.get(timeout=PATIENCE_SECONDS)


def test_a_lease_that_is_in_progress_when_the_process_ends_is_released(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, endpoint = world.services.webhook_sender, Endpoint(world, app)
    eventually(lambda: endpoint.proof.posted)
    late = LateLease(world, monkeypatch)
    ending = gevent.spawn(sender.release)
    gevent.sleep(0)
    late.answer()
    ending.get(timeout=PATIENCE_SECONDS)
    assert not sender._leased and late.lease("another", 60, 25, 100) == [app.id]


def test_a_lease_whose_answer_is_late_forgets_nothing_that_was_leased_meanwhile(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = LateLease(world, monkeypatch)
    endpoint = Endpoint(world, app)
    world.settle()
    late.answer()
    eventually(lambda: endpoint.proof.posted)
    assert app.id in world.services.webhook_sender._leased


def test_more_webhooks_than_are_leased_at_once_are_leased_right_after_them(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_sender, "_NEW_LEASES", 1)
    monkeypatch.setattr(webhook_sender, "MORE_LEASES_SECONDS", 0)
    sender, other = world.services.webhook_sender, world.application()
    for one in (app, other):
        Endpoint(world, one)
    eventually(lambda: len(sender._leased) == 2 and not sender._leasing_more.running())
    end_leases(world)
    sender.lease()
    eventually(lambda: len(sender._leased) == 2)
