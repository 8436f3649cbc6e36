"""Measures how much CPU time a real Redis takes for each script; by the clock, tests that run beside this one would count, too."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dpresence.backends.redis import connection as driver

from .redis import RedisServer

GOAL_MS = 5
"""The longest a script may take. A machine whose cores are shared counts more: tests accept five times that."""
_ATTEMPTS = 3


@contextmanager
def script_costs(redis: RedisServer) -> Iterator[list[float]]:
    """Give a list that each script adds its milliseconds to, those of receiving it and answering included."""
    costs: list[float] = []

    def ask(connection: Any, *command: Any) -> Any:
        before = _cpu_ms(redis)
        reply = driver.ask(connection, *command)
        if command[0] == "EVALSHA":
            costs.append(_cpu_ms(redis) - before)
        return reply

    with patch("dpresence.backends.redis.scripts.ask", ask):
        yield costs


def _cpu_ms(redis: RedisServer) -> float:
    """Return the CPU time that a server has taken: the clock of another process, as clock_getcpuclockid(3) names it."""
    assert redis.process is not None
    return 1000 * time.clock_gettime((~redis.process.pid << 3) | 2)


def check_longest_script(redis: RedisServer, prepare: Callable[[], object], act: Callable[[], object]) -> None:
    """Fail if each time a script of ``act`` takes longer than five times the goal."""
    longest: list[float] = []
    while min(longest, default=math.inf) > 5 * GOAL_MS:
        assert len(longest) < _ATTEMPTS, longest
        prepare()
        with script_costs(redis) as costs:
            act()
        longest.append(max(costs))
        print(f"longest of {len(costs)} scripts: {longest[-1]:.1f} ms")
