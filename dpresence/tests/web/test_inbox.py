"""A user's inbox: what is in it, who reads it, and what devices and applications learn of it (docs/protocol.md, sections 3, 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.service import inboxes
from dpresence.tests.web.support import App, Browser, World

ANN, BOB = "ann@example.org", "bob@example.org"


@pytest.fixture
def app(world: World) -> App:
    return world.application()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send the number of unread notifications without a delay."""
    monkeypatch.setattr(inboxes, "_DELAY_SECONDS", 0)


def connected(world: World, **fields: Any) -> Any:
    """Return a device's channel with all that it was sent, the answer first."""
    channel = world.channel()
    channel.receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online", "ack": True, **fields})
    world.settle()
    return channel


def listed(browser: Browser, query: str = "") -> list[str]:
    return [one["message"] for one in browser("GET", f"/notifications{query}").json["notifications"]]


def unread(browser: Browser) -> list[str]:
    answer = browser("GET", "/notifications").json
    found = [one["message"] for one in answer["notifications"] if not one["read"]]
    assert len(found) == answer["unread"]
    return found


def notify(world: World, app: App, puid: str, *messages: str, **more: Any) -> list[str]:
    return [one["id"] for one in world.notify(app, *[{"puid": puid, "message": message, **more} for message in messages])]


