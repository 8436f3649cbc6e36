"""Webhooks that are sent outcomes of notifications (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any

import pytest

from dpresence.tests.support import FakeConnection
from dpresence.tests.web.support import App, World, refusal
from dpresence.tests.web.webhook_endpoint import ANN, Endpoint, entries, long_leases, report

__all__ = ["long_leases"]


class Hooked:
    """An application whose webhook is sent outcomes, and a user with a device."""

    def __init__(self, world: World, app: App, *events: str) -> None:
        self.world, self.app = world, app
        self.puid = world.grant(ANN, app)
        self.device: FakeConnection = world.device(ANN, ack=True, device="phone")
        self.endpoint = Endpoint(world, app, *events)
        world.settle()

    def acknowledged(self, count: int = 1) -> list[str]:
        """Send notifications that the device acknowledges; return their ids."""
        sent = self.world.notify(self.app, *[{"puid": self.puid, "message": str(n), "outcome": True} for n in range(count)])
        ids = [each["id"] for each in sent]
        self.world.settle()
        self.device.receive({"action": "ack", "notifications": ids})
        self.world.settle()
        return ids

    def take(self, seconds: float = 2) -> list[Any]:
        return self.endpoint.take(seconds)


def told(messages: list[Any]) -> list[tuple[str, str]]:
    """Return id and outcome of each entry; every message must be one of outcomes."""
    assert {message["type"] for message in messages} <= {"notification.outcomes"}
    return [(entry["id"], entry["outcome"]) for message in messages for entry in message["data"]["outcomes"]]


def kinds(messages: list[Any]) -> list[str]:
    return [message["type"] for message in messages]


@pytest.fixture
def hooked(world: World, app: App) -> Hooked:
    """A webhook that is sent nothing but outcomes."""
    return Hooked(world, app, "outcome")


def test_a_webhook_is_sent_what_becomes_of_notifications(hooked: Hooked) -> None:
    [one] = hooked.acknowledged()
    [message] = hooked.take()
    entry = {"id": one, "puid": hooked.puid, "outcome": "delivered", "at": message["data"]["outcomes"][0]["at"]}
    cursor = hooked.endpoint.state["outcomes"]
    assert message["data"] == {"outcomes": [entry], "cursor": cursor} and cursor.isdigit()
    hooked.device.receive({"action": "opened", "notifications": [one]})
    assert told(hooked.take()) == [(one, "opened")]
    assert hooked.take() == []


def test_one_for_outcomes_is_sent_no_presence_and_follows_no_feed(world: World, app: App, hooked: Hooked) -> None:
    report(world, hooked.device, "unavailable")
    assert hooked.take() == [] and not world.services.hub.has_application(app.id)
    assert hooked.endpoint.state["events"] == ["outcome"] and hooked.endpoint.state["cursor"] is None


def test_one_for_presence_is_sent_no_outcomes(world: World, app: App) -> None:
    hooked = Hooked(world, app)
    assert kinds(hooked.take()) == ["presence.snapshot"]
    hooked.acknowledged()
    assert hooked.take(100) == []


def test_both_events_take_turns_and_each_has_its_position(world: World, app: App) -> None:
    hooked = Hooked(world, app, "outcome", "presence")
    assert hooked.endpoint.state["events"] == ["presence", "outcome"]
    assert kinds(hooked.take()) == ["presence.snapshot"]
    [one] = hooked.acknowledged()
    report(world, hooked.device, "unavailable")
    messages = hooked.take() + hooked.take()
    assert sorted(kinds(messages)) == ["notification.outcomes", "presence.updates"]
    log = {entry["type"]: entry for entry in hooked.endpoint.state["log"]}
    assert log["notification.outcomes"]["since"] == "0" and ":" in log["presence.updates"]["since"]
    hooked.endpoint.call("POST", "/replay", {"outcomes": log["notification.outcomes"]["since"]})
    assert told(hooked.take()) == [(one, "delivered")]


def test_updates_that_never_end_do_not_keep_outcomes_back(world: World, app: App) -> None:
    hooked = Hooked(world, app, "presence", "outcome")
    hooked.take()
    hooked.endpoint.proof.answer = (500, "")
    report(world, hooked.device, "unavailable")
    hooked.take()
    for _ in range(110):
        world.clock.advance(2)
        report(world, hooked.device, "online", "unavailable")
    hooked.acknowledged()
    hooked.endpoint.proof.answer = (204, "")
    hooked.endpoint.proof.posted.clear()
    assert kinds(hooked.take(400))[:3] == ["presence.updates", "notification.outcomes", "presence.updates"]


def test_a_failed_request_is_sent_again_with_the_same_id_before_anything_newer(hooked: Hooked) -> None:
    hooked.endpoint.proof.answer = (500, "")
    [one] = hooked.acknowledged()
    first = hooked.take()
    [message_id] = hooked.endpoint.ids
    [two] = hooked.acknowledged()
    hooked.endpoint.proof.answer = (204, "")
    again = hooked.take(6)
    assert again[:1] == first and hooked.endpoint.ids[0] == message_id
    assert told(again + hooked.take()) == [(one, "delivered"), (two, "delivered")]


def test_many_outcomes_come_in_messages_of_100_in_order(hooked: Hooked) -> None:
    hooked.endpoint.proof.answer = (500, "")
    hooked.acknowledged()
    hooked.take()
    ids = [id_ for _ in range(3) for id_ in hooked.acknowledged(50)]
    hooked.endpoint.proof.answer = (204, "")
    messages = hooked.take(6) + hooked.take()
    assert [len(message["data"]["outcomes"]) for message in messages] == [1, 100, 50]
    assert [id_ for id_, _ in told(messages)][1:] == ids


def test_outcomes_of_a_grant_revoked_meanwhile_are_not_sent(world: World, app: App, hooked: Hooked) -> None:
    hooked.endpoint.proof.answer = (500, "")
    hooked.acknowledged()
    assert told(hooked.take()) != []
    world.person(ANN)("DELETE", f"/grant/{app.id}")
    world.settle()
    hooked.endpoint.proof.answer = (204, "")
    assert hooked.take(10) == []


def test_a_revoke_of_the_newest_outcome_has_nothing_sent_again(world: World, app: App, hooked: Hooked) -> None:
    hooked.acknowledged()
    bob = "bob@example.org"
    puid, device = world.grant(bob, app), world.device(bob, ack=True, device="phone")
    [sent] = world.notify(app, {"puid": puid, "message": "Your move", "outcome": True})
    world.settle()
    device.receive({"action": "ack", "notifications": [sent["id"]]})
    assert len(told(hooked.take())) == 2
    world.person(bob)("DELETE", f"/grant/{app.id}")
    world.settle()
    assert hooked.take(100) == []


def test_an_outcome_whose_signal_was_lost_is_sent_within_a_minute(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    hooked.take()
    monkeypatch.setattr(hooked.world.services.outcomes, "_signal", lambda appid: None)
    [one] = hooked.acknowledged()
    assert hooked.take(2) == [] and told(hooked.take(60)) == [(one, "delivered")]


def test_signals_that_may_have_been_lost_are_made_up_for_at_once(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    service = hooked.world.service_channel(hooked.app)
    service.receive({"action": "auth", "key": hooked.app.key, "outcomes": ""})
    hooked.take()  # also for the first check of the channel
    with monkeypatch.context() as lost:
        lost.setattr(hooked.world.registry.backends.tracker, "signal", lambda topic, key: None)
        [one] = hooked.acknowledged()
    assert hooked.take() == [] and not any("outcomes" in frame for frame in service.sent)
    hooked.world.services._on_signal("missed", "")
    hooked.world.settle()
    assert told(hooked.take(0)) == [(one, "delivered")]
    assert [frame["outcomes"][0]["id"] for frame in service.sent if "outcomes" in frame] == [one]


def test_a_webhook_that_was_turned_on_while_signals_were_lost_is_sent_what_waits(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    hooked.endpoint.proof.answer = (500, "")
    [one] = hooked.acknowledged()
    hooked.take()
    hooked.endpoint.proof.answer = (204, "")
    with monkeypatch.context() as lost:
        lost.setattr(hooked.world.registry.backends.tracker, "signal", lambda topic, key: None)
        hooked.endpoint.call("PUT", "", {"url": hooked.endpoint.url, "events": ["outcome"]})
    assert hooked.take(0) == []
    hooked.world.services._on_signal("missed", "")
    assert told(hooked.take(2)) == [(one, "delivered")], "before the next attempt was due"


def test_an_event_that_is_added_begins_with_what_is_stored(world: World, app: App) -> None:
    hooked = Hooked(world, app)
    assert kinds(hooked.take()) == ["presence.snapshot"]
    [one] = hooked.acknowledged()
    assert hooked.take() == []
    hooked.endpoint.call("PUT", "", {"url": hooked.endpoint.url, "events": ["outcome"]})
    assert told(hooked.take()) == [(one, "delivered")]
    hooked.endpoint.call("PUT", "", {"url": hooked.endpoint.url})
    report(world, hooked.device, "unavailable")
    hooked.acknowledged()
    assert entries(hooked.take()) == [("unavailable", "explicit")], "its position in the feed stayed"


def test_a_replay_names_what_is_sent_again(hooked: Hooked) -> None:
    [one] = hooked.acknowledged()
    hooked.take()
    [message_id] = hooked.endpoint.ids
    text = "since, outcomes: one of the two at least"
    assert refusal(hooked.endpoint.call("POST", "/replay", {})) == (400, {"result": "KO", "errno": 107, "error": text})
    hooked.endpoint.call("POST", "/replay", {"outcomes": "999999"})
    assert hooked.take() == [], "a position that was not reached skips nothing"
    [two] = hooked.acknowledged()
    assert told(hooked.take()) == [(two, "delivered")]
    assert hooked.endpoint.call("POST", "/replay", {"outcomes": ""}).json["outcomes"] == ""
    assert told(hooked.take()) == [(one, "delivered"), (two, "delivered")] and message_id not in hooked.endpoint.ids
