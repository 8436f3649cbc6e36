"""HTTP connections that are not channels: counts per address, and eviction of connections that wait for a request."""

from __future__ import annotations

import socket
from collections import Counter, OrderedDict, defaultdict
from contextlib import suppress
from typing import Any

from ..settings import ChannelSettings


class PlainConnections:
    """HTTP connections by address. Those that wait for a request may be closed for new ones, the longest waiting first.

    :param limits: ``plain_per_address`` is used.
    :ivar per_address: maximum number of connections of one address.
    """

    def __init__(self, limits: ChannelSettings) -> None:
        self.per_address = limits.plain_per_address
        self._addresses: dict[Any, str] = {}
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._waiting_by_address: defaultdict[str, OrderedDict[Any, None]] = defaultdict(OrderedDict)
        self._waiting: OrderedDict[Any, None] = OrderedDict()
        self._held: dict[Any, str] = {}
        self._held_counts: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._addresses)

    @property
    def waiting(self) -> int:
        """Number of connections that wait for a request."""
        return len(self._waiting)

    def __contains__(self, sock: object) -> bool:
        """Return whether a connection is registered."""
        return sock in self._addresses

    def enter(self, sock: Any, address: str, shared: bool = False) -> bool:
        """Add a connection; the caller must call ``leave`` at its end.

        :param shared: the address is a trusted proxy's, which has no limit.
        :return: False when the address has too many connections and none of them waits for a request.
        """
        if not shared and self._counts[address] >= self.per_address and not self._close_oldest(self._waiting_by_address[address]):
            self._forget_unused(address)
            return False
        self._addresses[sock] = address
        self._counts[address] += 1
        self.mark_waiting(sock)
        return True

    def leave(self, sock: Any) -> None:
        """Remove a connection."""
        address = self._addresses.pop(sock)
        self._waiting_by_address[address].pop(sock, None)
        self._waiting.pop(sock, None)
        self._counts[address] -= 1
        self._forget_unused(address)

    def replace(self, sock: Any, successor: Any) -> None:
        """Continue a connection with another object for its socket. It counts as busy until ``mark_waiting``."""
        self.mark_busy(sock)
        self._addresses[successor] = self._addresses.pop(sock)

    def mark_waiting(self, sock: Any) -> None:
        """Mark a connection as waiting for a request from now on."""
        if sock in self._addresses:
            self._waiting_by_address[self._addresses[sock]][sock] = self._waiting[sock] = None

    def mark_busy(self, sock: Any) -> None:
        """Mark a connection as having received the head of a request."""
        if sock in self._addresses:
            self._waiting_by_address[self._addresses[sock]].pop(sock, None)
            self._waiting.pop(sock, None)

    def may_hold(self, address: str) -> bool:
        """Return whether one more request of an address may be answered later. Also behind a proxy, this counts the client's address."""
        return self._held_counts[address] < self.per_address

    def hold(self, connection: Any, address: str) -> None:
        """Count a connection that has left because its request is answered later, until ``release``."""
        self._held[connection] = address
        self._held_counts[address] += 1

    def release(self, connection: Any) -> None:
        """Stop counting a connection. Idempotent."""
        address = self._held.pop(connection, None)
        if address is not None:
            self._held_counts[address] -= 1
            if not self._held_counts[address]:
                del self._held_counts[address]

    def make_room(self) -> bool:
        """Close the connection that has waited longest; return False if none waits. Its reader then calls ``leave``."""
        return self._close_oldest(self._waiting)

    def _close_oldest(self, waiting: OrderedDict[Any, None]) -> bool:
        if not waiting:
            return False
        sock = next(iter(waiting))
        self.mark_busy(sock)
        with suppress(OSError):
            getattr(sock, "_sock", sock).shutdown(socket.SHUT_RDWR)  # its reader gets EOF; the shutdown of gevent's socket would block
        return True

    def _forget_unused(self, address: str) -> None:
        if not self._counts[address]:
            del self._counts[address]
            self._waiting_by_address.pop(address, None)
