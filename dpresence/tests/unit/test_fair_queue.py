"""The queue in front of the database: by turns, with a bound for each, and sign-in behind nobody. Positions are counted."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from dpresence.backends.sql.fair import URGENT_IN_A_ROW, FairQueue
from dpresence.errors import BackendUnavailable


def settle() -> None:
    """Let whoever can go on do so."""
    for _ in range(4):
        gevent.sleep(0)


class Calls:
    """Calls through a queue; each ends when ``finish`` says so."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.begun: list[str] = []
        self.refused: list[str] = []
        self.most: dict[str, int] = {}
        self._under_way: dict[str, int] = {}
        self._ending: list[Event] = []

    def call(self, key: str, urgent: bool = False, name: str = "") -> gevent.Greenlet:
        greenlet = gevent.spawn(self._call, key, urgent, name or key)
        settle()
        return greenlet

    def _call(self, key: str, urgent: bool, name: str) -> None:
        try:
            with self.queue.slot(key, urgent):
                self.begun.append(name)
                self._under_way[key] = self._under_way.get(key, 0) + 1
                self.most[key] = max(self.most.get(key, 0), self._under_way[key])
                self._ending.append(Event())
                self._ending[-1].wait()
                self._under_way[key] -= 1
        except BackendUnavailable:
            self.refused.append(name)

    def finish(self, count: int = 1) -> None:
        """Let the calls that began first end."""
        for _ in range(count):
            self._ending.pop(0).set()
            settle()

    def finish_all(self) -> None:
        while self._ending:
            self.finish()


def test_each_key_has_its_turn():
    calls = Calls(FairQueue(1))
    for key in ("a", "a", "a", "a", "b", "b", "c"):
        calls.call(key)
    calls.finish_all()
    assert calls.begun == ["a", "a", "b", "c", "a", "b", "a"]


def test_the_calls_of_one_key_keep_their_order():
    calls = Calls(FairQueue(2))
    for n in range(20):
        calls.call("a", name=f"{n}")
    calls.finish_all()
    assert calls.begun == [f"{n}" for n in range(20)]


def test_a_sign_in_waits_behind_no_notification():
    calls = Calls(FairQueue(2))
    for app in ("app-1", "app-2", "app-3"):
        for _ in range(50):
            calls.call(app)
    calls.call("jane", urgent=True)
    calls.finish_all()
    assert calls.begun.index("jane") == 2, "the two that were under way"


def test_a_person_waits_for_one_call_of_each_application():
    calls = Calls(FairQueue(2))
    for app in ("app-1", "app-2", "app-3"):
        for _ in range(50):
            calls.call(app)
    calls.call("jane")
    calls.finish_all()
    assert calls.begun.index("jane") <= 2 + 3


def test_a_storm_of_sign_ins_does_not_stop_the_others():
    calls = Calls(FairQueue(1))
    for _ in range(100):
        calls.call("sign-in", urgent=True)
    calls.call("jane")
    calls.finish_all()
    assert calls.begun.index("jane") == URGENT_IN_A_ROW


def test_a_queue_is_crowded_while_calls_that_are_not_urgent_wait():
    queue = FairQueue(1)
    calls = Calls(queue)
    calls.call("a")
    calls.call("b", urgent=True)
    assert not queue.crowded
    calls.call("c")
    assert queue.crowded
    calls.finish_all()
    assert not queue.crowded


def test_one_key_holds_so_many_slots_and_some_are_for_urgent_calls():
    calls = Calls(FairQueue(10, reserved=2, each=4))
    for key in ("a", "b", "c"):
        for _ in range(10):
            calls.call(key)
    assert [calls.begun.count(key) for key in "abc"] == [4, 4, 0]
    calls.call("x", urgent=True), calls.call("y", urgent=True), calls.call("z", urgent=True)
    assert calls.begun[8:] == ["x", "y"]
    calls.finish_all()
    assert calls.most == {"a": 4, "b": 4, "c": 4, "x": 1, "y": 1, "z": 1}
    assert len(calls.begun) == 33


def test_a_developer_with_every_kind_of_call_at_once_leaves_connections_for_the_sign_in_of_others():
    calls = Calls(FairQueue(10, reserved=2, each=5, urgent_each=3))
    for _ in range(50):
        calls.call("mallory", urgent=True, name="assertion")
        calls.call("mallory", name="read")
    assert (calls.begun.count("assertion"), calls.begun.count("read")) == (3, 5)
    calls.call("jane", urgent=True), calls.call("joe", urgent=True), calls.call("ann", urgent=True)
    assert calls.begun[8:] == ["jane", "joe"], "neither waits for any call of the developer"
    calls.finish(2)
    assert calls.begun[10:] == ["assertion", "ann"], "the next one lets one waiting call of the developer go first"
    calls.finish_all()
    assert len(calls.begun) == 103


