"""A user who is shown as offline cannot be distinguished from one without a device: the table of section 5, row by row.

Two services with the same past are asked the same things; in one the person is in the state of a column, in the other they have
no device. The answers must be equal, bytes and effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from dpresence.backends.directory import Directory
from dpresence.backends.mailbox import Mailbox
from dpresence.backends.tracker import Tracker
from dpresence.service.delivery import Delivery
from dpresence.tests.waiting import eventually
from dpresence.tests.web.invisible import ANN, Scene
from dpresence.tests.web.support import World

PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"


# -- the columns: how it comes that a person is shown as offline, at the moment at which somebody else leaves


def leave(scene: Scene) -> None:
    scene.say("offline")
    scene.device.leave()


def pause(scene: Scene) -> None:
    scene.pause(True)


def pause_offline(scene: Scene) -> None:
    scene.say("offline")
    scene.world.advance(3)
    scene.pause(True)


def pause_and_end_offline(scene: Scene) -> None:
    pause_offline(scene)
    scene.world.advance(3)
    scene.pause(False)


def become_invisible(scene: Scene) -> None:
    assert scene.ann("PUT", "/status", {"status": "offline"}).status_int == 200
    scene.world.settle()


def become_invisible_in_grace(scene: Scene) -> None:
    become_invisible(scene)
    scene.device.lose()


def show_only_online(scene: Scene) -> None:
    assert scene.ann("PATCH", f"/grant/{scene.app.id}", {"shows": "reachable"}).status_int == 200
    scene.say("unavailable")


def be_quiet(scene: Scene) -> None:
    weekly = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "to": "24:00"}]
    assert scene.ann("PUT", "/hours", {"zone": "Asia/Tokyo", "weekly": weekly}).status_int == 200
    scene.world.settle()


def pause_in_grace(scene: Scene) -> None:
    scene.device.lose()
    scene.pause(True)


STATES: dict[str, Callable[[Scene], None]] = {
    "connected, offline": lambda scene: scene.say("offline"),
    "paused, online": pause,
    "paused, offline": pause_offline,
    "pause ended, offline": pause_and_end_offline,
    "paused, in grace": pause_in_grace,
    "quiet hours, online": be_quiet,
    "unavailable, shows `reachable`": show_only_online,
    "invisible, online": become_invisible,
    "invisible, in grace": become_invisible_in_grace,
    "in grace": lambda scene: scene.device.lose(),
}


# -- the rows: what an application or its developer can see


def sizes(scene: Scene) -> Iterator[list[int]]:
    """See the counts while the device acknowledges whatever it gets, the queue runs full, and times to live end."""
    yield [answer["queue_size"] for answer in scene.notify(3, ttl=600)]
    scene.acknowledge()
    yield [answer["queue_size"] for answer in scene.notify(2, ttl=1200)]
    scene.acknowledge()
    for _ in range(2):
        yield [answer["queue_size"] for answer in scene.notify(60)]
        scene.acknowledge()
    yield [answer["queue_size"] for answer in scene.notify(1, ttl=0)]


def sizes_later(scene: Scene) -> Iterator[list[int]]:
    """See the counts go down as times to live end, and only so."""
    yield [answer["queue_size"] for answer in scene.notify(4, ttl=600)]
    scene.acknowledge()
    scene.world.clock.advance(599)
    yield [answer["queue_size"] for answer in scene.notify(1)]
    scene.acknowledge()
    scene.world.clock.advance(1)
    scene.world.services.notifications.sweep()
    yield [answer["queue_size"] for answer in scene.notify(1)]


def outcomes(scene: Scene) -> list[Any]:
    """See what becomes of notifications, when and in which order, while a device acknowledges what it got at the worst moments."""
    ids: list[str] = []
    for ttls, before, after in (((2, 86_400), 1, 6), ((600, 601), 599, 5), ((86_400,), 1, 70)):
        for ttl in ttls:
            ids += [answer["id"] for answer in scene.notify(ttl=ttl, outcome=True)]
            scene.world.clock.advance(0.1)
        scene.world.clock.advance(before)
        scene.acknowledge()
        for _ in range(after):
            _pass_second(scene)
    scene.notify(60), scene.notify(60)
    _pass_second(scene)
    told = scene.world.services.outcomes.read(scene.app.id, 0)
    return [[(ids.index(each.id), each.outcome, each.at) for each in told], [scene.get(f"notifications/{id_}")["state"] for id_ in ids]]


def _pass_second(scene: Scene) -> None:
    scene.world.clock.advance(1)
    scene.world.settle()
    scene.world.services.outcomes.run()
    scene.world.settle()


def work(scene: Scene) -> list[str]:
    """Return which methods of the backends are called until a notification is answered."""
    calls: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for role, base in (("directory", Directory), ("tracker", Tracker), ("mailbox", Mailbox)):
            backend = getattr(scene.world.registry.backends, role)
            for name in base.__abstractmethods__:
                patch.setattr(backend, name, _counted(calls, f"{role}.{name}", getattr(backend, name)))
        scene.notify()
        scene.notify(ttl=0)
        return list(calls)


def _counted(calls: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    caller = gevent.getcurrent()

    def call(*arguments: Any, **named: Any) -> Any:
        if gevent.getcurrent() is caller:  # what runs beside it is after the answer
            calls.append(name)
        return real(*arguments, **named)

    return call


def snapshot(scene: Scene) -> list[Any]:
    return scene.world.service(scene.app).take()


SURFACES: dict[str, Callable[[Scene], Any]] = {
    "updates": lambda scene: scene.service.take(),
    "`GET .../presence`: status and `at`": lambda scene: scene.get("presence"),
    "snapshot: entries and order": snapshot,
    "`GET .../now`": lambda scene: scene.get("now", scene.app.owner),
    "`delivered`": lambda scene: [answer["delivered"] for answer in scene.notify(3)],
    "`queue_size`": lambda scene: [list(sizes(scene)), list(sizes_later(scene))],
    "`ttl` 0": lambda scene: scene.notify(2, ttl=0),
    "[outcomes](#outcomes)": outcomes,
    "work before the answer": work,
}
SEEN_IN_GRACE = ("updates", "`GET .../presence`: status and `at`", "snapshot: entries and order", "`GET .../now`", "work before the answer")
"""A person in grace is still shown as reachable: a reconnect is seen by nobody (section 4)."""
_without_device: dict[tuple[tuple[str, ...], bool, float], dict[str, str]] = {}


@pytest.mark.slow
@pytest.mark.parametrize("ack", [True, False])
@pytest.mark.parametrize("state", STATES)
def test_everything_is_as_for_somebody_without_a_device(make_world: Callable[..., World], state: str, ack: bool) -> None:
    rows = tuple(row for row in SURFACES if state != "in grace" or row not in SEEN_IN_GRACE)
    scene = Scene(make_world(), ack)
    STATES[state](scene)
    wanted = seen_without_device(make_world, rows, ack, scene.world.clock.seconds)
    for row in rows:
        assert scene.plain(SURFACES[row](scene)) == wanted[row], f"{row}: {state}"


def seen_without_device(make_world: Callable[..., World], rows: tuple[str, ...], ack: bool, seconds: float) -> dict[str, str]:
    """Return what is seen, at a time, of somebody without a device; several states are compared with the same."""
    if (rows, ack, seconds) not in _without_device:
        scene = Scene(make_world(directory__url="sqlite://"), ack)
        leave(scene)
        scene.world.clock.advance(seconds - scene.world.clock.seconds)
        _without_device[rows, ack, seconds] = {row: scene.plain(SURFACES[row](scene)) for row in rows}
    return _without_device[rows, ack, seconds]


def test_the_protocol_has_this_table() -> None:
    lines = PROTOCOL.read_text().split("### What an application cannot see")[1].split("## 6.")[0].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert head == ["seen", "no device", *STATES]
    assert [row[0] for row in rows] == list(SURFACES)
    for row in rows:
        assert row[2:-1] == ["same"] * (len(STATES) - 1)
        assert (row[-1] == "same") is (row[0] not in SEEN_IN_GRACE)


# -- and the other side of it


def test_a_device_that_is_connected_and_offline_gets_them_all_the_same(make_world: Callable[..., World]) -> None:
    scene = Scene(make_world(), True)
    scene.say("offline")
    scene.device.take()
    assert scene.notify(message="still")[0]["delivered"] is False
    scene.world.settle()
    assert [item["message"] for frame in scene.device.take() for item in frame["notifications"]] == ["still"]


@pytest.mark.slow
def test_nothing_is_sent_to_who_is_shown_as_offline_while_the_application_measures_its_next_calls(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Delivery, "delay_seconds", (2.0, 2.1))
    scene, scheduled = Scene(make_world(), True), []
    scene.say("offline")
    scene.device.take()
    delivery = scene.world.services.delivery
    monkeypatch.setattr(delivery, "schedule", lambda user, real=delivery.schedule: (scheduled.append(user), real(user)))
    for n in range(5):
        scene.notify(message=str(n))
        scene.world.settle()
    assert (scheduled, scene.device.take()) == ([], [])
    eventually(lambda: scheduled)
    scene.world.settle()
    assert len(scheduled) == 1, "one delivery for all of them"
    assert [item["message"] for frame in scene.device.take() for item in frame["notifications"]] == list("01234")


@pytest.mark.slow
def test_a_cancel_changes_nothing_at_a_device_while_the_application_measures_its_next_calls(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, signalled = Scene(make_world(), True), []
    scene.say("offline")
    [sent] = scene.notify(message="never mind")
    scene.world.settle()
    monkeypatch.setattr(Delivery, "delay_seconds", (2.0, 2.1))
    monkeypatch.setattr(scene.world.services.inboxes._tracker, "signal", lambda *signal: signalled.append(signal))
    path = f"/myapps/{scene.app.id}/notifications/{sent['id']}?puid={sent['puid']}"
    assert scene.world.browser()("DELETE", path, Authorization=f"Bearer {scene.app.key}").status_int == 204
    scene.world.settle()
    assert signalled == []
    eventually(lambda: "inbox" in [topic for topic, _ in signalled])


def test_a_person_shown_as_reachable_again_has_the_real_count(make_world: Callable[..., World]) -> None:
    scene = Scene(make_world(), True)
    scene.say("offline")
    scene.acknowledge()
    assert scene.notify()[0]["queue_size"] == 3
    scene.acknowledge()
    scene.world.advance(5)
    scene.say("online")
    assert scene.notify()[0]["queue_size"] == 1


def test_the_count_of_a_person_reachable_in_between_begins_anew_though_nothing_was_sent_then(make_world: Callable[..., World]) -> None:
    scene = Scene(make_world(), True)
    scene.say("offline")
    scene.notify(3)
    scene.acknowledge()
    scene.world.advance(5)
    scene.say("online")
    scene.world.advance(5)
    scene.say("offline")
    assert scene.notify()[0]["queue_size"] == 1


def test_the_end_of_a_pause_while_offline_moves_no_time(make_world: Callable[..., World]) -> None:
    world = make_world()
    app = world.application()
    world.grant(ANN, app)
    before = world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}").json
    ann = world.person(ANN)
    for paused in (True, False):
        world.advance(10)
        ann("PATCH", f"/grant/{app.id}", {"paused": paused})
    assert world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}").json == before
