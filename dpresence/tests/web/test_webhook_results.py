"""Results of attempts that cannot be stored at once, and webhooks that change during an attempt (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.tests.support import FakeConnection
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import App, World
from dpresence.tests.web.webhook_endpoint import ANN, Endpoint, entries, long_leases, report

__all__ = ["long_leases"]

Store = Callable[..., bool]


class Sent:
    """A webhook with a user who is online, of whom it was sent everything."""

    def __init__(self, world: World, app: App) -> None:
        self.world, self.app = world, app
        world.grant(ANN, app)
        self.device: FakeConnection = world.device(ANN)
        self.endpoint = Endpoint(world, app)
        assert [message["type"] for message in self.endpoint.take()] == ["presence.snapshot"]
        self.endpoint.take()

    def say(self, *statuses: str) -> None:
        report(self.world, self.device, *statuses)

    def sent(self) -> bool:
        return bool(self.endpoint.proof.posted)


@pytest.fixture
def sent(world: World, app: App) -> Sent:
    return Sent(world, app)


def instead_of_storing(sent: Sent, monkeypatch: pytest.MonkeyPatch, first: Callable[[Store, tuple[Any, ...]], bool]) -> None:
    """Call ``first`` instead of storing the result of the next attempt."""
    directory = sent.world.registry.backends.directory
    store, calls = directory.record_attempt, [first]
    monkeypatch.setattr(directory, "record_attempt", lambda *args: calls.pop()(store, args) if calls else store(*args))


def away(store: Store, args: tuple[Any, ...]) -> bool:
    raise BackendUnavailable


def stored_without_an_answer(store: Store, args: tuple[Any, ...]) -> bool:
    store(*args)
    raise BackendUnavailable


@pytest.mark.parametrize("first", [away, stored_without_an_answer])
def test_a_confirmed_message_is_not_sent_again_once_its_result_can_be_stored(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, first: Callable[[Store, tuple[Any, ...]], bool]
) -> None:
    instead_of_storing(sent, monkeypatch, first)
    sent.say("unavailable")
    eventually(sent.sent)
    sent.say("online")
    messages = sent.endpoint.take() + sent.endpoint.take()
    assert [entries([message]) for message in messages] == [[("unavailable", "explicit")], [("online", "explicit")]]
    assert sent.endpoint.state["cursor"] == messages[-1]["data"]["cursor"]


@pytest.mark.parametrize("status", [500, 410])
def test_a_failure_that_cannot_be_stored_at_once_counts_and_postpones_the_next_attempt(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    instead_of_storing(sent, monkeypatch, away)
    sent.endpoint.proof.answer = (status, "")
    sent.say("unavailable")
    first = sent.endpoint.take(0)
    [message_id] = sent.endpoint.ids
    sent.say("online")
    assert sent.endpoint.take(2) == []
    state = sent.endpoint.state
    assert (state["failures"], state["state"], state["log"][0]["error"]) == ((1, "on") if status == 500 else (0, "off")) + (
        f"status {status}",
    )
    sent.endpoint.proof.answer = (204, "")
    again = sent.endpoint.take(6)
    assert (again[:1], sent.endpoint.ids[:1]) == ((first, [message_id]) if status == 500 else ([], []))


def test_a_message_during_which_the_webhook_is_changed_is_sent_again_with_the_same_id(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(store: Store, args: tuple[Any, ...]) -> bool:
        sent.say("online")
        sent.endpoint.call("POST", "/secret")
        return store(*args)

    instead_of_storing(sent, monkeypatch, change)
    sent.say("unavailable")
    first, ids = sent.endpoint.take(0), sent.endpoint.ids
    messages, ids = first + sent.endpoint.take(), ids + sent.endpoint.ids
    assert [entries([message]) for message in messages] == [[("unavailable", "explicit")]] * 2 and ids[0] == ids[1]
    assert [entries([message]) for message in sent.endpoint.take()] == [[("online", "explicit")]]


def test_a_lease_that_ends_while_the_webhook_is_read_leaves_no_feed_followed(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, sender = sent.world.registry.backends.directory, sent.world.services.webhook_sender
    read = directory.leased_webhook

    def read_while_the_lease_ends(*args: Any) -> Any:
        found = read(*args)
        sender._forget(sent.app.id)
        return found

    monkeypatch.setattr(directory, "leased_webhook", read_while_the_lease_ends)
    sender._work.request(sent.app.id)
    eventually(lambda: not sender._work.running(sent.app.id))
    assert not sent.world.services.hub.has_application(sent.app.id)
