"""The desktop example as a program on a bus of its own, with a stand-in for logind on it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from typing import Any, Self

from dpresence.tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]
DESKTOP = ROOT / "examples" / "desktop" / "desktop.py"
LOGIND = Path(__file__).with_name("logind.py")


class Program:
    """A process that is spoken to in lines; a context that ends it."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, **pipes)
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line.strip())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()

    def say(self, line: str) -> None:
        """Write a line."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def line(self) -> str:
        """Return the next line that it prints."""
        return self._lines.get(timeout=PATIENCE_SECONDS)


class Computer:
    """A bus with a logind, and programs of its user; a context that ends all of them.

    :param folder: the user's configuration.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with self._open:
            bus = Program(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--address=unix:tmpdir=/tmp", "--print-address"])
            self._open.enter_context(bus)
            self.address = bus.line()
            self.logind = self._open.enter_context(Program([sys.executable, str(LOGIND), self.address]))
            assert self.logind.line() == "ready"
            self._open = self._open.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def desktop(self, origin: str) -> Program:
        """Start the example."""
        environment = {
            "DBUS_SYSTEM_BUS_ADDRESS": self.address,
            "XDG_CONFIG_HOME": str(self.folder),
            "PYTHONPATH": str(ROOT / "clients" / "python"),
        }
        return self._open.enter_context(Program([sys.executable, str(DESKTOP), "--service", origin], environment))
