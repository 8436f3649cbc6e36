"""Restart of a single process on SIGHUP: it checks the new configuration, drains and execs (docs/decisions/0014-renewal.md)."""

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
"""Maximum seconds for the check of the new configuration."""
START_SECONDS = 600.0
"""Maximum seconds from the drain to the end of the new start, as of a worker: it may have to upgrade the database."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal that is still open."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


class Renewal:
    """Handles SIGHUP with a stop of the service and a restart of the process.

    :param stop: stops the service.
    :ivar wanted: the process restarts once the service has stopped.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.wanted = False
        self._stop = stop
        self._checking = self._stopped = False
        self._terminal = has_terminal()

    def request(self) -> None:
        """Handle SIGHUP. If the controlling terminal was closed, which also sends SIGHUP, the service stops."""
        if self._terminal and not has_terminal():
            self.cancel()
        elif not self._checking and not self._stopped:
            self._checking = True
            gevent.spawn(self._check)

    def cancel(self) -> None:
        """Stop the service without a restart, as on SIGTERM. It overrides every SIGHUP, also a later one."""
        self.wanted, self._stopped = False, True
        self._stop()

    def _check(self) -> None:
        """Check a new start in a separate process, which opens neither the listening address nor a backend."""
        try:
            error = start_error()
        finally:
            self._checking = False
        if self._stopped:  # meanwhile
            return
        if error:
            log.warning("SIGHUP: not restarted, the service keeps running: %s", error)
        else:
            log.info("SIGHUP: restarting")
            self.wanted = self._stopped = True
            self._stop()


def command() -> list[str]:
    """Return the command line that this process was started with."""
    return [sys.executable, *sys.orig_argv[1:]]


def start_error() -> str:
    """Return why a start with the current ini and code would fail, "" if it would succeed."""
    environment = {**os.environ, CHECK_VARIABLE: "1"}
    try:
        done = subprocess.run(  # noqa: S603 our own command line
            command(), env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="backslashreplace",
            timeout=CHECK_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if not done.returncode:
        return ""
    output = (done.stderr or done.stdout).strip().splitlines()
    return output[-1] if output else f"exit status {done.returncode}"


def restart(renewal: Renewal, listener: int) -> None:
    """Replace this process by a new one on the same listening socket; return only if a SIGTERM has cancelled the restart.

    :param listener: file descriptor of the listening socket. Clients that connect during the restart wait in its backlog.
    """
    from .service.scheduling import yield_to_loop  # only here: a supervisor does without the service

    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # signals from now on are delivered after the exec
    yield_to_loop()  # signals that arrived before are handled now
    if not renewal.wanted:
        return
    os.set_inheritable(listener, True)
    os.execve(sys.executable, command(), {**os.environ, LISTENER_VARIABLE: str(listener)})  # noqa: S606
