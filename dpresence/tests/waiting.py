"""Waiting in tests: one function for every condition that another process or greenlet meets, and one deadline for all of them."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

import gevent
import redis
import requests

from dpresence.errors import BackendUnavailable

PATIENCE_SECONDS = 60
"""Deadline of every wait for something that does come: longer than a loaded machine stands still."""
NOT_YET = (
    BackendUnavailable,
    FileNotFoundError,
    ConnectionError,
    TimeoutError,
    requests.ConnectionError,
    requests.Timeout,
    redis.ConnectionError,
    redis.TimeoutError,
)
"""Errors of a file that is not written, a server that does not listen and a backend that is away: the check is made again."""
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.1
T = TypeVar("T")


def eventually(check: Callable[[], T], seconds: float = PATIENCE_SECONDS, also: tuple[type[Exception], ...] = ()) -> T:
    """Wait until a check returns something true, and return that; greenlets run meanwhile.

    :param check: is called every 10 ms, and less often after a while; an error of ``NOT_YET`` means the same as something false.
    :param also: more errors of which that holds.
    :raises AssertionError: nothing true came in time; it quotes the check and names its last value or error.
    """
    began = time.monotonic()
    while True:
        try:
            last: object = (found := check())
            if found:
                return found
        except (*NOT_YET, *also) as error:
            last = error
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"after {seconds} s there is still {last!r} from {_quoted(check)}") from None
        gevent.sleep(min(max(SHORTEST_PAUSE_SECONDS, waited / 10), LONGEST_PAUSE_SECONDS))


def turn_loop(times: int = 20) -> None:
    """Let the event loop turn so many times, however long that takes: what is under way in this process happens meanwhile."""
    for _ in range(times):
        gevent.sleep(0.0005)


def _quoted(check: Callable[[], object]) -> str:
    """Return the source of a check, or its name where it has none."""
    try:
        return inspect.getsource(check).strip()
    except (OSError, TypeError):
        return repr(check)
