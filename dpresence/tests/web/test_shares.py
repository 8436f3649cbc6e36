"""Whose share of the database's queue a request takes: a sender neither waits behind what a recipient does, nor takes what is theirs."""
# ruff: noqa: F811 - fixtures are parameters

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent.event import Event
from msgspec import convert

from dpresence.backends.sql.fair import FairQueue
from dpresence.errors import BackendUnavailable
from dpresence.messages import NewNotification
from dpresence.service.delivery import MAX_UNACKNOWLEDGED
from dpresence.tests.push_service import PushBrowser
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually
from dpresence.tests.web.calls import ROLES, count_calls
from dpresence.tests.web.pushes import ann, app, browser, notify, puid, push_service, run, world  # noqa: F401
from dpresence.tests.web.support import App, World, ko
from dpresence.tests.web.test_tickets import enter, ticket_of

ANN, BOB = "ann@example.org", "bob@example.org"


class FullShare:
    """The share of an account, in which calls wait until there is room."""

    def __init__(self, patch: pytest.MonkeyPatch, user: str) -> None:
        self.room = Event()
        slot = FairQueue.slot

        @contextmanager
        def wait(queue: FairQueue, key: str, urgent: bool = False) -> Iterator[None]:
            assert key != user or self.room.wait(PATIENCE_SECONDS)
            with slot(queue, key, urgent):
                yield

        patch.setattr(FairQueue, "slot", wait)


