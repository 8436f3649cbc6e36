"""Files that a process inherits from its parent: the listening socket and, with a supervisor, the ends of two pipes."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass

from gevent import monkey

from .errors import SettingError
from .settings import wrong_setting

_socket = monkey.get_original("socket", "socket")  # for the supervisor: gevent's socket would start an event loop in it

VARIABLE = "DPRESENCE_WORKER"
"""Environment variable of a worker: the file descriptors it inherits from the supervisor, separated by commas."""
LISTENER_VARIABLE = "DPRESENCE_LISTENER"
"""Environment variable of a process that has restarted itself: the file descriptor of the listening socket."""
CHECK_VARIABLE = "DPRESENCE_CHECK"
"""Environment variable that makes a process only check its ini. It exits with status 0 if a start would reach the backends."""
TRACE_SIGNAL = signal.SIGUSR2
"""Signal that makes a process write its stack trace to stderr (``faulthandler``), also while it is blocked in C code."""


CHANGES_SIGNAL = signal.SIGUSR1
"""Signal by which the operator's command asks a service with the tracker in memory to apply what it has changed."""


@dataclass(frozen=True, slots=True)
class Worker:
    """File descriptors that a worker inherits from its supervisor.

    :ivar listener: the listening socket.
    :ivar heartbeats: the pipe to which the worker writes heartbeats.
    :ivar lifeline: the pipe that reaches its end when the supervisor ends.
    """

    listener: int
    heartbeats: int
    lifeline: int

    def beat(self, seconds: int) -> None:
        """Send a heartbeat to the supervisor without blocking.

        :param seconds: the supervisor kills and replaces this process if the next heartbeat takes longer.
        """
        # The lifeline reports the end of the supervisor. A full pipe still holds unread heartbeats.
        with suppress(BrokenPipeError, BlockingIOError):
            os.write(self.heartbeats, b"%d %d\n" % (os.getpid(), seconds))


def this_worker() -> Worker | None:
    """Return the files inherited from the supervisor, None when there is no supervisor."""
    files = os.environ.pop(VARIABLE, None)
    return Worker(*map(int, files.split(","))) if files else None


def inherited_listener() -> int | None:
    """Return the file descriptor of the listening socket after a restart by SIGHUP, None after any other start."""
    number = os.environ.pop(LISTENER_VARIABLE, None)
    return int(number) if number else None


def only_checks() -> bool:
    """Return whether this process only checks its ini."""
    return CHECK_VARIABLE in os.environ


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a non-blocking, inheritable listening socket.

    :raises SettingError: the address cannot be bound.
    """
    listener: socket.socket = _socket(socket.AF_INET6 if ":" in host or not host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise not_free(host, port, error) from None
    listener.listen(backlog)
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def adopt(number: int) -> socket.socket:
    """Return a socket object for an inherited listening socket, which workers inherit as well."""
    listener: socket.socket = _socket(fileno=number)
    listener.set_inheritable(True)
    return listener


def not_free(host: str, port: int, error: OSError) -> SettingError:
    """Return the error for an address that cannot be bound."""
    why = (error.strerror or "").partition(":")[0]  # gevent appends the address
    allowed = "permitted to this user, as ports from 1024 are" if isinstance(error, PermissionError) else "free to listen on"
    return wrong_setting(f"port = {port}, host", host, f"{allowed} ({why})")
