"""Outcomes of notifications without a websocket: on an event stream and by long poll (docs/protocol.md, section 5)."""

from __future__ import annotations

from typing import Any

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.tests.web.streams import FakeStream, poll, stream
from dpresence.tests.web.support import App, World, refusal

ANN = "ann@example.org"


class Sender:
    """An application, and a user with a device."""

    def __init__(self, world: World, app: App) -> None:
        self.world, self.app = world, app
        self.puid = world.grant(ANN, app)
        self.device = world.device(ANN, ack=True, device="phone")
        world.settle()

    def acknowledged(self) -> str:
        """Send a notification that the device acknowledges; return its id."""
        [sent] = self.world.notify(self.app, {"puid": self.puid, "message": "Your move", "outcome": True})
        self.world.settle()
        self.device.receive({"action": "ack", "notifications": [sent["id"]]})
        self.world.settle()
        return str(sent["id"])

    def stream(self, query: str = "", **headers: str) -> FakeStream:
        return stream(self.world, self.app, query, **headers)

    def poll(self, query: str) -> Any:
        return poll(self.world, self.app, query)


@pytest.fixture
def sender(world: World, app: App) -> Sender:
    return Sender(world, app)


def away(*_: object) -> None:
    raise BackendUnavailable


def told(events: list[Any]) -> list[tuple[str, str]]:
    return [(entry["id"], entry["outcome"]) for event in events for entry in event.data.get("outcomes", ())]


def test_a_stream_that_asks_is_sent_outcomes_and_continues_after_its_last_event(sender: Sender) -> None:
    first = sender.acknowledged()
    followed = sender.stream("?outcomes=")
    second = sender.acknowledged()
    events = followed.take_events()
    assert told(events) == [(first, "delivered"), (second, "delivered")]
    last = events[-1]
    cursor, _, position = last.id.partition("~")
    assert position == last.data["cursor"] and cursor == sender.poll("?wait=0")["cursor"]
    followed.leave()
    sender.device.receive({"email": ANN, "status": "unavailable"})
    third = sender.acknowledged()
    again = sender.stream("?outcomes=", Last_Event_ID=last.id).take_events()
    assert told(again) == [(third, "delivered")]
    assert [entry["status"] for event in again for entry in event.data.get("updates", ())] == ["unavailable"]
    assert all(event.id.endswith(f"~{position}") for event in again if "updates" in event.data)


def test_a_stream_that_does_not_ask_is_sent_none_and_has_the_ids_of_before(sender: Sender) -> None:
    followed = sender.stream()
    sender.acknowledged()
    sender.device.receive({"email": ANN, "status": "unavailable"})
    sender.world.settle()
    events = followed.take_events()
    assert told(events) == [] and not any("~" in (event.id or "") for event in events)


def test_a_poll_is_answered_with_outcomes_and_each_position_continues(sender: Sender) -> None:
    cursor = sender.poll("?wait=0")["cursor"]
    first = sender.acknowledged()
    frame = sender.poll(f"?since={cursor}&outcomes=&wait=9")
    assert [(entry["id"], entry["outcome"]) for entry in frame["outcomes"]] == [(first, "delivered")]
    assert sender.poll(f"?since={cursor}&outcomes={frame['cursor']}&wait=0") == {"updates": [], "cursor": cursor}
    assert sender.poll(f"?since={cursor}&wait=0") == {"updates": [], "cursor": cursor}, "it did not ask"


def test_a_poll_that_waits_is_answered_with_the_first_outcome(sender: Sender) -> None:
    cursor = sender.poll("?wait=0")["cursor"]
    silent, waiting = sender.stream(f"?since={cursor}&wait=9"), sender.stream(f"?since={cursor}&outcomes=&wait=9")
    one = sender.acknowledged()
    status, frame = waiting.answer
    assert (status, [entry["id"] for entry in frame["outcomes"]]) == (200, [one]) and silent.written == b""
    silent.leave()
    assert not sender.world.services.hub.has_application(sender.app.id)


def test_an_outcome_between_the_look_and_the_wait_is_the_answer(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = sender.poll("?wait=0")["cursor"]
    outcomes = sender.world.services.outcomes
    read, ids = outcomes.read, list[str]()

    def read_then_tell(appid: str, after: int, *more: Any) -> Any:
        found = read(appid, after, *more)
        if not ids:
            ids.append("")
            ids[0] = sender.acknowledged()
        return found

    monkeypatch.setattr(outcomes, "read", read_then_tell)
    status, frame = sender.stream(f"?since={cursor}&outcomes=&wait=9").answer
    assert (status, [entry["id"] for entry in frame["outcomes"]]) == (200, ids)


def test_a_database_that_is_away_ends_no_stream_and_its_outcomes_come_afterwards(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = sender.stream("?outcomes=")
    with monkeypatch.context() as patch:
        patch.setattr(sender.world.services.outcomes, "read", away)
        sender.world.advance(60)
        one = sender.acknowledged()
        new = sender.stream("?outcomes=")
        sender.device.receive({"email": ANN, "status": "unavailable"})
        sender.world.advance(2)
        assert (followed.code, new.code) == (None, None)
        events = followed.take_events()
        assert told(events) == [] and any("updates" in event.data for event in events)
    sender.world.advance(1)
    assert told(followed.take_events()) == told(new.take_events()) == [(one, "delivered")]


def test_a_poll_that_waits_while_the_database_is_away_is_answered_afterwards(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = sender.poll("?wait=0")["cursor"]
    waiting = sender.stream(f"?since={cursor}&outcomes=&wait=9")
    with monkeypatch.context() as patch:
        patch.setattr(sender.world.services.outcomes, "read", away)
        one = sender.acknowledged()
        assert waiting.written == b""
    sender.world.advance(1)
    status, frame = waiting.answer
    assert (status, [entry["id"] for entry in frame["outcomes"]]) == (200, [one])


def test_a_cursor_of_outcomes_has_a_limit(sender: Sender) -> None:
    headers = {"Authorization": f"Bearer {sender.app.key}"}
    answer = sender.world.browser()("GET", f"/myapps/{sender.app.id}/feed?wait=0&outcomes={'1' * 4097}", **headers)
    assert refusal(answer) == (400, {"result": "KO", "errno": 107, "error": "outcomes: a cursor of up to 4096 characters"})


def test_the_times_that_a_sender_reads_are_whole_seconds_and_in_order(sender: Sender, world: World) -> None:
    world.clock.advance(0.4)
    sent = sender.acknowledged()
    app = sender.app
    read = world.browser()("GET", f"/myapps/{app.id}/notifications/{sent}", Authorization=f"Bearer {app.key}").json
    assert world.clock.now() % 1000 > 0
    assert [read["sent"], *(each["at"] for each in read["outcomes"])] == [world.clock.now() // 1000 * 1000] * 2
