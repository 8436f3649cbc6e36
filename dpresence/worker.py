"""What a process inherits from the one that started it: the listening socket and, below a supervisor, the ends of two pipes."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass

from gevent import monkey

from .errors import SettingError
from .settings import wrong_setting

_socket = monkey.get_original("socket", "socket")  # the supervisor's; what gevent may have patched would start a loop there

VARIABLE = "DPRESENCE_WORKER"
"""Tells a process that it is a worker, and which open files are for it."""
LISTENER_VARIABLE = "DPRESENCE_LISTENER"
"""Tells a process that started itself anew which open file is the listening socket."""
CHECK_VARIABLE = "DPRESENCE_CHECK"
"""Tells a process to check its ini and to end, with status 0 if a start would get as far as its backends."""
TRACE_SIGNAL = signal.SIGUSR2
"""Makes a process of the service write its stack trace to stderr (``faulthandler``), also when no Python code runs in it."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker knows of its supervisor.

    :ivar listener: file number of the listening socket.
    :ivar heartbeats: of the pipe that takes its heartbeats.
    :ivar lifeline: of the pipe that ends when the supervisor does.
    """

    listener: int
    heartbeats: int
    lifeline: int

    def beat(self, seconds: int) -> None:
        """Say that this process serves; never waits.

        :param seconds: without another heartbeat for this long, it is killed and replaced.
        """
        with suppress(BrokenPipeError, BlockingIOError):  # the lifeline will tell; a full pipe has heartbeats enough
            os.write(self.heartbeats, b"%d %d\n" % (os.getpid(), seconds))


def this_worker() -> Worker | None:
    """Return what the supervisor gave to this process, None when there is no supervisor."""
    files = os.environ.pop(VARIABLE, None)
    return Worker(*map(int, files.split(","))) if files else None


def inherited_listener() -> int | None:
    """Return the file number of the listening socket that this process had before it started itself anew, if it did."""
    number = os.environ.pop(LISTENER_VARIABLE, None)
    return int(number) if number else None


def only_checks() -> bool:
    """Return whether this process is to check its ini only."""
    return CHECK_VARIABLE in os.environ


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a listening socket that workers inherit.

    :raises SettingError: it cannot be bound.
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
    """Return an inherited listening socket as one that workers inherit in their turn."""
    listener: socket.socket = _socket(fileno=number)
    listener.set_inheritable(True)
    return listener


def not_free(host: str, port: int, error: OSError) -> SettingError:
    """Return what to say of an address that cannot be bound."""
    why = (error.strerror or "").partition(":")[0]  # gevent adds the address
    return wrong_setting(f"port = {port}, host", host, f"free to listen on ({why})")
