"""Long-lived greenlets: a failure is logged once, with its traceback, and the work starts again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from dpresence import tasks
from dpresence.tasks import Task
from dpresence.tests.waiting import PATIENCE_SECONDS


class Time:
    """The clock and the sleep of ``tasks``. A sleep ends at once; ``pauses`` has its seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    fake = Time()
    monkeypatch.setattr(tasks, "time", fake)
    monkeypatch.setattr(tasks.gevent, "sleep", fake.sleep)
    monkeypatch.setattr(tasks.random, "uniform", lambda least, most: most)
    return fake


def failing(
    times: int, error: Callable[[], BaseException] = lambda: RuntimeError("a bug"), before: Callable[[], Any] = lambda: None
) -> Any:
    """Return work that fails so many times, then returns."""
    left = [times]

    def work() -> None:
        before()
        if left[0]:
            left[0] -= 1
            raise error()

    return work


def run(work: Callable[[], object]) -> None:
    with gevent.Timeout(PATIENCE_SECONDS):
        Task("sweep", work)._greenlet.get()


@pytest.mark.parametrize("error", [RuntimeError("a bug"), gevent.Timeout(1), gevent.GreenletExit()])
def test_work_that_raises_is_logged_once_with_its_traceback_and_starts_again(
    time: Time, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    run(failing(1, lambda: error))
    assert [record.getMessage() for record in caplog.records] == ["sweep failed; starts again in 0.1 s"]
    assert caplog.records[0].exc_info and caplog.records[0].exc_info[1] is error
    assert capsys.readouterr().err == "", "gevent prints nothing besides"


def test_the_pause_doubles_up_to_its_maximum(time: Time) -> None:
    run(failing(7))
    assert time.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]


def test_after_a_long_run_the_pause_is_short_again(time: Time) -> None:
    def long_run() -> None:
        time.now += tasks.LONGEST_PAUSE_SECONDS + 1

    run(failing(3, before=long_run))
    assert time.pauses == [0.1, 0.1, 0.1]


def test_work_that_returns_is_not_started_again(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    run(lambda: calls.append(1))
    assert (calls, time.pauses, caplog.records) == ([1], [], [])


def test_a_task_that_is_stopped_ends_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    running = [Task("sweep", lambda: gevent.sleep(60)), Task("lease", lambda: gevent.sleep(60))]
    gevent.sleep(0)
    tasks.stop(running)
    assert all(task._greenlet.dead for task in running) and not caplog.records


def test_a_task_can_be_stopped_during_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    task = Task("sweep", failing(1000))
    gevent.sleep(0)
    task.stop()
    assert task._greenlet.dead and len(caplog.records) == 1