def test_an_entry_has_the_proven_domain_and_is_the_persons_alone(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    [sent] = notify(world, app, puid, "Your move", action="open", source="Chess")
    [entry] = world.person(ANN)("GET", "/notifications").json["notifications"]
    domain = world.proof.domain
    assert entry.pop("sent") == world.clock.now()
    assert entry == {
        **{"id": sent, "appid": app.id, "domain": domain, "site": domain, "source": "Chess", "message": "Your move", "action": "open"},
        "read": False,
    }
    bob = world.person(BOB)
    assert listed(bob) == [] and bob("DELETE", f"/notifications/{sent}").json["errno"] == 110
    assert bob("POST", "/notifications/read", {"notifications": [sent]}).json == {"unread": 0}
    assert unread(world.person(ANN)) == ["Your move"]


def test_the_list_is_paged(world: World, app: App) -> None:
    notify(world, app, world.grant(ANN, app), "1", "2", "3")
    ann = world.person(ANN)
    first = ann("GET", "/notifications?limit=2").json
    assert [one["message"] for one in first["notifications"]] == ["3", "2"] and first["unread"] == 3
    assert listed(ann, f"?limit=2&after={first['next']}") == ["1"]
    assert ann("GET", "/notifications?after=x").json["error"] == "after: the `next` of an earlier page"
    assert ann("GET", f"/notifications?after={'9' * 17}").json["errno"] == 107


def test_entries_are_read_deleted_and_cleared(world: World, app: App) -> None:
    ids = notify(world, app, world.grant(ANN, app), "1", "2", "3", "4")
    ann = world.person(ANN)
    assert ann("POST", "/notifications/read", {"notifications": [ids[3], "unknown"]}).json == {"unread": 3}
    assert ann("POST", "/notifications/read", {"until": ids[1]}).json == {"unread": 1}
    assert unread(ann) == ["3"]
    assert ann("DELETE", f"/notifications/{ids[2]}").status_int == 204 and listed(ann) == ["4", "2", "1"]
    assert ann("DELETE", f"/notifications/{ids[2]}").json["errno"] == 110
    assert ann("DELETE", "/notifications").status_int == 204 and listed(ann) == []


@pytest.mark.parametrize("body", [{}, {"notifications": [], "until": "a"}])
def test_one_of_the_two_fields_says_what_was_read(world: World, body: dict[str, Any]) -> None:
    answer = world.person(ANN)("POST", "/notifications/read", body).json
    assert answer == {"result": "KO", "errno": 107, "error": "notifications, until: one of the two"}


def test_a_notification_that_waits_for_the_end_of_a_pause_is_not_shown_before(world: World, app: App) -> None:
    puid, ann = world.grant(ANN, app), world.person(ANN)
    notify(world, app, puid, "before")
    ann("PATCH", f"/grant/{app.id}", {"paused": True})
    notify(world, app, puid, "short", ttl=10)
    notify(world, app, puid, "long")
    assert listed(ann) == ["before"] and ann("GET", "/account").json["inbox"] == ann("GET", "/notifications").json["notifications"]
    world.advance(11)
    ann("PATCH", f"/grant/{app.id}", {"paused": False})
    assert unread(ann) == ["long", "before"]


def test_a_notification_pushed_while_a_pause_ended_is_shown(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    puid, ann = world.grant(ANN, app), world.person(ANN)
    ann("PATCH", f"/grant/{app.id}", {"paused": True})
    mailbox = world.registry.backends.mailbox
    enqueue = mailbox.enqueue

    def resume(*arguments: Any) -> Any:
        monkeypatch.undo()
        ann("PATCH", f"/grant/{app.id}", {"paused": False})
        return enqueue(*arguments)

    monkeypatch.setattr(mailbox, "enqueue", resume)
    notify(world, app, puid, "late")
    assert listed(ann) == ["late"]


def test_a_pause_that_ended_without_the_mailbox_is_made_up_for(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    puid, ann = world.grant(ANN, app), world.person(ANN)
    ann("PATCH", f"/grant/{app.id}", {"paused": True})
    notify(world, app, puid, "held")

    def away(*_: Any) -> None:
        raise BackendUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(world.registry.backends.mailbox, "release", away)
        ann("PATCH", f"/grant/{app.id}", {"paused": False})
        device = connected(world)
        [item] = device.sent[-1]["notifications"]
        device.receive({"action": "ack", "notifications": [item["id"]]})
    assert listed(ann) == []
    world.carry_out()
    assert listed(ann) == ["held"]


def test_the_history_outlives_the_grant_the_application_and_the_receipt(world: World, app: App) -> None:
    puid, ann = world.grant(ANN, app), world.person(ANN)
    device = connected(world)
    notify(world, app, puid, "received")
    device.receive({"action": "ack", "notifications": [device.sent[-1]["notifications"][0]["id"]]})
    ann("PATCH", f"/grant/{app.id}", {"paused": True})
    notify(world, app, puid, "held")
    ann("DELETE", f"/grant/{app.id}")
    app.owner("DELETE", f"/myapps/{app.id}")
    world.carry_out()
    assert unread(ann) == ["received"]


def test_it_is_trimmed_with_the_next_sweep(make_world: Callable[..., World]) -> None:
    world = make_world(presence__inbox_entries="10")
    app = world.application()
    notify(world, app, world.grant(ANN, app), *[f"{n}" for n in range(15)])
    ann, mailbox = world.person(ANN), world.registry.backends.mailbox
    assert len(listed(ann)) == 10 and len(list(mailbox.inbox_records())) == 15
    world.services.notifications.sweep()
    assert len(listed(ann)) == 10 == len(list(mailbox.inbox_records()))
    world.advance(8 * 86_400)
    assert listed(world.person(ANN)) == []
    world.services.notifications.sweep()
    assert list(mailbox.inbox_records()) == []


def test_nothing_that_an_application_sees_depends_on_the_inbox(world: World, app: App) -> None:
    puids = [world.grant(email, app) for email in (ANN, BOB)]
    ann = world.person(ANN)
    for puid in puids:
        notify(world, app, puid, "1", "2")
    ann("POST", "/notifications/read", {"until": ann("GET", "/notifications").json["notifications"][0]["id"]})
    ann("DELETE", "/notifications")
    answers = [{key: one[key] for key in ("queue_size", "delivered")} for puid in puids for one in world.notify(app, {"puid": puid})]
    assert answers == [{"queue_size": 3, "delivered": False}] * 2


# -- devices


def numbers(device: Any) -> list[int]:
    return [frame["unread"] for frame in device.take() if "unread" in frame]


def test_a_device_that_asks_is_sent_the_number_and_others_are_not(world: World, app: App) -> None:
    puid, ann = world.grant(ANN, app), world.person(ANN)
    ids = notify(world, app, puid, "1", "2")
    devices = [connected(world, device=name, inbox=asks) for name, asks in (("a", True), ("b", True), ("c", False))]
    assert [numbers(device)[-1:] for device in devices] == [[2], [2], []]
    devices[0].receive({"action": "read", "notifications": [ids[0], "unknown"], "id": 9})
    world.settle()
    assert devices[0].sent[-2:] == [{"result": "OK", "id": 9}, {"unread": 1}]
    assert [numbers(device)[-1:] for device in devices] == [[1], [1], []]
    notify(world, app, puid, "3")
    world.settle()
    assert [numbers(device)[-1:] for device in devices] == [[2], [2], []]
    ann("DELETE", "/notifications")
    world.settle()
    assert [numbers(device) for device in devices] == [[0], [0], []]


def test_a_read_frame_needs_a_sign_in(world: World) -> None:
    channel: Any = world.channel()
    channel.receive({"action": "read", "notifications": ["n_1"]})
    assert channel.sent[-1]["errno"] == 104


def test_a_notification_that_was_read_is_sent_to_a_device_all_the_same(world: World, app: App) -> None:
    puid, ann = world.grant(ANN, app), world.person(ANN)
    ids = notify(world, app, puid, "1")
    ann("POST", "/notifications/read", {"notifications": ids})
    device = connected(world)
    assert device.sent[-1]["notifications"][0]["id"] == ids[0] and unread(ann) == []
