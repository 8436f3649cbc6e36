"""Coalesced timers: greenlets that sleep wake up together, near the time that they wanted."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import gevent
import pytest

from dpresence.coalesced_timers import INTERVAL_SECONDS, CoalescedTimers, timers_of
from dpresence.tests.waiting import PATIENCE_SECONDS


class CountedTimers(CoalescedTimers):
    """CoalescedTimers that count their wake-ups."""

    wake_ups = 0

    def _wake(self) -> None:
        self.wake_ups += 1
        super()._wake()


@pytest.fixture
def timers() -> Iterator[CountedTimers]:
    made = CountedTimers(gevent.get_hub())
    yield made
    made._stop_timer()


def slept(timers: CoalescedTimers, seconds: float) -> tuple[float, float]:
    """Sleep; return for how long, and by how much the event loop was late."""
    began = time.monotonic()
    late = timers.sleep(seconds)
    return time.monotonic() - began, late


@pytest.mark.parametrize("seconds", [0.2, 0.25, 0.45, 0.5, 0.9])
def test_a_sleep_ends_at_the_nearest_common_time(timers: CoalescedTimers, seconds: float) -> None:
    took, late = slept(timers, seconds)
    assert seconds - INTERVAL_SECONDS / 2 - 0.01 <= took
    assert took - late <= seconds + INTERVAL_SECONDS / 2 + 0.01


def test_a_short_sleep_is_not_coalesced(timers: CountedTimers) -> None:
    took, late = slept(timers, 0.02)
    assert 0.019 <= took < PATIENCE_SECONDS and late >= 0
    assert not timers.wake_ups


@pytest.mark.slow
def test_periodic_work_of_many_greenlets_wakes_the_process_once_in_an_interval(timers: CountedTimers) -> None:
    done: list[float] = []

    def work() -> None:
        while True:
            timers.sleep(random.uniform(0.45, 0.5))
            done.append(time.monotonic())

    greenlets = [gevent.spawn(work) for _ in range(20)]
    began = time.monotonic()
    gevent.sleep(1.3)
    seconds = time.monotonic() - began
    gevent.killall(greenlets)
    assert len(done) >= 20
    assert timers.wake_ups <= seconds / INTERVAL_SECONDS + 1


def test_a_sleeper_that_is_killed_does_not_keep_others(timers: CoalescedTimers) -> None:
    sleepers = [gevent.spawn(timers.sleep, 0.5) for _ in range(3)]
    gevent.sleep(0)
    sleepers[0].kill()
    with gevent.Timeout(PATIENCE_SECONDS):
        gevent.joinall(sleepers)
    assert [sleeper.successful() for sleeper in sleepers[1:]] == [True, True]
    assert not timers._waiting


def test_a_sooner_time_does_not_wait_for_a_later_one(timers: CoalescedTimers) -> None:
    order: list[str] = []
    later = gevent.spawn(lambda: (timers.sleep(1.0), order.append("later")))
    gevent.sleep(0)
    timers.sleep(0.25)
    order.append("sooner")
    later.join(PATIENCE_SECONDS)
    assert order == ["sooner", "later"]


def test_a_blocked_event_loop_is_late(timers: CoalescedTimers) -> None:
    sleeper = gevent.spawn(timers.sleep, 0.25)
    gevent.sleep(0)
    time.sleep(3 * INTERVAL_SECONDS)
    assert sleeper.get() > INTERVAL_SECONDS


def test_each_event_loop_has_its_timers() -> None:
    assert timers_of(gevent.get_hub()) is timers_of(gevent.get_hub())
