"""Messages to systemd by the protocol of sd_notify(3): ready, reloading, stopping, and the heartbeats of its watchdog.

Without systemd, or with a unit whose ``Type`` is not ``notify``, ``NOTIFY_SOCKET`` is not set and nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from gevent import monkey

_socket = monkey.get_original("socket", "socket")  # for the supervisor: gevent's socket would start an event loop in it

SOCKET_VARIABLE = "NOTIFY_SOCKET"
SEND_SECONDS = 1.0
"""Maximum seconds that a report of a state waits, and blocks this process, if systemd does not read its socket."""


class ServiceManager:
    """The service manager that started this process.

    :ivar watchdog_seconds: maximum seconds between two heartbeats; 0 if it has no watchdog for this process.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get(SOCKET_VARIABLE, "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_seconds = int(environment.get("WATCHDOG_USEC", "0")) / 1e6 if self._address and watched else 0.0
        self._next_beat = 0.0

    def ready(self) -> None:
        """Report that the service serves, after its start or a reload."""
        self._send("READY=1", *self._watchdog(self.watchdog_seconds))

    def reloading(self, silent_seconds: float = 0.0) -> None:
        """Report the begin of a reload.

        :param silent_seconds: maximum time until ``ready`` during which this process sends no heartbeats; 0 if it sends them.
        """
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", *self._watchdog(silent_seconds))

    def stopping(self) -> None:
        """Report the begin of a stop."""
        self._send("STOPPING=1")

    def beat(self) -> None:
        """Send a heartbeat to the watchdog, if there is one and the last heartbeat is an eighth of its time ago. Never blocks."""
        if self.watchdog_seconds and (now := time.monotonic()) >= self._next_beat:
            self._next_beat = now + self.watchdog_seconds / 8
            self._send("WATCHDOG=1", seconds=0.0)

    def _watchdog(self, seconds: float) -> list[str]:
        return [f"WATCHDOG_USEC={int(seconds * 1e6)}"] if self.watchdog_seconds and seconds else []

    def _send(self, *lines: str, seconds: float = SEND_SECONDS) -> None:
        """Send a datagram; it is lost if systemd has gone, or if the queue of the socket is full for these seconds."""
        if self._address:
            with suppress(OSError), _socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(seconds)
                sender.sendto("\n".join(lines).encode(), self._address)