@pytest.fixture
def keys(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the calls that were made."""
    made: list[str] = []
    slot = FairQueue.slot
    monkeypatch.setattr(FairQueue, "slot", lambda queue, key, urgent=False: made.append(key) or slot(queue, key, urgent))
    return made


def users(world: World) -> list[str]:
    return [user for user, _, _ in world.services.hub.devices()]


def messages(channel: Any) -> list[str]:
    return [item["message"] for frame in channel.take() for item in frame.get("notifications", [])]


def send_unacknowledged(world: World, app: App, puid: str) -> None:
    """Send as many notifications as a device may have without an acknowledgement."""
    for _ in range(MAX_UNACKNOWLEDGED // 100):
        world.clock.advance(60)
        world.notify(app, *[{"puid": puid, "message": "x"} for _ in range(100)])


@pytest.mark.parametrize("ack", [False, True])
def test_a_recipient_who_keeps_their_share_full_delays_neither_a_sender_nor_others_in_the_request(
    world: World,
    app: App,
    monkeypatch: pytest.MonkeyPatch,
    ack: bool,
) -> None:
    puids = [world.grant(email, app) for email in (ANN, BOB)]
    first, second = (world.device(email, ack=ack) for email in (ANN, BOB))
    user = users(world)[0]
    if ack:
        send_unacknowledged(world, app, puids[0])
        first.take()
    share = FullShare(monkeypatch, user)
    answers = gevent.spawn(world.notify, app, *[{"puid": puid, "message": "here"} for puid in puids]).get(timeout=PATIENCE_SECONDS / 2)
    assert [answer["delivered"] for answer in answers] == [True, True]
    assert messages(first) == messages(second) == ["here"]
    share.room.set()
    if not ack:
        eventually(lambda: not world.registry.backends.mailbox.pending(user, 0, 10))


def test_a_device_gets_no_more_while_what_it_was_sent_cannot_be_discarded(
    world: World,
    app: App,
    puid: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    channel = world.device(ANN)
    share = FullShare(monkeypatch, users(world)[0])
    send_unacknowledged(world, app, puid)
    assert not world.notify(app, {"puid": puid, "message": "later"})[0]["delivered"]
    assert len(messages(channel)) <= MAX_UNACKNOWLEDGED
    share.room.set()
    eventually(lambda: "later" in messages(channel))


def test_what_a_sender_causes_counts_for_the_sender(world: World, app: App, puid: str, keys: list[str]) -> None:
    grants = world.registry.backends.directory.grants_by_puid(app.id, [puid])
    owner, enqueue = world.registry.backends.directory.application(app.id).owner, world.registry.backends.mailbox.enqueue
    world.notify(app, {"puid": puid, "message": "the first call with this key"})
    keys.clear()
    world.notify(app, *[{"puid": puid, "message": "x", "outcome": True} for _ in range(100)])
    world.settle()
    assert set(keys) - {""} == {owner, f"public {app.id}"}, "also the check of the full queue"

    def revoke_first(*arguments: Any) -> Any:
        world.services.grants.revoke(grants[puid].user, app.id)
        keys.clear()
        return enqueue(*arguments)

    world.registry.backends.mailbox.enqueue = revoke_first
    world.notify(app, {"puid": puid, "message": "x", "outcome": True})
    assert set(keys) == {owner}, "also the deletion of what came after the revoke"


def fill_share(patch: pytest.MonkeyPatch, owner: str) -> None:
    """Have as many calls of an account wait as may."""
    patch.setattr(FairQueue, "refuses", lambda queue, key, urgent=False: key == owner and not urgent)


SENT_IN_VAIN = {
    "to a user": {},
    "to nobody": {"puid": "nobody"},
    "with a wrong action": {"action": "https://elsewhere.example/"},
    "that is not stored": {"ttl": 0},
    "with an outcome": {"outcome": True},
}


@pytest.mark.parametrize("item", SENT_IN_VAIN)
def test_while_the_share_of_a_sender_is_full_every_notification_is_refused_before_anything_is_read(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch, item: str
) -> None:
    application = world.registry.backends.directory.application(app.id)
    fill_share(monkeypatch, application.owner)
    calls = count_calls(world, monkeypatch, *ROLES)
    with pytest.raises(BackendUnavailable):
        world.services.notifications.notify(application, [convert({"puid": puid, "message": "x", **SENT_IN_VAIN[item]}, NewNotification)])
    with pytest.raises(BackendUnavailable):
        world.services.notifications.cancel(application, SENT_IN_VAIN[item].get("puid", puid), "n_1")
    assert not calls


def test_a_refused_sender_is_answered_201_and_other_developers_are_not(
    world: World,
    app: App,
    puid: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other, service = world.application(world.person("other@example.org"), name="Go"), world.service(app)
    others = world.grant(ANN, other)
    fill_share(monkeypatch, world.registry.backends.directory.application(app.id).owner)
    assert world.notify(other, {"puid": others, "message": "x"})[0]["result"] == "OK"
    answer = service.receive({"action": "notify", "notifications": [{"puid": puid, "message": "x"}], "id": 1})
    assert answer == {**ko(201, "the service is unavailable for a moment"), "retry_after": 5, "id": 1}


BY_A_USER: dict[str, Callable[[World, str, str], object]] = {
    "revoke": lambda world, user, appid: world.services.grants.revoke(user, appid),
    "end of a pause": lambda world, user, appid: world.services.grants.change(user, appid, {"paused": False}),
}


@pytest.mark.parametrize("change", BY_A_USER)
def test_the_effects_of_a_change_count_for_the_user_who_makes_it(world: World, app: App, puid: str, keys: list[str], change: str) -> None:
    user = world.registry.backends.directory.grants_by_puid(app.id, [puid])[puid].user
    world.services.grants.change(user, app.id, {"paused": True, "push": True})
    world.notify(app, {"puid": puid, "message": "x", "outcome": True})
    world.settle()
    keys.clear()
    BY_A_USER[change](world, user, app.id)
    assert set(keys) == {user}


def test_a_device_that_signs_in_with_a_ticket_is_one_queue_with_the_rest_of_its_account(world: World, keys: list[str]) -> None:
    ticket = ticket_of(world.person(ANN))
    user = world.registry.backends.directory.account_of(ANN).id
    keys.clear()
    assert enter(world, ticket)[1] == {"result": "OK"}
    [(_, _, channel)] = world.services.hub.devices()
    assert world.services.accounts.still_signed_in(user, channel.session)
    assert set(keys) == {user}


def test_a_push_counts_for_its_user(world: World, app: App, puid: str, browser: PushBrowser, keys: list[str]) -> None:
    user = world.registry.backends.directory.grants_by_puid(app.id, [puid])[puid].user
    notify(world, app, puid, "Your move")
    keys.clear()
    run(world)
    assert browser.messages == ["Your move"]
    assert user in keys and puid not in keys and f"public {app.id}" not in keys
