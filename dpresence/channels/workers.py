"""Pool of greenlets for connections. A connection uses a greenlet only while it has events to handle.

An idle greenlet takes kilobytes of memory, and a new one takes microseconds to create. The pool therefore keeps some idle ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gevent
from greenlet import greenlet  # type: ignore[import-untyped]

log = logging.getLogger(__name__)


class Workers:
    """A pool without an upper limit: it has as many greenlets as connections are busy.

    :param idle: maximum number of idle greenlets.
    """

    def __init__(self, idle: int = 64) -> None:
        self._hub = gevent.get_hub()
        self._max_idle = idle
        self._idle: list[Any] = []

    def run(self, work: Callable[[Any], None], argument: Any) -> None:
        """Run ``work(argument)`` at once, until it blocks. Must be called in the event loop, to which a blocked greenlet switches."""
        worker = self._idle.pop() if self._idle else greenlet(self._serve, self._hub)
        worker.switch(work, argument)

    def spawn(self, work: Callable[[Any], None], argument: Any) -> None:
        """Run ``work(argument)`` in the next iteration of the event loop. May be called from any greenlet."""
        self._hub.loop.run_callback(self.run, work, argument)

    def _serve(self, work: Callable[[Any], None], argument: Any) -> None:
        me = gevent.getcurrent()
        while True:
            try:
                work(argument)
            except BaseException:  # the hub is the parent greenlet and would receive it
                log.exception("the work of a connection failed")
            del work, argument  # they reference the connection
            if len(self._idle) >= self._max_idle:
                return
            self._idle.append(me)
            work, argument = self._hub.switch()
