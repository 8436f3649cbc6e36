"""Behaviour of a device that the vectors do not cover: bounds, and the moment at which it may be closed."""

from __future__ import annotations

import json
from typing import Any, List

from dpresence_client.acknowledgements import MAX_IDS, MAX_KNOWN, Acknowledgements
from dpresence_client.device_core import DeviceCore
from dpresence_client.outputs import AskCredentials, Connect
from dpresence_client.values import Notification


def notification(id_: str) -> Notification:
    return Notification(id_, "app", "chess.example.org", "example.org", "Chess club", "Your move", "", 1)


def connected() -> DeviceCore:
    core = DeviceCore("ada@example.org", "online", "ticket:t1", lambda: 0.5, {"device": "desk"})
    core.start(0)
    core.opened(0)
    core.received('{"result": "OK", "id": "sign-in"}', 0)
    core.take()
    return core


def kinds(core: DeviceCore) -> List[Any]:
    return [type(output) for output in core.take()]


def test_it_asks_once_also_when_the_connection_ends_during_a_renewal() -> None:
    core = connected()
    core.set_status("unavailable", 1)
    core.received('{"result": "KO", "errno": 130, "error": "ended", "id": "status"}', 1)
    assert AskCredentials in kinds(core)
    core.closed(4202, "the session has ended", 2)
    core.tick(2.5)
    assert kinds(core) == []
    core.credentials("c~a2", 9)
    assert kinds(core) == [Connect]


def test_it_is_settled_when_its_status_and_its_acknowledgements_are_answered() -> None:
    core = connected()
    assert core.settled
    core.set_status("offline", 1)
    assert not core.settled
    core.received('{"result": "OK", "id": "status"}', 2)
    assert core.settled
    core.received(json.dumps({"notifications": [notification("n1")._asdict()]}), 3)
    core.acknowledge(["n1"], 3)
    assert not core.settled
    core.received('{"result": "OK", "id": "ack"}', 4)
    assert core.settled
    core.set_status("online", 5)
    core.closed(1006, "", 6)
    assert core.settled


def test_a_frame_has_no_more_ids_than_fit() -> None:
    acks = Acknowledgements()
    ids = [f"n_{number:016}" for number in range(2 * MAX_IDS + 1)]
    acks.add(map(notification, ids))
    acks.processed(ids)
    sizes = []
    while page := list(acks.next()):
        sizes.append(len(page))
        assert len(json.dumps(page)) < 16 * 1024 - 200
        acks.answered(discard=True)
    assert sizes == [MAX_IDS, MAX_IDS, 1] and acks.settled


def test_it_forgets_the_oldest_that_were_acknowledged_and_no_other() -> None:
    acks = Acknowledgements()
    acks.add([notification("unprocessed"), notification("unacknowledged")])
    acks.processed(["unacknowledged"])
    for number in range(MAX_KNOWN + 10):
        acks.add([notification(str(number))])
        acks.processed([str(number)])
        acks.next()
        acks.answered(discard=True)
    again = acks.add([notification(id_) for id_ in ("0", "unprocessed", str(MAX_KNOWN + 9))])
    assert [one.id for one in again] == ["0"]