def test_the_services_own_urgent_calls_take_every_slot():
    calls = Calls(FairQueue(10, reserved=2, each=5, urgent_each=3))
    for _ in range(10):
        calls.call("", urgent=True)
    assert len(calls.begun) == 10
    calls.finish_all()


def test_a_full_queue_refuses_whom_it_belongs_to():
    calls = Calls(FairQueue(1, max_waiting_each=10))
    for n in range(15):
        calls.call("app", name=f"{n}")
    calls.call("jane")
    assert calls.refused == ["11", "12", "13", "14"]
    calls.finish_all()
    assert calls.begun == ["0", "1", "jane", *[f"{n}" for n in range(2, 11)]]


@pytest.mark.parametrize("bounds", [{"max_waiting_each": 3}, {"max_calls": 6}])
def test_a_queue_says_whom_it_would_refuse(bounds):
    calls = Calls(queue := FairQueue(1, **bounds))
    calls.call("jane")
    said = []
    for _ in range(8):
        said.append(queue.refuses("app"))
        calls.call("app")
    assert 0 < len(calls.refused) == said.count(True) < 8
    assert not queue.refuses("joe") and not queue.refuses("", urgent=True) and not queue.refuses("")
    calls.call("joe")
    assert "joe" not in calls.refused
    calls.finish_all()


def test_where_all_queues_together_are_full_the_longest_makes_room():
    calls = Calls(FairQueue(1, max_calls=20, max_waiting_each=100))
    for n in range(19):
        calls.call("app", name=f"{n}")
    calls.call("jane")
    assert calls.refused == []
    calls.call("joe")
    assert calls.refused == ["18"]
    calls.call("app", name="19")
    assert calls.refused == ["18", "19"]
    calls.finish_all()
    assert sorted(calls.begun) == sorted([f"{n}" for n in range(18)] + ["jane", "joe"])


def test_urgent_calls_have_a_bound_of_their_own():
    calls = Calls(FairQueue(1, max_calls=3))
    for _ in range(4):
        calls.call("app")
    for n in range(4):
        calls.call(f"person-{n}", urgent=True)
    assert calls.refused == ["app", "person-3"]
    calls.finish_all()


@pytest.mark.parametrize("urgent", [False, True])
def test_a_caller_that_gives_up_leaves_nothing_behind(urgent):
    calls = Calls(FairQueue(1, max_calls=2))
    calls.call("a")
    for _ in range(5):
        waiting = calls.call("b", urgent)
        waiting.kill()
    calls.finish_all()
    for key in ("c", "d"):
        calls.call(key)
    calls.finish_all()
    assert calls.begun == ["a", "c", "d"]


def test_a_caller_interrupted_under_way_gives_the_slot_back():
    calls = Calls(FairQueue(1))
    under_way = calls.call("a")
    calls.call("b")
    under_way.kill()
    settle()
    assert calls.begun == ["a", "b"]


@pytest.mark.parametrize("urgent", [True, False])
def test_the_services_own_call_waits_behind_none_of_many_peoples(urgent):
    calls = Calls(FairQueue(1))
    for n in range(90):
        calls.call(f"person-{n}", urgent)
    calls.call("", urgent, "heartbeat")
    calls.finish(2)
    assert calls.begun[1] == "heartbeat"
    calls.finish_all()


def test_all_calls_of_the_service_come_before_those_of_others():
    calls = Calls(FairQueue(1))
    for key in ("x", "", "a", "", "b", "", "c"):
        calls.call(key, name=key or "own")
    calls.finish_all()
    assert calls.begun == ["x", "own", "own", "own", "a", "b", "c"]


@pytest.mark.parametrize("urgent", [False, True])
def test_no_call_of_the_service_is_refused(urgent):
    calls = Calls(FairQueue(1, max_calls=10, max_waiting_each=3))
    for n in range(12):
        calls.call(f"user-{n}", urgent)
    assert calls.refused
    calls.refused.clear()
    for _ in range(20):
        calls.call("", urgent, "own")
    calls.call("one-more", urgent)
    assert calls.refused == ["one-more"]
    calls.finish_all()
    assert calls.begun.count("own") == 20
