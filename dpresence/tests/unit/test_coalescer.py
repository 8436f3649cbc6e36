"""Work that is requested often and runs once at a time per key."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from dpresence.errors import BackendUnavailable
from dpresence.service import coalescer
from dpresence.service.coalescer import Coalescer
from dpresence.tasks import enter_job, in_job
from dpresence.tests.waiting import PATIENCE_SECONDS


class Work:
    """Counts its runs by key. A run of a key in ``held`` lasts until its event is set; ``errors`` are raised one after another."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.held: dict[str, Event] = {}
        self.errors: list[Exception] = []

    def __call__(self, key: str) -> None:
        self.runs.append(key)
        if key in self.held:
            self.held[key].wait()
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def runs(work: Work) -> Coalescer:
    return Coalescer("fan-out", work)


def settle(runs: Coalescer, key: str = "") -> None:
    with gevent.Timeout(PATIENCE_SECONDS):
        while runs.running(key):
            gevent.sleep(0)


def test_requests_before_a_run_begins_share_it_and_do_not_block(runs: Coalescer, work: Work) -> None:
    for _ in range(5):
        runs.request("chess")
    assert work.runs == [] and runs.running("chess")
    gevent.sleep(0)
    assert work.runs == ["chess"] and not runs.running("chess")
    runs.request("chess")
    settle(runs, "chess")
    assert work.runs == ["chess", "chess"]


def test_requests_during_a_run_cause_one_more(runs: Coalescer, work: Work) -> None:
    work.held["chess"] = Event()
    runs.request("chess")
    gevent.sleep(0)
    for _ in range(5):
        runs.request("chess")
    gevent.sleep(0)
    assert work.runs == ["chess"], "runs of a key do not overlap"
    work.held.pop("chess").set()
    settle(runs, "chess")
    assert work.runs == ["chess", "chess"]


def test_keys_do_not_wait_for_each_other(runs: Coalescer, work: Work) -> None:
    work.held["chess"] = Event()
    runs.request("chess")
    runs.request("go")
    gevent.sleep(0)
    assert work.runs == ["chess", "go"] and runs.running("chess") and not runs.running("go")
    work.held.pop("chess").set()
    settle(runs, "chess")


def test_a_run_without_its_backend_is_repeated_and_logged_once(
    runs: Coalescer, work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(coalescer, "RETRY_SECONDS", 0.001)
    work.errors = [BackendUnavailable("no tracker")] * 3
    runs.request()
    settle(runs)
    assert len(work.runs) == 4
    assert [record.getMessage() for record in caplog.records] == ["fan-out is delayed: no tracker"]


def test_a_bug_is_logged_with_its_traceback_and_ends_neither_other_keys_nor_later_runs(
    runs: Coalescer, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    work.errors = [RuntimeError("a bug")]
    runs.request("chess")
    runs.request("go")
    settle(runs, "chess")
    settle(runs, "go")
    runs.request("chess")
    settle(runs, "chess")
    assert work.runs == ["chess", "go", "chess"]
    assert [(record.getMessage(), bool(record.exc_info)) for record in caplog.records] == [("fan-out failed", True)]


def test_each_run_begins_after_its_delay(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep, delays = gevent.sleep, iter([0.3, 0.4])
    # other greenlets of this process may wait as well
    monkeypatch.setattr(coalescer.gevent, "sleep", lambda seconds: slept.append(seconds) if seconds in (0.3, 0.4) else sleep(seconds))
    runs = Coalescer("delivery", lambda key: (work(key), runs.request(key) if len(work.runs) == 1 else None), lambda: next(delays))
    runs.request("ann")
    gevent.idle()
    assert (slept, work.runs) == ([0.3, 0.4], ["ann", "ann"])


def test_work_that_a_job_has_requested_is_not_that_of_a_job() -> None:
    seen: list[bool] = []
    runs = Coalescer("a delivery", lambda _: seen.append(in_job()))

    def job() -> None:
        enter_job()
        runs.request("jane")
        settle(runs, "jane")
        assert in_job()

    gevent.spawn(job).get()
    assert seen == [False], "or others who request the same would have the priority of a job"
