"""Measures how long the scripts of a real Redis take, by the server's own SLOWLOG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

GOAL_MS = 5
"""The longest a script may take. Tests run beside others and accept five times that."""
_ATTEMPTS = 3


@contextmanager
def script_times(client: Any) -> Iterator[list[float]]:
    """Give a list; when the block ends it holds what each script took that was slower than a tenth of a millisecond, in milliseconds."""
    before = client.config_get("slowlog-*")
    client.config_set("slowlog-max-len", 100_000)
    client.config_set("slowlog-log-slower-than", 100)
    client.slowlog_reset()
    times: list[float] = []
    try:
        yield times
        times += [entry["duration"] / 1000 for entry in client.slowlog_get(100_000) if entry["command"].startswith(b"EVALSHA")]
    finally:
        for name, value in before.items():
            client.config_set(name, value)


def check_longest_script(client: Any, prepare: Callable[[], object], act: Callable[[], object]) -> None:
    """Fail if each time a script of ``act`` takes longer than five times the goal; a busy machine interrupts some of them."""
    longest: list[float] = []
    while min(longest, default=math.inf) > 5 * GOAL_MS:
        assert len(longest) < _ATTEMPTS, longest
        prepare()
        with script_times(client) as times:
            act()
        longest.append(max(times, default=0.0))
        print(f"longest of {len(times)} scripts: {longest[-1]:.1f} ms")
