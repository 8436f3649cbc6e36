"""The connections that have not become a channel: how many there are of each address, and which of them make room for a newcomer."""

from __future__ import annotations

import socket
from collections import OrderedDict, defaultdict
from contextlib import suppress
from typing import Any

from ..settings import ChannelSettings


class PlainConnections:
    """Plain connections by address; those that wait for a request, oldest first, may be ended to make room.

    :param limits: ``plain_per_address`` counts.
    :ivar share: how many one address may have.
    """

    def __init__(self, limits: ChannelSettings) -> None:
        self.share = limits.plain_per_address
        self._addresses: dict[Any, str] = {}
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, OrderedDict[Any, None]] = defaultdict(OrderedDict)
        self._all_waiting: OrderedDict[Any, None] = OrderedDict()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._addresses)

    def enter(self, sock: Any, address: str, shared: bool = False) -> bool:
        """Count a connection in; ``leave`` counts it out.

        :param shared: its address is that of a trusted proxy, and has no bound.
        :return: False when its address has too many, all of them busy.
        """
        if not shared and self._counts[address] >= self.share and not self._end_oldest(self._waiting[address]):
            self._forget(address)
            return False
        self._addresses[sock] = address
        self._counts[address] += 1
        self.waits(sock)
        return True

    def leave(self, sock: Any) -> None:
        """Count a connection out."""
        self.works(sock)
        address = self._addresses.pop(sock)
        self._counts[address] -= 1
        self._forget(address)

    def waits(self, sock: Any) -> None:
        """Note that a connection waits for a request, from now on."""
        if sock in self._addresses:
            self._waiting[self._addresses[sock]][sock] = self._all_waiting[sock] = None

    def works(self, sock: Any) -> None:
        """Note that a connection's request is here."""
        if sock in self._addresses:
            self._waiting[self._addresses[sock]].pop(sock, None)
            self._all_waiting.pop(sock, None)

    def make_room(self) -> bool:
        """End the connection that has waited longest; return whether there was one. It leaves at its next turn."""
        return self._end_oldest(self._all_waiting)

    def _end_oldest(self, waiting: OrderedDict[Any, None]) -> bool:
        if not waiting:
            return False
        sock = next(iter(waiting))
        self.works(sock)
        with suppress(OSError):
            sock._sock.shutdown(socket.SHUT_RDWR)  # its greenlet, which reads, sees the end; gevent's own would wait
        return True

    def _forget(self, address: str) -> None:
        if not self._counts[address]:
            del self._counts[address]
            self._waiting.pop(address, None)
