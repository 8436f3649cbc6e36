"""Watches the sockets of connections: one epoll object for all of them, which gevent's loop watches.

A watcher of gevent for each socket takes 300 bytes with its callback, and most connections are idle most of the time.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any, Protocol

from gevent.monkey import get_original

log = logging.getLogger(__name__)

BATCH = 256
"""Maximum number of sockets that are handled before other work of the event loop."""
_READ = 1
_epoll = get_original("select", "epoll")  # gevent removes it, because its ``poll`` would block; here it never does


class Readable(Protocol):
    """A connection, as ``Readiness`` sees it."""

    def on_readable(self) -> None:
        """Handle that bytes may have arrived, in the event loop. Must not raise."""


class Readiness:
    """Calls ``on_readable`` of connections whose socket has bytes to read, in the event loop. See ``readiness_of``."""

    def __init__(self, hub: Any) -> None:
        self._epoll = _epoll()
        self._connections: list[Readable | None] = []  # by the number of the socket's file
        self._watcher = hub.loop.io(self._epoll.fileno(), _READ)
        self._watcher.start(self._dispatch)

    def watch(self, file: int, connection: Readable) -> None:
        """Watch a socket until ``unwatch``, which must be called before it is closed.

        :param file: the number of its file.
        """
        self._connections.extend([None] * (file + 1 - len(self._connections)))
        self._epoll.register(file, _READ)
        self._connections[file] = connection  # last: what could not be registered is not unregistered

    def pass_on(self, file: int, connection: Readable) -> None:
        """Have a watched socket belong to another connection, without a call of the kernel."""
        self._connections[file] = connection

    def unwatch(self, file: int) -> None:
        """Stop watching a socket. Idempotent."""
        if 0 <= file < len(self._connections) and self._connections[file] is not None:
            self._connections[file] = None
            self._epoll.unregister(file)

    def _dispatch(self) -> None:
        for file, _ in self._epoll.poll(0, BATCH):
            connection = self._connections[file]
            if connection is not None:  # an earlier one of the batch may have closed it
                connection.on_readable()


@cache
def readiness_of(hub: Any) -> Readiness:
    """Return the ``Readiness`` of a gevent hub; each thread has one hub."""
    return Readiness(hub)
