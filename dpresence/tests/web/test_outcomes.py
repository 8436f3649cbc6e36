"""Outcomes of notifications: what becomes of each, in order, and nothing that an application must not see (docs/protocol.md, section 5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dpresence.tests.support import FakeConnection
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import App, Browser, World

BOB = "bob@example.org"
ANN = "ann@example.org"


class Scene:
    """An application that asks for outcomes, and a person who has granted it access."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.app: App = world.application()
        self.puid = world.grant(ANN, self.app)
        self.ann: Browser = world.person(ANN)
        self.service = self.follow()
        self.device: FakeConnection = world.device(ANN, ack=True, device="phone")
        self.told: list[tuple[str, str]] = []
        world.settle()

    def follow(self, outcomes: str = "") -> FakeConnection:
        channel = self.world.service_channel(self.app)
        channel.receive({"action": "auth", "key": self.app.key, "outcomes": outcomes})
        self.world.settle()
        return channel

    def send(self, count: int = 1, **fields: Any) -> list[str]:
        sent = self.world.notify(self.app, *[{"puid": self.puid, "message": str(n), "outcome": True, **fields} for n in range(count)])
        self.world.settle()
        return [each["id"] for each in sent]

    def say(self, action: str, *ids: str) -> None:
        assert self.device.receive({"action": action, "notifications": list(ids)}) == {"result": "OK"}
        self.pass_by(0)

    def pass_by(self, seconds: float) -> None:
        """Let time pass and all jobs run."""
        self.world.advance(seconds)
        self.world.services.outcomes.run()
        self.world.settle()

    def outcomes(self, *ids: str) -> list[str]:
        """Return what the channel was told so far, as the number of the notification and the outcome."""
        for frame in self.service.take():
            self.told += [(each["id"], each["outcome"]) for each in frame.get("outcomes", ())]
        return [f"{ids.index(id_)} {outcome}" for id_, outcome in self.told if id_ in ids]

    def get(self, id_: str, key: str = "") -> Any:
        return self.world.browser()("GET", f"/myapps/{self.app.id}/notifications/{id_}", Authorization=f"Bearer {key or self.app.key}").json


@pytest.fixture
def scene(make_world: Callable[..., World]) -> Scene:
    return Scene(make_world())


def test_a_sender_that_does_not_ask_leaves_no_trace(scene: Scene) -> None:
    asked = scene.world.registry.backends.directory.database.measures
    [plain] = scene.send(outcome=False)
    before = sum(asked.seconds["write"].counts)
    scene.say("ack", plain)
    assert sum(asked.seconds["write"].counts) == before + 1, "the acknowledgement, as before"
    assert scene.outcomes(plain) == [] and scene.get(plain)["errno"] == 110


def test_reports_of_devices_are_told_in_order_and_once(scene: Scene) -> None:
    first, second = scene.send(2)
    scene.say("ack", first, second)
    scene.say("ack", first)
    scene.say("shown", first)
    scene.say("opened", first)
    scene.say("opened", first)
    assert scene.outcomes(first, second) == ["0 delivered", "1 delivered", "0 shown", "0 opened"]
    found = scene.get(first)
    assert (found["id"], found["puid"], found["state"], len(found["outcomes"])) == (first, scene.puid, "opened", 3)


def test_an_opened_notification_was_received(scene: Scene) -> None:
    [one] = scene.send()
    scene.say("opened", one)
    assert scene.outcomes(one) == ["0 delivered", "0 opened"]


def test_a_channel_continues_after_its_cursor(scene: Scene) -> None:
    first, second = scene.send(2)
    scene.say("ack", first)
    [frame] = [frame for frame in scene.service.take() if "outcomes" in frame]
    scene.service.leave()
    scene.say("ack", second)
    scene.service = scene.follow(frame["cursor"])
    assert scene.outcomes(first, second) == ["1 delivered"]
    scene.service = scene.follow()
    assert scene.outcomes(first, second) == ["1 delivered", "0 delivered", "1 delivered"]


def test_a_channel_that_does_not_ask_is_sent_none(scene: Scene) -> None:
    other = scene.world.followed(scene.app)
    [one] = scene.send()
    scene.say("ack", one)
    assert scene.outcomes(one) == ["0 delivered"] and other.sent == []


