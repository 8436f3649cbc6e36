"""Control of notifications by their application: topic, cancel, idempotency and urgency (docs/protocol.md, section 5, Control)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import Any

import gevent
import pytest

from dpresence.service import inboxes, notification_control
from dpresence.tests.web.support import App, World
from dpresence.tests.web.test_inbox import ANN, BOB, connected, listed, notify, unread


@pytest.fixture
def app(world: World) -> App:
    return world.application()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "_DELAY_SECONDS", 0)


def post(world: World, app: App, *items: dict[str, Any], key: str = "") -> Any:
    return world.browser()("POST", f"/myapps/{app.id}/notifications", list(items), Authorization=f"Bearer {key or app.key}")


def cancel(world: World, app: App, id_: str, query: str) -> Any:
    return world.browser()("DELETE", f"/myapps/{app.id}/notifications/{id_}{query}", Authorization=f"Bearer {app.key}")


def messages(channel: Any) -> list[str]:
    return [item["message"] for frame in channel.sent for item in frame.get("notifications", ())]


def test_a_notification_replaces_the_waiting_one_of_its_topic(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    for text in ("3:1", "3:2"):
        notify(world, app, puid, text, topic="score")
    notify(world, app, puid, "Half-time")
    assert unread(world.person(ANN)) == ["Half-time", "3:2"]
    assert messages(connected(world)) == ["3:2", "Half-time"]


def test_a_cancelled_notification_disappears_unless_it_was_read(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    ids = notify(world, app, puid, "one", "two")
    ann = world.person(ANN)
    ann("POST", "/notifications/read", {"notifications": ids[1:]})
    assert [cancel(world, app, each, f"?puid={puid}").status_int for each in (*ids, ids[0], "n_never")] == [204] * 4
    assert listed(ann) == ["two"] and messages(connected(world)) == []
    [again] = world.notify(app, {"puid": puid})
    assert again["queue_size"] == 1


def test_a_cancel_tells_devices_the_number_of_unread_notifications(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    device = connected(world, inbox=True)
    [sent] = notify(world, app, puid, "one")
    world.settle()
    cancel(world, app, sent, f"?puid={puid}")
    world.settle()
    assert device.sent[-1] == {"unread": 0}


def test_a_cancel_names_one_puid_of_the_application(world: World, app: App) -> None:
    other = world.application()
    puid, theirs = world.grant(ANN, app), world.grant(ANN, other)
    [sent] = notify(world, other, theirs, "hi")
    for query in ("", f"?puid={puid}&puid={puid}"):
        answer = cancel(world, app, sent, query)
        assert answer.json == {"result": "KO", "errno": 107, "error": "puid: one, that of the notification"}
    assert cancel(world, app, sent, f"?puid={theirs}").json == {"result": "KO", "errno": 110, "error": "not found"}
    assert cancel(world, app, sent, f"?puid={puid}").status_int == 204 and unread(world.person(ANN)) == ["hi"]


def test_a_repeated_send_is_the_same_on_the_channel_and_by_rest(world: World, app: App) -> None:
    item = {"puid": world.grant(ANN, app), "message": "Your move", "idempotency": "move-7"}
    first = post(world, app, item).json["notifications"]
    service = world.followed(app)
    second = service.receive({"action": "notify", "notifications": [item]})["notifications"]
    device = connected(world)
    third = post(world, app, item).json["notifications"]
    assert [each["id"] for [each] in (first, second, third)] == [first[0]["id"]] * 3
    assert first == second and messages(device) == ["Your move"] and listed(world.person(ANN)) == ["Your move"]


def test_a_key_belongs_to_one_puid_and_to_one_content(world: World, app: App) -> None:
    ann, bob = world.grant(ANN, app), world.grant(BOB, app)
    items = [{"puid": puid, "message": "hi", "idempotency": "k"} for puid in (ann, bob)]
    assert len({each["id"] for each in post(world, app, *items).json["notifications"]}) == 2
    refused = post(world, app, {"puid": ann, "message": "new"}, {**items[0], "message": "ho"})
    error = "idempotency: k was used for another notification of this PUID within a day"
    assert (refused.status_int, refused.json) == (409, {"result": "KO", "errno": 122, "error": error})
    assert listed(world.person(ANN)) == ["hi"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"topic": "a b"}, "notifications[0].topic: 1 to 32 of A-Z a-z 0-9 _ -"),
        ({"topic": "x" * 33}, "notifications[0].topic: 1 to 32 of A-Z a-z 0-9 _ -"),
        ({"idempotency": ""}, "notifications[0].idempotency: 1 to 64 printable ASCII characters, without spaces"),
        ({"urgency": "urgent"}, "notifications[0].urgency: one of very-low, low, normal, high"),
        ({"topic": "x", "ttl": 0}, "notifications[0].topic, idempotency: not with a ttl of 0"),
    ],
)
def test_a_wrong_field_is_refused(world: World, app: App, fields: dict[str, Any], error: str) -> None:
    answer = post(world, app, {"puid": world.grant(ANN, app), **fields})
    assert (answer.status_int, answer.json) == (400, {"result": "KO", "errno": 107, "error": error})


@pytest.mark.parametrize("name", ["topic", "idempotency"])
def test_a_name_is_not_there_twice_for_one_puid(world: World, app: App, name: str) -> None:
    item = {"puid": world.grant(ANN, app), name: "x"}
    assert post(world, app, item, item).json == {
        "result": "KO",
        "errno": 107,
        "error": f"notifications[1].{name}: twice for one PUID in one request",
    }


@pytest.mark.parametrize("presence", ["absent", "invisible"])
def test_answers_to_an_application_do_not_depend_on_what_an_invisible_person_received(world: World, app: App, presence: str) -> None:
    puid = world.grant(ANN, app)
    device = connected(world) if presence == "invisible" else None
    if device:
        world.person(ANN)("PUT", "/status", {"status": "offline"})
    answers = []
    for fields in ({"topic": "score"}, {"idempotency": "k"}, {}, {"topic": "score"}, {"idempotency": "k"}):
        [answer] = world.notify(app, {"puid": puid, "message": "hi", **fields})
        answers.append(answer)
        for _ in range(3):
            world.advance(2)
        if device:
            ids = [item["id"] for frame in device.sent for item in frame.get("notifications", ())]
            device.receive({"action": "ack", "notifications": ids})
    assert [(each["queue_size"], each["delivered"]) for each in answers] == [(n, False) for n in (1, 2, 3, 3, 3)]
    assert cancel(world, app, answers[2]["id"], f"?puid={puid}").status_int == 204
    assert world.notify(app, {"puid": puid})[0]["queue_size"] == 3
    if device:
        assert len(messages(device)) >= 4, "they have received all of them"


def cleared(channel: Any) -> list[list[str]]:
    return [frame["cleared"] for frame in channel.sent if "cleared" in frame]


def test_a_notification_read_on_one_device_is_cleared_on_those_that_asked_for_it(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    phone, desk, plain = (connected(world, device=name, clears=name != "plain") for name in ("phone", "desk", "plain"))
    ids = notify(world, app, puid, "one", "two", "three")
    world.settle()
    phone.receive({"action": "ack", "notifications": ids})
    world.settle()
    assert cleared(desk) == [], "it is not read"
    desk.receive({"action": "read", "notifications": ids[:2]})
    world.settle()
    assert [cleared(phone), cleared(desk), cleared(plain)] == [[ids[:2]], [ids[:2]], []]
    cancel(world, app, ids[2], f"?puid={puid}")
    world.settle()
    assert cleared(phone)[1:] == [ids[2:]]


def test_a_replaced_notification_is_cleared(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    phone = connected(world, clears=True)
    [first] = notify(world, app, puid, "3:1", topic="score")
    notify(world, app, puid, "3:2", topic="score")
    world.settle()
    assert cleared(phone) == [[first]] and messages(phone) == ["3:1", "3:2"]


def test_a_device_that_does_not_acknowledge_and_a_service_without_inboxes_clear_nothing(make_world: Any) -> None:
    world = make_world(presence__inbox_days="0")
    app = world.application()
    puid = world.grant(ANN, app)
    phone, plain = connected(world, clears=True, device="phone"), connected(world, clears=True, ack=False, device="plain")
    [sent] = notify(world, app, puid, "one")
    cancel(world, app, sent, f"?puid={puid}")
    world.settle()
    assert cleared(phone) == cleared(plain) == []


def test_a_developer_whose_sources_take_long_to_check_lets_others_have_their_turn(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, turns = [], []

    def check(source: str, domain: str) -> str:
        until = perf_counter() + 0.006
        while perf_counter() < until:
            pass
        checked.append(source)
        return ""

    def watch() -> None:
        while True:
            turns.append(len(checked))
            gevent.sleep(0.0001)  # a timer, which runs only when the event loop also looks at sockets

    monkeypatch.setattr(notification_control, "refusal", check)
    watcher = gevent.spawn(watch)
    items = [{"puid": "x", "message": "hi", "source": str(n)} for n in range(10)]
    requests = [gevent.spawn(world.notify, app, *items) for _ in range(5)]
    gevent.joinall(requests, raise_error=True)
    watcher.kill()
    steps = [after - before for before, after in pairwise(turns)]
    assert len(checked) == 50 and max(steps) == 1, "one slice in each turn of the loop, however many requests there are"


def test_a_repeat_of_what_expired_unseen_is_not_delivered(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    once = {"puid": puid, "message": "one", "ttl": 10, "idempotency": "k"}
    [first] = world.notify(app, once)
    world.advance(11)
    device = connected(world)
    assert world.notify(app, {"puid": puid, "message": "two"})[0]["delivered"] is True
    [again] = world.notify(app, once)
    assert (again["id"], again["delivered"]) == (first["id"], False) and messages(device) == ["two"]


def test_a_repeat_of_what_a_device_has_not_acknowledged_yet_is_delivered(world: World, app: App) -> None:
    puid, device = world.grant(ANN, app), connected(world)
    once = {"puid": puid, "message": "one", "idempotency": "k"}
    assert [answer["delivered"] for _ in range(2) for answer in world.notify(app, once)] == [True, True]
    assert messages(device) == ["one"]


def test_a_notification_whose_grant_was_paused_before_it_was_sent_is_not_delivered(
    world: World, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    puid, device = world.grant(ANN, app), connected(world)
    send = world.services.notifications._send
    pause = partial(world.person(ANN), "PATCH", f"/grant/{app.id}", {"paused": True})
    monkeypatch.setattr(world.services.notifications, "_send", lambda accepted: (pause(), send(accepted)))
    assert world.notify(app, {"puid": puid, "message": "one"})[0]["delivered"] is False
    assert messages(device) == []
