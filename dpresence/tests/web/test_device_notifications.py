"""Live notifications as devices get them (section 3)."""

from __future__ import annotations

from typing import Any

import pytest

from dpresence.tests.support import FakeConnection
from dpresence.tests.web.races import Held
from dpresence.tests.web.support import App, World, say

ANN, BOB = "ann@example.org", "bob@example.org"
OK = {"result": "OK"}


def first_frame(world: World, **fields: Any) -> FakeConnection:
    """Return a channel that has signed in, with all that it was sent."""
    channel = world.channel()
    say(channel, assertion=world.assertion(ANN), **fields)
    return channel


def messages(channel: FakeConnection) -> list[str]:
    return [item["message"] for frame in channel.take() for item in frame.get("notifications", [])]


def test_waiting_notifications_come_right_after_the_sign_in_and_are_then_discarded(world: World, app: App, puid: str) -> None:
    world.notify(app, {"puid": puid, "message": "one", "action": "open"}, {"puid": puid, "message": "two", "source": "Bob"})
    channel = first_frame(world)
    assert channel.take() == [
        OK,
        {
            "notifications": [
                {"source": "Chess", "message": "one", "action": "open"},
                {"source": "Bob", "message": "two", "action": ""},
            ]
        },
    ]
    assert first_frame(world).sent == [OK]


def test_an_application_with_a_bank_in_front_of_its_domain_is_named_by_what_it_registered(world: World, app: App, puid: str) -> None:
    long = f"accounts.bank.com.{'security-check-now.' * 9}attacker.org"
    world.registry.backends.directory.change_application(app.id, {"domain": long})
    world.notify(app, {"puid": puid, "message": "one"})
    entry = first_frame(world, ack=True, device="phone").sent[1]["notifications"][0]
    assert (entry["domain"], entry["site"]) == (long, "attacker.org")


def test_a_new_one_comes_as_it_arrives(world: World, app: App, puid: str) -> None:
    channel = world.device(ANN)
    assert world.notify(app, {"puid": puid, "message": "now"})[0]["delivered"] is True
    assert channel.take() == [{"notifications": [{"source": "Chess", "message": "now", "action": ""}]}]


def test_connected_people_get_notifications_whatever_their_status(world: World, app: App, puid: str) -> None:
    channel = world.device(ANN, "offline")
    assert world.notify(app, {"puid": puid, "message": "now"})[0]["delivered"] is False
    world.settle()
    assert messages(channel) == ["now"]


def test_with_ack_they_stay_until_they_are_acknowledged(world: World, app: App, puid: str) -> None:
    sent = world.clock.now()
    answers = world.notify(app, {"puid": puid, "message": "one"}, {"puid": puid, "message": "two"})
    channel = first_frame(world, ack=True, device="phone")
    shown = channel.sent[1]["notifications"]
    names = {"appid": app.id, "domain": world.proof.domain, "site": world.proof.domain}
    assert shown[0] == {"source": "Chess", "message": "one", "action": "", "id": answers[0]["id"], **names, "sent": sent}
    assert channel.receive({"action": "ack", "notifications": [answers[0]["id"]], "id": 5}) == {**OK, "id": 5}
    assert channel.receive({"action": "ack", "notifications": ["unknown", answers[0]["id"]]}) == OK
    channel.lose()
    assert messages(first_frame(world, ack=True, device="phone")) == ["two"]


def test_unacknowledged_notifications_are_not_sent_again_on_the_same_connection(world: World, app: App, puid: str) -> None:
    channel = first_frame(world, ack=True)
    world.notify(app, {"puid": puid, "message": "one"})
    world.notify(app, {"puid": puid, "message": "two"})
    assert messages(channel) == ["one", "two"]


def test_all_connected_devices_get_it_and_the_first_acknowledgement_settles_it(world: World, app: App, puid: str) -> None:
    phone, laptop = first_frame(world, ack=True, device="phone"), first_frame(world, ack=True, device="laptop")
    answer = world.notify(app, {"puid": puid, "message": "both"})[0]
    assert (answer["delivered"], answer["queue_size"]) == (True, 1)
    assert (messages(phone), messages(laptop)) == (["both"], ["both"])
    assert phone.receive({"action": "ack", "notifications": [answer["id"]]}) == OK
    laptop.lose()
    assert messages(first_frame(world, ack=True, device="laptop")) == []


@pytest.mark.parametrize("first", ["phone", "laptop"])
def test_the_first_send_to_a_device_without_ack_settles_it(world: World, app: App, puid: str, first: str) -> None:
    order = ("phone", "laptop") if first == "phone" else ("laptop", "phone")
    channels = {device: first_frame(world, device=device, ack=device == "phone") for device in order}
    careful, plain = channels["phone"], channels["laptop"]
    world.notify(app, {"puid": puid, "message": "both"})
    assert (messages(careful), messages(plain)) == (["both"], ["both"])
    careful.lose()
    assert messages(first_frame(world, ack=True, device="phone")) == []


def test_one_cannot_acknowledge_for_another(world: World, app: App, puid: str) -> None:
    answer = world.notify(app, {"puid": puid, "message": "mine"})[0]
    bob = world.device(BOB)
    assert bob.receive({"action": "ack", "notifications": [answer["id"]]}) == OK
    assert messages(first_frame(world)) == ["mine"]


def test_while_a_grant_is_paused_notifications_queue_and_come_when_the_pause_ends(world: World, app: App, puid: str) -> None:
    ann, channel = world.person(ANN), world.device(ANN)
    ann("PATCH", f"/grant/{app.id}", {"paused": True})
    answer = world.notify(app, {"puid": puid, "message": "later"})[0]
    assert (answer["result"], answer["delivered"], answer["queue_size"]) == ("OK", False, 1)
    assert world.notify(app, {"puid": puid, "ttl": 0})[0]["queue_size"] == 1
    world.settle()
    assert messages(channel) == [] and messages(first_frame(world)) == []
    ann("PATCH", f"/grant/{app.id}", {"paused": False})
    world.settle()
    assert messages(channel) == ["later"]


def test_they_come_in_the_order_in_which_they_were_sent(world: World, app: App, puid: str) -> None:
    for number in range(5):
        world.notify(app, {"puid": puid, "message": str(number)})
    assert messages(first_frame(world)) == ["0", "1", "2", "3", "4"]


def test_what_two_devices_without_ack_take_at_different_times_is_discarded_once(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    late, later = world.device(ANN, device="phone"), []
    monkeypatch.setattr(late, "when_sent", later.append)
    quick = world.device(ANN, device="laptop")
    held = Held(monkeypatch, world.registry.backends.mailbox, "discard_received")
    world.notify(app, {"puid": puid, "message": "both"})
    held.overtake(held.reached.wait, lambda: later[0]())
    world.settle()
    assert messages(late) == messages(quick) == ["both"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_what_is_discarded_while_a_delivery_reads_it_is_not_sent_to_a_device_that_is_connected_again(
    world: World, app: App, puid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, mailbox = world.device(ANN), world.registry.backends.mailbox
    held, pending = Held(monkeypatch, mailbox, "discard_received"), mailbox.pending

    def read(user: str, after: int, limit: int) -> Any:
        found = pending(user, after, limit)
        if limit > 1:
            held.overtake(lambda: None, lambda: None)
            world.settle()
        return found

    world.notify(app, {"puid": puid, "message": "once"})
    assert messages(device) == ["once"]
    device.lose()
    monkeypatch.setattr(mailbox, "pending", read)
    assert messages(first_frame(world)) == []
