"""Programs of the service in a fork of a process that has imported it (``warm_process``): a start takes no second of imports.

Everything else is as in a process of its own: the arguments, standard output and error, signals, the exit status. Only the keys of the
development issuer and the tables of SQLite are shared, SQLite calls no fsync, and at its end no object is cleared away. Starts from the
command line are tested by ``test_start``, ``test_serving``, ``test_workers`` and the tests in ``faults``.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from dpresence.tests import shared_tables
from dpresence.tests.live.service import Process, Service, kept_running
from dpresence.tests.waiting import PATIENCE_SECONDS

PSERVE = "dpresence.pserve"
_lock = threading.Lock()


class Fork:
    """A program that was forked: the part of ``subprocess.Popen`` that the tests use.

    :param arguments: those of the command line, the script first.
    :param log: a file to which its standard output and error are appended.
    :param output: a file for its standard output, if it has one of its own.
    :param module: the one whose ``main()`` it calls; its value is the exit status.
    """

    def __init__(self, arguments: list[str], log: Path, output: Path | None = None, module: str = PSERVE) -> None:
        order = {"arguments": arguments, "log": str(log), "output": str(output or log), "module": module}
        self.pid: int = _ask(order | {"environment": dict(os.environ), "folder": os.getcwd()})
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        if self.returncode is None:
            self.returncode = _ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        """Return the exit status once it has ended.

        :raises subprocess.TimeoutExpired: it has not ended after so many seconds.
        """
        until = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.005)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without a warning."""
        self.send_signal(signal.SIGKILL)


class Warm(Process):
    """A ``pserve`` whose process is a fork."""

    def launch(self) -> None:
        """Fork, not waiting for the start."""
        self._process = Fork(self._command, self.log_path)


class WarmService(Warm, Service):
    """A service whose process is a fork."""


def running(folder: Path, **settings: object) -> Any:
    """Return the context of ``service.running`` with a fork."""
    return kept_running(WarmService(folder, {key.replace("__", "."): value for key, value in settings.items()}))


def run(arguments: list[str], log: Path, seconds: float, module: str = PSERVE) -> int:
    """Run a program, append what it prints to a file, and return its exit status.

    :raises AssertionError: it does not end in time.
    """
    fork = Fork(arguments, log, module=module)
    try:
        return fork.wait(seconds)
    except subprocess.TimeoutExpired:
        fork.kill()
        fork.wait(PATIENCE_SECONDS)
        raise AssertionError(f"it did not end within {seconds} s:\n{log.read_text()}") from None


@functools.cache
def _process() -> Any:
    """The process that forks; it ends with this one, which closes its standard input."""
    process: Any = subprocess.Popen([sys.executable, "-m", f"{__name__}_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    revision, serialized = shared_tables.made()
    process.stdin.write(json.dumps([revision, base64.b64encode(serialized).decode()]) + "\n")
    return process


def _ask(order: dict[str, Any]) -> Any:
    """Send an order and return the answer."""
    with _lock:
        process = _process()
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())
