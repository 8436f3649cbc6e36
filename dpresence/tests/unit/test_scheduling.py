"""Calls in several greenlets: the caller gets the first exception, and nobody prints a traceback."""

from __future__ import annotations

from collections.abc import Callable, Collection

import gevent
import pytest

from dpresence.errors import BackendUnavailable
from dpresence.service.scheduling import call_together, map_concurrently
from dpresence.tasks import enter_job, in_job

Run = Callable[[Callable[[int], int], Collection[int]], list[int]]


@pytest.mark.parametrize("run", [call_together, map_concurrently])
@pytest.mark.parametrize("error", [BackendUnavailable, gevent.Timeout])
def test_an_unavailable_backend_is_raised_without_a_traceback_in_the_log(
    run: Run, error: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    called = []

    def work(item: int) -> int:
        gevent.sleep(0)
        called.append(item)
        if item > 1:
            raise error
        return item

    with pytest.raises(error):
        run(work, range(5))
    gevent.sleep(0.01)
    assert sorted(called) == list(range(5)), "the other calls are not stopped"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("run", [call_together, map_concurrently])
@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_every_item_is_called_once(run: Run, count: int) -> None:
    assert sorted(run(lambda item: item * 2, range(count))) == [item * 2 for item in range(count)]


@pytest.mark.parametrize("run", [call_together, map_concurrently])
def test_the_calls_of_a_job_are_those_of_a_job(run: Run) -> None:
    def job() -> list[int]:
        enter_job()
        return run(lambda item: (gevent.sleep(0), int(in_job()))[1], range(3))

    assert gevent.spawn(job).get() == [1, 1, 1]
    assert run(lambda item: int(in_job()), range(3)) == [0, 0, 0]
