"""Heartbeats of workers to the supervisor: real processes, which are shell scripts, and a clock that the test moves."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dpresence.supervisor import IDLE_SECONDS, START_SECONDS, TRACE_SECONDS, Supervisor
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually
from dpresence.worker import Worker, listen

LEASE = 60
SCRIPT = """
set -- $(echo $DPRESENCE_WORKER | tr , " ")
trap "echo $$ >> {folder}/traces" USR2
trap 'exit 0' TERM
touch {folder}/started-$$
while :; do
    if [ -e {folder}/beat-$$ ]; then rm {folder}/beat-$$; echo $$ 60 > /proc/$$/fd/$2; touch {folder}/sent-$$; fi
    sleep 0.01
done
"""
"""Sends a heartbeat whenever a file asks for one."""


class Run:
    """A supervisor in this process that is stepped by hand."""

    def __init__(self, folder: Path, listener: socket.socket, count: int) -> None:
        self.folder = folder
        self.clock = FakeClock()
        command = ["/bin/sh", "-c", SCRIPT.format(folder=folder)]
        self.supervisor = Supervisor(command, count, listener, clock=self.clock)
        self.supervisor.open_pipes()

    @property
    def workers(self) -> list[int]:
        """The workers that are there, the oldest first."""
        return sorted((pid for pid in self._seen("started") if _runs(pid)), key=lambda pid: self._path("started", pid).stat().st_mtime)

    @property
    def traces(self) -> list[int]:
        """The workers that wrote a stack trace."""
        path = self.folder / "traces"
        return list(map(int, path.read_text().split())) if path.exists() else []

    def step(self, seconds: float = 0.0) -> None:
        """Let time pass as the supervisor sees it."""
        self.supervisor.step()
        while seconds > 0:
            self.clock.advance(min(IDLE_SECONDS, seconds))
            seconds -= IDLE_SECONDS
            self.supervisor.step()

    def sees(self, check: Callable[[], object]) -> None:
        """Step without letting time pass until a check holds."""

        def stepped() -> object:
            self.supervisor.step()
            return check()

        if not check():
            eventually(stepped)

    def beat(self, *pids: int) -> None:
        """Have workers send a heartbeat, and the supervisor take it."""
        for pid in pids:
            self._path("sent", pid).unlink(missing_ok=True)
            self._path("beat", pid).touch()
        self.sees(lambda: all(self._path("sent", pid).exists() for pid in pids))
        self.step()

    def start(self) -> list[int]:
        """Start them all; return their pids."""
        self.sees(lambda: len(self.workers) == 1)
        self.beat(*self.workers)
        self.sees(lambda: len(self.workers) == self.supervisor.count)
        self.beat(*self.workers[1:])
        return self.workers

    def _path(self, what: str, pid: int) -> Path:
        return self.folder / f"{what}-{pid}"

    def _seen(self, what: str) -> list[int]:
        return [int(path.name.rpartition("-")[2]) for path in self.folder.glob(f"{what}-*")]


def _state(pid: int) -> str:
    """Return the letter that the kernel has for the state of a process, Z when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def _runs(pid: int) -> bool:
    return _state(pid) != "Z"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[int], Run]]:
    made: list[Run] = []
    with listen("127.0.0.1", 0, 16) as listener:

        def start(count: int) -> Run:
            made.append(Run(tmp_path, listener, count))
            return made[-1]

        yield start
        for each in made:
            for pid in each.workers:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def test_a_worker_that_falls_silent_writes_a_stack_trace_and_is_replaced(
    run: Callable[[int], Run], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service = run(2)
    silent, other = service.start()
    for _ in range(3):
        service.step(LEASE / 3)
        service.beat(other)
    assert f"Worker {silent} sends no heartbeats, state " in caplog.text
    service.sees(lambda: service.traces == [silent])
    assert silent in service.workers
    service.step(TRACE_SECONDS)
    service.sees(lambda: silent not in service.workers and len(service.workers) == 2)
    assert other in service.workers
    service.sees(lambda: f"Worker {silent} has stopped (signal 9)" in caplog.text)


def test_a_stopped_worker_is_named_as_such_and_goes_on_for_its_stack_trace(
    run: Callable[[int], Run], caplog: pytest.LogCaptureFixture
) -> None:
    service = run(1)
    (worker,) = service.start()
    os.kill(worker, signal.SIGSTOP)
    service.sees(lambda: _state(worker) == "T")
    service.step(LEASE)
    assert f"Worker {worker} sends no heartbeats, state T (stopped)" in caplog.text
    service.sees(lambda: service.traces == [worker])
    service.step(TRACE_SECONDS)
    service.sees(lambda: service.workers and worker not in service.workers)


def test_a_late_heartbeat_does_not_save_a_worker_whose_trace_is_asked_for(run: Callable[[int], Run]) -> None:
    service = run(1)
    (worker,) = service.start()
    service.step(LEASE)
    service.beat(worker)
    service.step(TRACE_SECONDS)
    service.sees(lambda: service.workers and worker not in service.workers)


def test_workers_that_send_heartbeats_stay(run: Callable[[int], Run]) -> None:
    service = run(2)
    workers = service.start()
    for _ in range(20):
        service.step(LEASE - IDLE_SECONDS)
        service.beat(*workers)
    assert service.workers == workers
    assert service.traces == []


def test_a_worker_that_is_not_ready_yet_sends_none_and_has_the_time_of_a_start(run: Callable[[int], Run]) -> None:
    service = run(1)
    service.sees(lambda: len(service.workers) == 1)
    service.step(START_SECONDS - IDLE_SECONDS)
    assert service.traces == []
    service.beat(*service.workers)
    service.step(LEASE - IDLE_SECONDS)
    assert service.traces == []
    service.step(IDLE_SECONDS)
    service.sees(lambda: service.traces == service.workers)


def test_time_in_which_the_supervisor_did_not_run_counts_for_nobody(run: Callable[[int], Run]) -> None:
    """Simulate a suspended machine: the worker that is checked first has had no time either."""
    service = run(2)
    workers = service.start()
    service.clock.advance(3600)
    service.step()
    service.step(LEASE - 2 * IDLE_SECONDS)
    assert (service.workers, service.traces) == (workers, [])


def test_a_heartbeat_never_waits_for_a_supervisor_that_does_not_read() -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    worker = Worker(-1, writes, -1)
    for _ in range(20_000):
        worker.beat(LEASE)
    os.close(reads)
    worker.beat(LEASE)
    os.close(writes)
