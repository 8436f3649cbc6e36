"""Rounds in which HTTP requests begin, so that many requests of one address at once do not keep those of others waiting."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import Any

import gevent
from gevent.event import Event

AT_ONCE = 4
"""Requests of one address that begin in one round."""
_ROUND_SECONDS = 0.001
"""Minimum time between two rounds. In each one the event loop looks at all sockets, so that requests of others come in between."""


class RequestRounds:
    """Lets requests begin in rounds: in each one the next ``AT_ONCE`` of every address, in the order of their arrival."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[Event]] = defaultdict(deque)
        self._timer: Any = None  # runs while a request has begun in this round

    def wait(self, address: str) -> None:
        """Return when it is the turn of a request of an address; at once if fewer than ``AT_ONCE`` have begun in this round."""
        if self._timer is None:
            self._start_timer()
        if self._begun[address] < AT_ONCE:
            self._begun[address] += 1
        else:
            turn = Event()
            self._waiting[address].append(turn)
            turn.wait()

    def _begin_round(self) -> None:
        self._timer.close()
        self._timer = None
        self._begun.clear()
        for address, turns in list(self._waiting.items()):
            for _ in range(min(AT_ONCE, len(turns))):
                turns.popleft().set()
                self._begun[address] += 1
            if not turns:
                del self._waiting[address]
        if self._begun:
            self._start_timer()

    def _start_timer(self) -> None:
        self._timer = gevent.get_hub().loop.timer(_ROUND_SECONDS)
        self._timer.start(self._begin_round)
