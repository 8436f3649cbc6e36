"""What a process inherits from the one that started it: the listening socket and, below a supervisor, the ends of two pipes."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass

from gevent import monkey

from .errors import SettingError

_socket = monkey.get_original("socket", "socket")  # the supervisor's; what gevent may have patched would start a loop there

VARIABLE = "DPRESENCE_WORKER"
"""Tells a process that it is a worker, and which open files are for it."""
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


def not_free(host: str, port: int, error: OSError) -> SettingError:
    """Return what to say of an address that cannot be bound."""
    why = (error.strerror or "").partition(":")[0]  # gevent adds the address
    return SettingError(f"host = {host}, port = {port}: must be free to listen on ({why})")
