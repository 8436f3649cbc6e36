"""The supervisor with workers that are shell scripts: what the live tests would take too long to see."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dpresence.errors import SettingError
from dpresence.tests.systemd import SystemdSocket
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually
from dpresence.worker import listen, not_free

PROGRAM = """
import logging, sys
from dpresence import supervisor, worker
logging.basicConfig(level=logging.INFO, format="%(message)s")
for name in ("SHORTEST_PAUSE", "START_SECONDS"):
    setattr(supervisor, name, float(sys.argv.pop(1)))
script, count, stop = sys.argv[1:]
listener = worker.listen("127.0.0.1", 0, 16)
sys.exit(supervisor.Supervisor(["/bin/sh", "-c", script], int(count), listener, stop_seconds=float(stop)).run())
"""
READY = 'set -- $(echo $DPRESENCE_WORKER | tr , " "); trap "echo a stack trace" USR2; eval "echo $$ 60 >&$2"; '
"""Start of each script; a shell accepts file descriptors of one digit only."""
SLEEP = "while :; do sleep 0.02; done"


class Run:
    """A supervisor as a process, with its log in a file."""

    def __init__(self, log: Path, script: str, count: int = 2, pause: float = 0.05, start: float = 60, stop: float = 60) -> None:
        self._log = log
        command = [sys.executable, "-c", PROGRAM, str(pause), str(start), script, str(count), str(stop)]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def pids(self, words: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf"Worker (\d+) {words}", self.log)]

    def wait(self) -> int:
        return self.process.wait(60)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    made: list[Run] = []

    def start(script: str, **options: float) -> Run:
        made.append(Run(tmp_path / "log", script, **options))
        return made[-1]

    yield start
    for each in made:
        each.process.kill()
        each.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemdSocket]:
    """Stand in for systemd with a watchdog; used by the supervisors that are started after it."""
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    with SystemdSocket(f"{tmp_path}/notify") as systemd:
        yield systemd


def test_it_ends_with_status_0_when_all_have_stopped(run: Callable[..., Run]) -> None:
    service = run(READY + "trap 'exit 0' TERM; " + SLEEP)
    eventually(lambda: len(service.pids("is ready")) == 2)
    assert service.stop() == 0
    assert sorted(service.pids(r"has stopped \(exit status 0\)")) == sorted(service.pids("is ready"))


@pytest.mark.slow
def test_a_worker_that_does_not_stop_in_time_is_killed(run: Callable[..., Run]) -> None:
    service = run(READY + "trap '' TERM; " + SLEEP, count=1, stop=0.3)
    eventually(lambda: service.pids("is ready"))
    assert service.stop() == 0
    assert service.pids("takes too long") == service.pids("gets SIGKILL") == service.pids("is ready")
    assert service.pids(r"has stopped \(signal 9\)") == service.pids("is ready")
    assert service.log.count("a stack trace\n") == 1


@pytest.mark.slow
def test_a_worker_that_is_not_ready_in_time_is_killed_and_ends_the_start(run: Callable[..., Run]) -> None:
    service = run("trap '' USR2; " + SLEEP, start=0.2)
    assert service.wait() == 1
    assert service.pids("takes too long") == service.pids("gets SIGKILL") == service.pids(r"ended before it was ready \(signal 9\)") != []


def test_the_first_to_fail_ends_the_start_with_its_status_and_is_the_only_one(run: Callable[..., Run]) -> None:
    service = run("echo why; exit 3", count=4)
    assert service.wait() == 3
    assert service.log == "why\n"


def test_a_later_one_that_fails_at_the_start_ends_all(run: Callable[..., Run], tmp_path: Path) -> None:
    service = run(f"mkdir {tmp_path}/first || exit 3; {READY} trap 'exit 0' TERM; {SLEEP}", count=2)
    assert service.wait() == 3
    assert service.pids(r"has stopped \(exit status 0\)") == service.pids("is ready") != []


@pytest.mark.slow
def test_workers_that_die_early_again_and_again_are_started_ever_later(run: Callable[..., Run]) -> None:
    service = run(READY + "sleep 0.1; exit 5", count=1)
    eventually(lambda: len(service.pids("died")) == 4)
    assert re.findall(r"died \(exit status 5\); its replacement starts in (.*) s", service.log)[:4] == ["0.05", "0.1", "0.2", "0.4"]
    assert service.stop() == 0


@pytest.mark.slow
def test_all_are_replaced_one_after_the_other(run: Callable[..., Run], systemd: SystemdSocket) -> None:
    service = run(f"test -z $NOTIFY_SOCKET || exit 9; {READY} trap 'exit 0' TERM; {SLEEP}", count=3)
    eventually(lambda: len(service.pids("is ready")) == 3)
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(service.pids("has stopped")) == 3)
    assert sorted(service.pids("has stopped")) == sorted(service.pids("is ready")[:3])
    events = re.findall(r"is ready|has stopped", service.log)
    assert events == ["is ready"] * 3 + ["is ready", "has stopped"] * 3
    eventually(lambda: systemd.states() == ["READY=1", "RELOADING=1", "READY=1"])
    assert service.stop() == 0
    assert systemd.states() == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert "WATCHDOG=1" in systemd.received()


@pytest.mark.slow
def test_a_successor_that_dies_leaves_the_old_ones(run: Callable[..., Run], tmp_path: Path, systemd: SystemdSocket) -> None:
    service = run(f"test ! -e {tmp_path}/broken || exit 1; {READY} trap 'exit 0' TERM; {SLEEP}")
    eventually(lambda: len(service.pids("is ready")) == 2)
    (tmp_path / "broken").touch()
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: "the running workers are not replaced" in service.log)
    eventually(lambda: systemd.states() == ["READY=1", "RELOADING=1", "READY=1"])
    time.sleep(0.3)
    assert service.log.count("exit status 1") == 1
    assert service.pids("has stopped") == []
    (tmp_path / "broken").unlink()
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(service.pids("has stopped")) == 2)
    assert service.stop() == 0


def test_an_address_that_is_taken_is_refused_by_name() -> None:
    with listen("127.0.0.1", 0, 16) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError) as refused:
            listen("127.0.0.1", port, 16)
    assert str(refused.value) == f"port = {port}, host = 127.0.0.1: must be free to listen on (Address already in use)"


def test_a_port_that_only_root_may_use_is_refused_as_such() -> None:
    refused = not_free("127.0.0.1", 443, PermissionError(13, "Permission denied: ('127.0.0.1', 443)"))
    assert str(refused) == "port = 443, host = 127.0.0.1: must be permitted to this user, as ports from 1024 are (Permission denied)"


def test_the_socket_is_inherited_and_the_supervisors_end_of_the_lifeline_is_not(run: Callable[..., Run]) -> None:
    service = run(READY + "ls -l /proc/$$/fd; trap 'exit 0' TERM; " + SLEEP, count=1)
    eventually(lambda: service.pids("is ready"))
    assert service.stop() == 0
    assert service.log.count("socket:[") == 1
    assert service.log.count("pipe:[") == 2
