"""Notifications whose delivery is overtaken, delayed or cut off: none is lost, shown after a revoke, or sent twice."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from dpresence.backends.mailbox import QueuedNotification, Waiting
from dpresence.errors import BackendUnavailable
from dpresence.model import Notification
from dpresence.tests.support import FakeConnection
from dpresence.tests.waiting import eventually
from dpresence.tests.web.races import Away, Held
from dpresence.tests.web.support import App, World, ko

ANN = "ann@example.org"


def messages(channel: FakeConnection) -> list[str]:
    return [item["message"] for frame in channel.take() for item in frame.get("notifications", [])]


def account(world: World) -> str:
    return world.services.hub.devices()[0][0]


def note(world: World, app: App, puid: str, message: str, user: str) -> QueuedNotification:
    return QueuedNotification(user, Notification(f"n_{message}", app.id, puid, "Chess", message, "", world.clock.now()), 60_000)


def waiting(world: World, app: App, user: str) -> int:
    return sum(item.appid == app.id for _, item in world.registry.backends.mailbox.pending(user, 0, 1000))


def in_the_middle(patch: pytest.MonkeyPatch, owner: object, name: str, act: Callable[[], object], before: bool = False) -> None:
    """Have something happen once, right before or after a method does its work."""
    real, done = getattr(owner, name), []

    def call(*arguments: object) -> object:
        found = None if before else real(*arguments)
        if not done:
            done.append(True)
            act()
        return real(*arguments) if before else found

    patch.setattr(owner, name, call)


# -- one delivery at a time


def test_wakes_for_one_user_do_not_queue_up_behind_a_backend_that_hangs(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, mailbox = world.device(ANN), world.registry.backends.mailbox
    user, deliveries = account(world), []
    deliver = world.services.delivery.deliver
    monkeypatch.setattr(world.services.delivery, "deliver", lambda user: deliveries.append(user) or deliver(user))

    def signal() -> None:
        for _ in range(5):
            for _ in range(100):
                world.registry.backends.tracker.signal("mail", user)
            gevent.sleep(0)
        mailbox.enqueue([note(world, app, puid, "late", user)], 100)

    Held(monkeypatch, mailbox, "pending").overtake(lambda: world.services.delivery.deliver_or_schedule(user), signal)
    world.settle()
    assert messages(channel) == ["late"]
    assert len(deliveries) == 2  # the one that hung, and one for all that came meanwhile


def test_a_signal_for_a_user_who_is_not_here_does_nothing(world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[object] = []
    monkeypatch.setattr(world.registry.backends.mailbox, "pending", lambda *arguments: reads.append(arguments) or [])
    world.registry.backends.tracker.signal("mail", "nobody")
    world.settle()
    assert reads == []


# -- revoked meanwhile


@pytest.mark.parametrize("ack", [True, False])
def test_a_notification_about_to_be_sent_is_not_sent_once_the_grant_is_revoked(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch, ack: bool
) -> None:
    world.notify(app, {"puid": puid, "message": "secret"})
    user = world.registry.backends.directory.grants_by_puid(app.id, [puid])[puid].user
    in_the_middle(monkeypatch, world.registry.backends.mailbox, "pending", lambda: world.services.grants.revoke(user, app.id))
    channel = world.channel()
    channel.receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online", "ack": ack})
    world.settle()
    assert channel.sent == [{"result": "OK"}]


def test_a_notification_stored_right_after_the_grant_was_revoked_is_dropped_and_reported_as_such(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.device(ANN)
    user = account(world)
    revoke = lambda: world.services.grants.revoke(user, app.id)  # noqa: E731
    in_the_middle(monkeypatch, world.registry.backends.mailbox, "enqueue", revoke, before=True)
    assert world.notify(app, {"puid": puid, "message": "secret"}) == [{"puid": puid, **ko(110, "not found")}]
    assert (messages(channel), waiting(world, app, user)) == ([], 0)


def test_it_is_dropped_later_when_the_directory_does_not_say_whether_the_grant_stands(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.device(ANN)
    user, directory = account(world), world.registry.backends.directory
    away = Away(monkeypatch, directory, "grants_by_puid")
    away.back = True

    def revoke() -> None:
        world.services.grants.revoke(user, app.id)
        away.back = False

    in_the_middle(monkeypatch, world.registry.backends.mailbox, "enqueue", revoke, before=True)
    world.notify(app, {"puid": puid, "message": "secret"})
    assert waiting(world, app, user) == 1
    away.back = True
    world.services.retries.flush()
    assert waiting(world, app, user) == 0


# -- backends that go away


def test_a_stored_notification_is_answered_ok_though_the_tracker_is_away_then(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.device(ANN)
    away = Away(monkeypatch, world.registry.backends.tracker, "devices", "signal")
    answer = world.notify(app, {"puid": puid, "message": "kept"})[0]
    away.back = True
    assert (answer["result"], answer["delivered"]) == ("OK", True)
    assert messages(channel) == ["kept"]


def test_of_many_people_one_waits_for_a_mailbox_that_hangs(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [f"u{number}@example.org" for number in range(5)]
    puids, channels = [world.grant(email, app) for email in people], [world.device(email) for email in people]
    mailbox, waited = world.registry.backends.mailbox, []

    def hang(user: str, after: int, limit: int) -> list[Waiting]:
        waited.append(user)
        raise BackendUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(mailbox, "pending", hang)
        patch.setattr(world.services.delivery, "schedule", lambda user: None)
        answers = world.notify(app, *[{"puid": puid, "message": "kept"} for puid in puids])
    assert [answer["result"] for answer in answers] == ["OK"] * 5 and len(waited) == 1
    for user, _, _ in world.services.hub.devices():
        world.services.delivery.deliver_or_schedule(user)
    assert [messages(channel) for channel in channels] == [["kept"]] * 5


def test_a_delivery_that_failed_is_tried_again(world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpresence.service.coalescer.RETRY_SECONDS", 0.02)
    channel = world.device(ANN)
    away = Away(monkeypatch, world.registry.backends.mailbox, "pending")
    assert world.notify(app, {"puid": puid, "message": "kept"})[0]["delivered"] is False
    gevent.sleep(0.05)
    away.back = True
    eventually(lambda: channel.sent)
    assert messages(channel) == ["kept"]


def test_a_notification_that_could_not_be_discarded_is_not_sent_again_and_discarded_later(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpresence.service.coalescer.RETRY_SECONDS", 0.02)
    channel = world.device(ANN)
    user, away = account(world), Away(monkeypatch, world.registry.backends.mailbox, "discard_received")
    world.notify(app, {"puid": puid, "message": "once"})
    world.settle()
    world.services.delivery.deliver_or_schedule(user)
    assert messages(channel) == ["once"] and waiting(world, app, user) == 1
    away.back = True
    eventually(lambda: waiting(world, app, user) == 0)
    world.services.delivery.deliver_or_schedule(user)
    assert messages(channel) == []


def test_a_notification_sent_while_others_are_discarded_is_discarded_as_well(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.device(ANN)
    user, clogged = account(world), Clogged(monkeypatch, channel)
    world.notify(app, {"puid": puid, "message": "slow"})
    clogged.clear()
    held = Held(monkeypatch, world.registry.backends.mailbox, "discard_received")
    clogged.flow()
    held.overtake(held.reached.wait, lambda: world.notify(app, {"puid": puid, "message": "quick"}))
    world.settle()
    assert messages(channel) == ["slow", "quick"] and waiting(world, app, user) == 0


# -- connections that end before all was written


class Clogged:
    """A connection that has taken frames and not written them yet."""

    def __init__(self, patch: pytest.MonkeyPatch, connection: FakeConnection) -> None:
        self._waiting: list[Callable[[], None]] = []
        self._clogged = True
        patch.setattr(connection, "when_sent", lambda function: self._waiting.append(function) if self._clogged else function())

    def clear(self) -> None:
        """Write what comes from now on at once."""
        self._clogged = False

    def flow(self) -> None:
        """Write what waits."""
        for function in self._waiting:
            function()


def test_a_notification_not_written_when_the_connection_ended_is_kept(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.device(ANN)
    user, _ = account(world), Clogged(monkeypatch, channel)
    assert world.notify(app, {"puid": puid, "message": "not written"})[0]["delivered"] is True
    assert waiting(world, app, user) == 1
    channel.lose()
    assert messages(first_frame(world)) == ["not written"]
    world.settle()
    assert waiting(world, app, user) == 0


def test_a_notification_written_later_is_discarded_then_and_sent_once(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.device(ANN)
    user, clogged = account(world), Clogged(monkeypatch, channel)
    world.notify(app, {"puid": puid, "message": "slow"})
    world.services.delivery.deliver_or_schedule(user)
    clogged.flow()
    world.settle()
    assert messages(channel) == ["slow"] and waiting(world, app, user) == 0
    assert messages(first_frame(world)) == []


def test_a_notification_written_right_before_the_connection_ended_is_not_sent_again(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.device(ANN)
    clogged = Clogged(monkeypatch, channel)
    world.notify(app, {"puid": puid, "message": "slow"})
    clogged.flow()
    channel.lose()
    assert messages(first_frame(world)) == []


def test_when_sending_fails_the_notification_is_kept_for_the_next_connection(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.device(ANN)
    monkeypatch.setattr(channel, "send", lambda payload: channel.close(4102, "too slow"))
    assert world.notify(app, {"puid": puid, "message": "kept"})[0]["delivered"] is False
    assert messages(first_frame(world)) == ["kept"]


def test_of_very_many_those_that_were_written_before_it_failed_are_not_sent_again(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.device(ANN)
    user, real, frames = account(world), channel.send, []

    def send(payload: bytes) -> None:
        if frames:
            channel.close(4102, "too slow")
        frames.append(payload)
        real(payload)

    monkeypatch.setattr(channel, "send", send)
    everything = [note(world, app, puid, str(number), user) for number in range(150)]
    world.registry.backends.mailbox.enqueue(everything, 200)
    world.services.delivery.deliver_or_schedule(user)
    first, rest = messages(channel), messages(first_frame(world))
    assert (len(first), len(rest)) == (100, 50)
    assert first + rest == [item.notification.message for item in everything]


def first_frame(world: World) -> FakeConnection:
    """Return a channel that has signed in, with all that it was sent."""
    channel = world.channel()
    channel.receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online"})
    return channel
