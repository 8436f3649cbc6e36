"""The event loop of the load: one epoll, timers, and the lines of standard input."""

from __future__ import annotations

import heapq
import itertools
import os
import select
import time
from collections.abc import Callable
from typing import Any, Protocol

RECEIVE_BYTES = 65536


class Readable(Protocol):
    """A file descriptor that the loop watches."""

    number: int

    def ready(self, events: int) -> None:
        """Handle events; the loop calls it."""


class Loop:
    """One epoll and a heap of timers."""

    def __init__(self) -> None:
        self.spins = False
        """Never sleep. A sleeping load generator has the server woken, which the kernel charges to the server."""
        self._poll = select.epoll()
        self._sockets: dict[int, Readable] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function in so many seconds."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), function))

    def run(self, until: Callable[[], bool], seconds: float) -> bool:
        """Turn until a condition holds or the time is over; return whether it holds."""
        end = time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            if now >= end:
                return until()
            self._turn(min(0.05, end - now))
        return True

    def _turn(self, seconds: float) -> None:
        if self._timers:
            seconds = min(seconds, max(0.0, self._timers[0][0] - time.monotonic()))
        for number, events in self._poll.poll(0 if self.spins else seconds, 4096):
            found = self._sockets.get(number)
            if found is not None:
                found.ready(events)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def add(self, item: Readable, events: int) -> None:
        self._sockets[item.number] = item
        self._poll.register(item.number, events)

    def change(self, item: Readable, events: int) -> None:
        self._poll.modify(item.number, events)

    def remove(self, item: Readable) -> None:
        if self._sockets.pop(item.number, None):
            self._poll.unregister(item.number)


class Control:
    """Lines of standard input, read by the loop like any socket."""

    number = 0

    def __init__(self, loop: Loop) -> None:
        self.lines: list[bytes] = []
        self.ended = False
        self._rest = b""
        self._loop = loop
        loop.add(self, select.EPOLLIN)

    def ready(self, events: int) -> None:
        """Called by the loop."""
        data = os.read(self.number, RECEIVE_BYTES)
        if not data:
            self.ended = True
            self._loop.remove(self)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += lines


def percentiles(seconds: list[float]) -> dict[str, Any]:
    """Return p50, p99 and the worst of some times, in milliseconds."""
    if not seconds:
        return {"p50_ms": None, "p99_ms": None, "max_ms": None}
    ordered = sorted(seconds)
    picked = {"p50_ms": ordered[len(ordered) // 2], "p99_ms": ordered[int(len(ordered) * 0.99)], "max_ms": ordered[-1]}
    return {name: round(value * 1000, 2) for name, value in picked.items()}
