"""SIGHUP for a single process: it checks what it would start anew with, drains, and becomes that (docs/decisions/0014-renewal.md)."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import gevent

from .worker import CHECK_VARIABLE, LISTENER_VARIABLE

log = logging.getLogger(__name__)

CHECK_SECONDS = 60.0
"""How long the check of a new start may take."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


class Renewal:
    """Turns SIGHUP into a stop after which this process starts anew.

    :param stop: stops the service.
    :ivar wanted: the process starts anew once it has stopped.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.wanted = False
        self._stop = stop
        self._checking = False
        self._terminal = has_terminal()

    def request(self) -> None:
        """Handle SIGHUP; a terminal that was closed sends it as well, and ends the service."""
        if self._terminal and not has_terminal():
            self.cancel()
        elif not self._checking:
            self._checking = True
            gevent.spawn(self._check)

    def cancel(self) -> None:
        """Stop for good: SIGTERM has the last word."""
        self.wanted = False
        self._stop()

    def _check(self) -> None:
        """Try the new start in a process of its own, which opens neither the address nor a backend."""
        try:
            refusal = refused()
        finally:
            self._checking = False
        if refusal:
            log.warning("SIGHUP: everything stays as it is: %s", refusal)
        else:
            log.info("SIGHUP: starting anew")
            self.wanted = True
            self._stop()


def command() -> list[str]:
    """Return the command line that this process was started with."""
    return [sys.executable, *sys.orig_argv[1:]]


def refused() -> str:
    """Return why a new start with the present ini and code would fail; empty if it would not."""
    environment = {**os.environ, CHECK_VARIABLE: "1"}
    try:
        done = subprocess.run(  # noqa: S603 our own command line
            command(), env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if not done.returncode:
        return ""
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1] if said else f"exit status {done.returncode}"


def start_anew(renewal: Renewal, listener: int) -> None:
    """Become the new start, on the same socket; return if SIGTERM came last.

    :param listener: file number of the listening socket; what connects meanwhile waits in its queue.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # what comes from now on is taken after the start
    gevent.sleep(0)  # and what has come before is taken now
    if not renewal.wanted:
        return
    os.set_inheritable(listener, True)
    os.execve(sys.executable, command(), {**os.environ, LISTENER_VARIABLE: str(listener)})  # noqa: S606