def test_a_device_without_acknowledgements_counts_as_one_that_has_received(scene: Scene) -> None:
    scene.device.leave()
    scene.world.device(ANN, device="lamp")
    [one] = scene.send()
    eventually(lambda: scene.outcomes(one) == ["0 delivered"])


def test_a_notification_waits_until_it_expires(scene: Scene) -> None:
    scene.device.receive({"email": ANN, "status": "offline"})
    scene.device.leave()
    short, long = scene.send(ttl=60), scene.send(ttl=3600)
    scene.pass_by(50)
    assert scene.outcomes(*short, *long) == [] and scene.get(short[0])["state"] == "waiting"
    scene.pass_by(20)
    assert scene.outcomes(*short, *long) == ["0 expired"]


def test_another_application_learns_nothing(scene: Scene) -> None:
    [one] = scene.send()
    other = scene.world.application(scene.app.owner, name="Go")
    assert scene.world.browser()("GET", f"/myapps/{other.id}/notifications/{one}", Authorization=f"Bearer {other.key}").json["errno"] == 110
    assert scene.get(one, "dpk_wrong")["errno"] == 105


def test_nobody_reports_on_the_notifications_of_others(scene: Scene) -> None:
    [one] = scene.send()
    joe = scene.world.device("joe@example.org", ack=True, device="phone")
    joe.receive({"action": "opened", "notifications": [one]})
    scene.pass_by(5)
    assert scene.outcomes(one) == []


# -- nobody who is hidden can be told from somebody who has no device


def absent(scene: Scene) -> None:
    scene.device.receive({"email": ANN, "status": "offline"})
    scene.device.leave()


def connected_offline(scene: Scene) -> None:
    scene.device.receive({"email": ANN, "status": "offline"})


def invisible(scene: Scene) -> None:
    scene.ann("PUT", "/status", {"status": "offline"})


def come_back(scene: Scene) -> None:
    scene.ann("DELETE", "/status")
    if scene.device.code is not None or scene.device.closed:
        scene.device = scene.world.channel()
        first = {"email": ANN, "assertion": scene.world.assertion(ANN), "status": "online", "ack": True, "device": "phone"}
        scene.device.receive(first)
    else:
        scene.device.receive({"email": ANN, "status": "online"})
    acknowledge(scene)


def acknowledge(scene: Scene) -> None:
    """Let the device acknowledge and open what it got, if it is there."""
    scene.world.settle()
    ids = [item["id"] for frame in scene.device.sent if "notifications" in frame for item in frame["notifications"]]
    if ids and not scene.device.closed:
        scene.device.receive({"action": "opened", "notifications": ids})
    scene.world.settle()


def course(scene: Scene, hide: Callable[[Scene], None]) -> list[Any]:
    """Return everything that an application sees of a person who is hidden, gets notifications, and comes back."""
    hide(scene)
    scene.world.settle()
    seen: list[Any] = []
    ids = [*scene.send(ttl=60), *scene.send(ttl=86_400)]
    for seconds in (1, 30, 40, 3600):
        acknowledge(scene)
        scene.pass_by(seconds)
        seen.append(scene.outcomes(*ids))
    ids += scene.send(100, ttl=86_400)  # the one that is left of the first two makes room
    acknowledge(scene)
    scene.pass_by(5)
    seen.append(sorted(scene.outcomes(*ids)))
    seen.append([scene.get(id_)["state"] for id_ in ids])
    come_back(scene)
    scene.pass_by(5)
    for _ in range(40):
        acknowledge(scene)
        scene.pass_by(60)
    seen.append([scene.get(id_)["state"].replace("opened", "delivered") for id_ in ids])
    return json.loads(json.dumps(seen))


@pytest.mark.slow
@pytest.mark.parametrize("hide", [connected_offline, invisible])
def test_a_hidden_person_looks_like_somebody_without_a_device(make_world: Callable[..., World], hide: Callable[[Scene], None]) -> None:
    there, away = course(Scene(make_world()), hide), course(Scene(make_world()), absent)
    assert there == away
    assert away[2] == ["0 expired"] and away[4] == ["0 expired", "1 dropped"]
    assert away[5] == ["expired", "dropped", *["waiting"] * 100] and away[6] == ["expired", "dropped", *["delivered"] * 100]


