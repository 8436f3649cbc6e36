"""Greenlets that run beside a crowd: one causes a fault, one checks that the service still answers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import requests

from dpresence.tests.waiting import PATIENCE_SECONDS

from ..live.service import Service
from .support import Figures, p99


class Meanwhile(threading.Thread):
    """Runs something beside the crowd; a context that waits for its end and raises what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # raised by the one who waits
            self._error = error

    def __enter__(self) -> Meanwhile:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join(120)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error


class Probe:
    """A process that asks a service whether it answers until its context ends: a greenlet that lets nobody else run is seen.

    What both spent waiting for a core of a busy machine is taken off. ``seconds`` is how long each answer took, in order of size.
    """

    SCRIPT = """
import sys, threading, time
from pathlib import Path
from dpresence.tests.faults.support import heartbeat
port, *pids = map(int, sys.argv[1:])
over = threading.Event()
threading.Thread(target=lambda: over.set() if not sys.stdin.read() else None, daemon=True).start()
def waited():
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in ("self", *pids)) / 1e9
while not over.wait(0.03):
    before = waited()
    seconds = heartbeat(port)
    print(seconds - (waited() - before))
"""

    def __init__(self, process: Service) -> None:
        self._command = [sys.executable, "-c", self.SCRIPT, str(process.port), str(process.pid)]
        self.seconds: list[float] = []

    def __enter__(self) -> Probe:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            output, _ = self._process.communicate(timeout=60)
        finally:
            self._process.kill()
        self.seconds = sorted(float(line) for line in output.splitlines())

    def tell(self, figures: Figures, name: str) -> None:
        """Note how long a process was deaf."""
        figures.tell(name, f"{len(self.seconds)} heartbeats of the process meanwhile, p99 ms", round(p99(self.seconds) * 1000))
        figures.time(name, "the longest of them", self.seconds[-1], 0.1)


def backends(service: Service) -> tuple[int, dict[str, bool]]:
    """Return the status and the body of the heartbeat."""
    answer = requests.get(f"{service.origin}/__heartbeat__", timeout=PATIENCE_SECONDS)
    return answer.status_code, answer.json()
