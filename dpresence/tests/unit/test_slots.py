"""Slots that hanging work shares: who waits, who gives way, and that nobody is remembered."""

from __future__ import annotations

import gevent
import pytest

from dpresence.errors import SlowDown
from dpresence.slots import Slots
from dpresence.tests.support import body_of


def settle() -> None:
    for _ in range(4):
        gevent.sleep(0)


class Crowd:
    """Owners whose work goes on until it is asked to give way, or for ever."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.begun: list[str] = []

    def come(self, owner: str, leaves: bool = True, patience: float = 5) -> gevent.Greenlet:
        greenlet = gevent.spawn(self._work, owner, leaves, patience)
        settle()
        return greenlet

    def _work(self, owner: str, leaves: bool, patience: float) -> str:
        try:
            with self.slots.slot(owner, "works", patience) as wanted:
                self.begun.append(owner)
                (wanted if leaves else gevent.event.Event()).wait()
                return "left"
        except SlowDown as refused:
            return refused.error


def test_an_owner_has_so_many_slots_those_they_wait_for_included():
    crowd = Crowd(Slots(3, 2))
    crowd.come("a", leaves=False), crowd.come("a", leaves=False), crowd.come("b", leaves=False)
    assert crowd.come("a").value == "too many of your works"
    crowd.come("b", leaves=False)
    assert crowd.come("b").value == "too many of your works"
    assert crowd.begun == ["a", "a", "b"]


def test_a_newcomer_has_the_slot_of_who_has_held_one_for_the_longest():
    crowd = Crowd(Slots(3, 1))
    first, second, third = (crowd.come(owner) for owner in "abc")
    crowd.come("d"), crowd.come("e")
    assert crowd.begun == ["a", "b", "c", "d", "e"]
    assert [each.value for each in (first, second, third)] == ["left", "left", None]


def test_a_caller_that_comes_while_others_wait_is_asked_to_leave_its_slot_at_once():
    crowd = Crowd(Slots(1, 1))
    slow = crowd.come("slow", leaves=False)
    for owner in "abc":
        crowd.come(owner)
    slow.kill()
    settle()
    assert crowd.begun == ["slow", "a", "b", "c"], "each in turn, though nobody new has come"
    assert not crowd.slots._waiters


def test_where_nobody_leaves_a_slot_in_time_the_newcomer_is_refused_and_leaves_nothing():
    crowd = Crowd(Slots(1, 1))
    slow = crowd.come("slow", leaves=False)
    late = crowd.come("late", patience=0.01)
    assert late.get() == "too many works"
    killed = crowd.come("killed")
    killed.kill()
    slow.kill()
    assert crowd.come("late").value is None and crowd.begun == ["slow", "late"]
    assert crowd.slots._of_owner == {"late": 1} and len(crowd.slots._holders) == 1


def test_a_caller_that_comes_back_at_once_waits_behind_the_earlier_ones():
    crowd = Crowd(Slots(1, 1))
    first = crowd.come("a", leaves=False)
    crowd.come("b", leaves=False)
    first.kill(block=False)
    crowd.come("a", leaves=False)
    assert crowd.begun == ["a", "b"]


def test_a_caller_killed_with_a_slot_just_handed_over_hands_it_on():
    crowd = Crowd(Slots(1, 1))
    first = crowd.come("a", leaves=False)
    second = crowd.come("b")
    crowd.come("c")
    first.kill(block=False), second.kill(block=False)  # in one turn of the loop: it has the slot, and does not know
    settle()
    assert crowd.begun == ["a", "c"]


def test_a_refusal_says_when_to_come_again():
    with pytest.raises(SlowDown) as refused, Slots(1, 0).slot("a", "works", 3):
        pass
    assert body_of(refused.value) == {"result": "KO", "errno": 117, "error": "too many of your works", "retry_after": 3}
