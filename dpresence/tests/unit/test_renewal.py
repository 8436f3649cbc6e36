"""The moment of a restart by SIGHUP, in a process of its own, as it is about its signals."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dpresence.tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

RESTART = """
import os, signal, sys
import gevent
from dpresence.renewal import Renewal, restart

os.execve = lambda *arguments: sys.exit("restarted")
renewal = Renewal(lambda: None)
renewal.wanted = True
gevent.signal_handler(signal.{signal}, renewal.cancel)
gevent.sleep(0.01)
os.kill(os.getpid(), signal.{signal})
restart(renewal, os.dup(0))
"""


STOP = """
import sys
import gevent
from dpresence import renewal

renewal.start_error = lambda: gevent.sleep(0.05) or ""
one = renewal.Renewal(lambda: None)
for step in sys.argv[1:]:
    getattr(one, step)()
    gevent.sleep(0.01)
gevent.sleep(0.2)
print(one.wanted)
"""


@pytest.mark.parametrize("steps", [["request", "cancel"], ["cancel", "request"], ["request", "cancel", "request"]])
def test_a_stop_is_heeded_before_while_and_after_a_restart_is_checked(steps: list[str]) -> None:
    command = [sys.executable, "-c", STOP, *steps]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, stdin=subprocess.DEVNULL)
    assert (run.returncode, run.stdout, run.stderr) == (0, "False\n", "")


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_a_stop_right_before_the_restart_is_heeded(signal: str) -> None:
    command = [sys.executable, "-c", RESTART.format(signal=signal)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, stdin=subprocess.DEVNULL)
    assert (run.returncode, run.stderr) == (0, "")
