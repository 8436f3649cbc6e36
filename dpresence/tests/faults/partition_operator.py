"""``dpresence partitions`` in a process of its own, which may be killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from dpresence.tests.waiting import PATIENCE_SECONDS

_KILLED = """
import os, signal, sys
from dpresence.backends.tracker.partition_keys import PartitionKeys
left, step = int(sys.argv.pop(1)), PartitionKeys.step
def killed(self, *arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *arguments)
PartitionKeys.step = killed
from dpresence.commands.cli import main
sys.exit(main())
"""
"""A command that is killed before a step of a move or a split."""


class Operator:
    """Runs the command with the ini of a service."""

    def __init__(self, ini: Path) -> None:
        self._ini = ini

    def run(self, *words: str, program: tuple[str, ...] = ("-m", "dpresence.commands")) -> subprocess.CompletedProcess[str]:
        """Run the command.

        :param program: arguments of Python instead of those of the real command.
        """
        command = [sys.executable, *program, "--ini", str(self._ini), "partitions", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)

    def succeeds(self, *words: str, beginning: str) -> str:
        """Run the command, check that it succeeds, and return its output."""
        done = self.run(*words)
        assert done.returncode == 0, done
        assert done.stdout.startswith(beginning), done
        return done.stdout

    def is_killed(self, *words: str, at: int) -> None:
        """Run the command, which is killed before a step."""
        done = self.run(*words, program=("-c", _KILLED, str(at)))
        assert done.returncode == -signal.SIGKILL, done
