"""The timing wheel: who is due in a round, and that nobody else is touched."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any
from weakref import ref

from dpresence.channels.deadlines import Bucket, Deadlines


class Timed:
    """A connection that counts how often its bucket is read or changed."""

    def __init__(self) -> None:
        self.touched = 0
        self._bucket: Bucket | None = None
        self.previous: Any = None
        self.following: Any = None

    @property
    def bucket(self) -> Bucket | None:
        self.touched += 1
        return self._bucket

    @bucket.setter
    def bucket(self, bucket: Bucket | None) -> None:
        self.touched += 1
        self._bucket = bucket


def settled(deadlines: Deadlines[Timed], now: float, *ats: float) -> list[Timed]:
    """Register connections at ``now`` and settle each at its time."""
    every = [Timed() for _ in ats]
    for one in every:
        deadlines.add(one)
    assert set(deadlines.due(now + 1)) == set(every)
    for one, at in zip(every, ats, strict=True):
        deadlines.settle(one, at)
    return every


def test_a_connection_is_due_in_the_first_round_after_its_time() -> None:
    deadlines = Deadlines[Timed](1.0)
    (one,) = settled(deadlines, 100.0, 125.5)
    assert [deadlines.due(now) for now in (102.0, 124.0, 125.9)] == [[], [], []]
    assert deadlines.due(126.0) == deadlines.due(127.0) == [one], "it is due until it is settled"
    deadlines.settle(one, 140.0)
    assert deadlines.due(139.9) == [] and deadlines.due(140.0) == [one]


def test_a_round_with_nothing_due_touches_no_connection() -> None:
    deadlines = Deadlines[Timed](1.0)
    every = settled(deadlines, 100.0, *[150.0 + number % 10 for number in range(1000)])
    before = [one.touched for one in every]
    for second in range(102, 150):
        assert deadlines.due(float(second)) == []
    assert [one.touched for one in every] == before
    assert len(deadlines.due(150.0)) == 100
    assert [one.touched for one in every] == before


def test_a_connection_that_is_hastened_is_due_in_the_next_round() -> None:
    deadlines = Deadlines[Timed](1.0)
    one, other = settled(deadlines, 100.0, 125.0, 125.0)
    deadlines.hasten(one)
    deadlines.hasten(one)
    assert deadlines.due(102.0) == [one]
    deadlines.hasten(one)
    deadlines.settle(one, 150.0)
    assert deadlines.due(103.0) == [one], "what was hastened during its tick stays so"
    deadlines.settle(one, 150.0)
    assert deadlines.due(125.0) == [other]


def test_a_time_that_is_over_or_never_comes_is_the_next_round_or_a_late_one() -> None:
    deadlines = Deadlines[Timed](1.0)
    over, never = settled(deadlines, 100.0, 1.0, math.inf)
    assert deadlines.due(102.0) == [over]
    deadlines.remove(over)
    assert deadlines.due(102.0 + deadlines.LONGEST_SECONDS) == [never]


def test_only_registered_connections_are_counted_and_due() -> None:
    deadlines = Deadlines[Timed](0.5)
    one, two = settled(deadlines, 100.0, 110.0, 120.0)
    assert len(deadlines) == 2 and set(deadlines) == {one, two}
    deadlines.remove(one)
    deadlines.remove(one)
    deadlines.hasten(one)
    deadlines.settle(one, 105.0)
    assert len(deadlines) == 1 and list(deadlines) == [two] and deadlines.due(130.0) == [two]


def test_rounds_that_are_over_leave_nothing_behind() -> None:
    deadlines = Deadlines[Timed](1.0)
    (one,) = settled(deadlines, 100.0, 101.0)
    for second in range(102, 500):
        assert deadlines.due(float(second)) == [one]
        deadlines.settle(one, float(second))
    assert len(deadlines._buckets) <= 2


def test_a_connection_that_left_a_round_and_came_back_is_due_once() -> None:
    deadlines = Deadlines[Timed](1.0)
    one, other = settled(deadlines, 100.0, 125.0, 125.0)
    for second in (102.0, 103.0):
        deadlines.hasten(one)
        assert deadlines.due(second) == [one]
        deadlines.settle(one, 125.0)
    assert set(deadlines) == set(deadlines.due(125.0)) == {one, other} and len(deadlines) == 2


def test_connections_may_leave_a_round_in_any_order() -> None:
    for order in permutations(range(4)):
        deadlines = Deadlines[Timed](1.0)
        every = settled(deadlines, 100.0, *[125.0] * 4)
        for number, index in enumerate(order, 1):
            deadlines.remove(every[index])
            left = {every[other] for other in order[number:]}
            assert set(deadlines) == set(deadlines.due(125.0)) == left and len(deadlines) == len(left)


def test_a_connection_that_has_left_is_not_referenced() -> None:
    deadlines = Deadlines[Timed](1.0)
    one, two, three = settled(deadlines, 100.0, 125.0, 125.0, 125.0)
    deadlines.remove(two)
    deadlines.hasten(three)
    gone = ref(two)
    del two
    assert gone() is None and set(deadlines) == {one, three}