def test_a_pause_holds_and_a_revoke_ends_what_waits(scene: Scene) -> None:
    scene.ann("PATCH", f"/grant/{scene.app.id}", {"paused": True})
    scene.world.settle()
    first, second = scene.send(2)
    scene.pass_by(5)
    assert scene.outcomes(first, second) == []
    scene.ann("PATCH", f"/grant/{scene.app.id}", {"paused": False})
    scene.world.settle()
    scene.say("ack", first)
    assert scene.outcomes(first, second) == ["0 delivered"]
    scene.ann("DELETE", f"/grant/{scene.app.id}")
    scene.pass_by(1)
    assert scene.outcomes(first, second) == ["0 delivered", "1 revoked"]
    assert [(each.id, each.outcome) for each in scene.world.services.outcomes.read(scene.app.id, 0)] == [(second, "revoked")]
    assert (scene.get(first)["errno"], scene.get(second)["state"]) == (110, "revoked")  # nothing of the first is stored any more


def test_a_replaced_or_cancelled_notification_ends_so_also_for_somebody_who_hides(scene: Scene) -> None:
    invisible(scene)
    scene.world.settle()
    [first] = scene.send(topic="score")
    [second] = scene.send()
    acknowledge(scene)
    [third] = scene.send(topic="score")
    path = f"/myapps/{scene.app.id}/notifications/{second}?puid={scene.puid}"
    assert scene.world.browser()("DELETE", path, Authorization=f"Bearer {scene.app.key}").status_int == 204
    scene.pass_by(5)
    assert scene.outcomes(first, second, third) == ["0 replaced", "1 cancelled"]


def test_outcomes_that_left_the_mailbox_while_a_process_ended_are_found(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    absent(scene)
    outcomes = scene.world.services.outcomes
    with monkeypatch.context() as patch:  # the process that stored it ended before anything else
        patch.setattr(outcomes, "record_positions", lambda *_: None)
        [first] = scene.send(topic="score", idempotency="1")
    assert scene.send(topic="score", idempotency="1") == [first]
    with monkeypatch.context() as patch:
        patch.setattr(outcomes, "record_end", lambda *_: None)
        [second] = scene.send(topic="score", idempotency="2")
    scene.pass_by(60)
    assert scene.outcomes(first, second) == ["0 dropped"]


def test_a_check_of_ended_notifications_only_logs_no_error(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    absent(scene)
    [first] = scene.send(ttl=10)
    scene.pass_by(10)
    assert (scene.outcomes(first), caplog.records) == (["0 expired"], [])


def test_a_notification_that_was_refused_has_no_outcome(scene: Scene) -> None:
    [first] = scene.send(idempotency="k")
    scene.say("ack", first)
    items = [{"puid": scene.puid, "message": text, "outcome": True, "idempotency": key} for text, key in (("new", "l"), ("other", "k"))]
    url, headers = f"/myapps/{scene.app.id}/notifications", {"Authorization": f"Bearer {scene.app.key}"}
    assert scene.world.browser()("POST", url, items, **headers).json["errno"] == 122
    scene.pass_by(100_000)
    assert [each.id for each in scene.world.services.outcomes.read(scene.app.id, 0)] == [first]


def test_what_a_hidden_person_receives_has_nothing_published_of_another_person(scene: Scene) -> None:
    scene.device.receive({"email": ANN, "status": "offline"})
    puid, device = scene.world.grant(BOB, scene.app), scene.world.device(BOB, ack=True, device="phone")
    device.receive({"email": BOB, "status": "offline"})
    scene.pass_by(0)
    [accomplice] = scene.world.notify(scene.app, {"puid": puid, "message": "1", "outcome": True})
    scene.world.settle()
    device.receive({"action": "ack", "notifications": [accomplice["id"]]})
    scene.pass_by(0)
    device.receive({"email": BOB, "status": "online"})  # so it may be told, at its next check
    scene.world.settle()
    [hidden] = scene.send()
    scene.device.receive({"action": "ack", "notifications": [hidden]})
    scene.world.settle()
    assert scene.outcomes(accomplice["id"], hidden) == []
    scene.pass_by(70)
    assert scene.outcomes(accomplice["id"], hidden) == ["0 delivered"]


def test_a_repeated_notification_is_followed_once(scene: Scene) -> None:
    first, second = scene.send(idempotency="k"), scene.send(idempotency="k")
    assert first == second
    scene.say("ack", *first)
    scene.pass_by(100_000)
    assert [each.outcome for each in scene.world.services.outcomes.read(scene.app.id, 0)] == ["delivered"]
