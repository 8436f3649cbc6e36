"""Work for one key at a time: those who ask while it runs share the next turn."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from dpresence.errors import BackendUnavailable
from dpresence.service.single_flight import SingleFlight
from dpresence.tests.waiting import PATIENCE_SECONDS


class Work:
    """Waits, each time, until it is let go; fails on request."""

    def __init__(self) -> None:
        self.count = self.running = 0
        self.go = Event()
        self.error: Exception | None = None

    def __call__(self, key: str) -> None:
        self.count += 1
        self.running += 1
        assert self.running == 1
        try:
            self.go.wait(PATIENCE_SECONDS)
            if self.error:
                raise self.error
        finally:
            self.running -= 1


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def flight(work: Work) -> SingleFlight:
    return SingleFlight(work, seconds=5)


def ask(flight: SingleFlight, count: int) -> list[gevent.Greenlet]:
    asked = [gevent.spawn(_outcome, flight) for _ in range(count)]
    gevent.sleep(0)
    return asked


def _outcome(flight: SingleFlight) -> str:
    try:
        flight.run("a")
    except BackendUnavailable:
        return "away"
    except ValueError:
        return "a bug"
    return "done"


def outcomes(asked: list[gevent.Greenlet]) -> list[object]:
    gevent.joinall(asked, timeout=PATIENCE_SECONDS, raise_error=True)
    return [one.value for one in asked]


def test_one_who_asks_gets_what_was_done(flight: SingleFlight, work: Work) -> None:
    work.go.set()
    flight.run("a")
    assert work.count == 1
    flight.run("a")
    assert work.count == 2 and not flight.running("a") and not flight.pending("a")


def test_however_many_ask_while_it_runs_it_runs_once_more(flight: SingleFlight, work: Work) -> None:
    first, others = ask(flight, 1), ask(flight, 100)
    assert flight.running("a") and flight.pending("a") and not flight.running("b")
    work.go.set()
    assert outcomes(first) == ["done"]
    assert outcomes(others) == ["done"] * 100
    assert work.count == 2 and not flight.running("a")


def test_a_call_during_the_second_flight_gets_a_third(flight: SingleFlight, work: Work) -> None:
    asked = ask(flight, 2)
    work.go.set()
    gevent.sleep(0)
    work.go.clear()
    while work.count < 2:
        gevent.sleep(0)
    asked += ask(flight, 2)
    work.go.set()
    assert outcomes(asked) == ["done"] * 4 and work.count == 3


def test_keys_do_not_wait_for_each_other(flight: SingleFlight, work: Work) -> None:
    ask(flight, 1)
    work.running = 0
    other = gevent.spawn(flight.run, "b")
    gevent.sleep(0)
    work.go.set()
    other.get(timeout=PATIENCE_SECONDS)
    assert work.count == 2


@pytest.mark.parametrize(("error", "leader"), [(BackendUnavailable(), "away"), (ValueError(), "a bug")])
def test_a_failure_is_that_of_all_who_shared_it_and_nobody_elses(flight: SingleFlight, work: Work, error: Exception, leader: str) -> None:
    asked = ask(flight, 3)
    work.error = error
    work.go.set()
    assert outcomes(asked) == [leader, leader, "away"]
    work.error = None
    flight.run("a")
    assert work.count == 3


def test_nobody_waits_for_longer_than_the_deadline_and_all_who_do_give_up_together(work: Work) -> None:
    flight = SingleFlight(work, seconds=0.05)
    first, others = ask(flight, 1), ask(flight, 10)
    with gevent.Timeout(PATIENCE_SECONDS):
        assert outcomes(others) == ["away"] * 10
    assert flight.running("a") and not flight.pending("a")
    work.go.set()
    assert outcomes(first) == ["done"]
    flight.run("a")
    assert work.count == 2 and not flight.running("a")


def test_when_the_one_who_waits_is_killed_the_others_get_an_error(flight: SingleFlight, work: Work) -> None:
    first, others = ask(flight, 1), ask(flight, 3)
    others[0].kill()
    assert outcomes(others[1:]) == ["away"] * 2
    work.go.set()
    assert outcomes(first) == ["done"]
    flight.run("a")
    assert work.count == 2 and not flight.running("a")
