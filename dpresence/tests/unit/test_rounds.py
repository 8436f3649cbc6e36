"""Rounds: greenlets that sleep wake up together, near the time that they wanted."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import gevent
import pytest

from dpresence.rounds import ROUND_SECONDS, Rounds, rounds_of
from dpresence.tests.waiting import PATIENCE_SECONDS


class CountedRounds(Rounds):
    """Rounds that count their wake-ups."""

    wake_ups = 0

    def _wake(self) -> None:
        self.wake_ups += 1
        super()._wake()


@pytest.fixture
def rounds() -> Iterator[CountedRounds]:
    made = CountedRounds(gevent.get_hub())
    yield made
    made._stop_timer()


def slept(rounds: Rounds, seconds: float) -> tuple[float, float]:
    """Sleep; return for how long, and by how much the event loop was late."""
    began = time.monotonic()
    late = rounds.sleep(seconds)
    return time.monotonic() - began, late


@pytest.mark.parametrize("seconds", [0.2, 0.25, 0.45, 0.5, 0.9])
def test_a_sleep_ends_in_the_nearest_round(rounds: Rounds, seconds: float) -> None:
    took, late = slept(rounds, seconds)
    assert min(seconds - ROUND_SECONDS / 2, ROUND_SECONDS / 10) - 0.01 <= took
    assert took - late <= seconds + ROUND_SECONDS + 0.01


def test_a_short_sleep_has_no_round(rounds: CountedRounds) -> None:
    took, late = slept(rounds, 0.02)
    assert 0.019 <= took < PATIENCE_SECONDS and late >= 0
    assert not rounds.wake_ups


def test_periodic_work_of_many_greenlets_wakes_the_process_once_in_a_round(rounds: CountedRounds) -> None:
    done: list[float] = []

    def work() -> None:
        while True:
            rounds.sleep(random.uniform(0.45, 0.5))
            done.append(time.monotonic())

    greenlets = [gevent.spawn(work) for _ in range(20)]
    began = time.monotonic()
    gevent.sleep(1.3)
    seconds = time.monotonic() - began
    gevent.killall(greenlets)
    assert len(done) >= 20
    assert rounds.wake_ups <= seconds / ROUND_SECONDS + 1


def test_a_sleeper_that_is_killed_does_not_keep_others(rounds: Rounds) -> None:
    sleepers = [gevent.spawn(rounds.sleep, 0.5) for _ in range(3)]
    gevent.sleep(0)
    sleepers[0].kill()
    with gevent.Timeout(PATIENCE_SECONDS):
        gevent.joinall(sleepers)
    assert [sleeper.successful() for sleeper in sleepers[1:]] == [True, True]
    assert not rounds._waiting


def test_a_sooner_round_does_not_wait_for_a_later_one(rounds: Rounds) -> None:
    order: list[str] = []
    later = gevent.spawn(lambda: (rounds.sleep(1.0), order.append("later")))
    gevent.sleep(0)
    rounds.sleep(0.25)
    order.append("sooner")
    later.join(PATIENCE_SECONDS)
    assert order == ["sooner", "later"]


def test_a_blocked_event_loop_is_late(rounds: Rounds) -> None:
    sleeper = gevent.spawn(rounds.sleep, 0.25)
    gevent.sleep(0)
    time.sleep(3 * ROUND_SECONDS)
    assert sleeper.get() > ROUND_SECONDS


def test_each_event_loop_has_its_rounds() -> None:
    assert rounds_of(gevent.get_hub()) is rounds_of(gevent.get_hub())
