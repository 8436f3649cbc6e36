"""The socket on which systemd receives the messages of a service."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Self


class SystemdSocket:
    """A datagram socket at an address, as ``NOTIFY_SOCKET`` names it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._received: list[str] = []

    def __enter__(self) -> Self:
        self._socket.bind(self.address.replace("@", "\0", 1))
        self._socket.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def received(self) -> list[str]:
        """Return all messages so far."""
        with suppress(BlockingIOError):
            while True:
                self._received.append(self._socket.recv(4096).decode())
        return self._received

    def states(self) -> list[str]:
        """Return the first variable of each message that is no heartbeat."""
        return [message.partition("\n")[0] for message in self.received() if message != "WATCHDOG=1"]
