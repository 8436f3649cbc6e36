"""Greenlets for connections: one works for a connection while it has something to do, none while it is idle.

A greenlet costs kilobytes at rest and microseconds to make, so those that have finished wait for the next piece of work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gevent
from greenlet import greenlet  # type: ignore[import-untyped]

log = logging.getLogger(__name__)


class Workers:
    """As many greenlets as connections are working at the same time.

    :param idle: how many that have nothing to do are kept.
    """

    def __init__(self, idle: int = 64) -> None:
        self._hub = gevent.get_hub()
        self._keep = idle
        self._idle: list[Any] = []

    def run(self, work: Callable[[Any], None], argument: Any) -> None:
        """Run ``work(argument)`` now, up to where it waits. Only from the hub: that is where a greenlet that waits goes back to."""
        worker = self._idle.pop() if self._idle else greenlet(self._serve, self._hub)
        worker.switch(work, argument)

    def spawn(self, work: Callable[[Any], None], argument: Any) -> None:
        """Run ``work(argument)`` soon. From anywhere."""
        self._hub.loop.run_callback(self.run, work, argument)

    def _serve(self, work: Callable[[Any], None], argument: Any) -> None:
        me = gevent.getcurrent()
        while True:
            try:
                work(argument)
            except BaseException:  # it must not reach the hub, which is the parent
                log.exception("a connection's work failed")
            del work, argument  # they hold the connection
            if len(self._idle) >= self._keep:
                return
            self._idle.append(me)
            work, argument = self._hub.switch()
