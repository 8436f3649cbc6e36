"""Scheduling of long work: in several greenlets, and yielding to the event loop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextvars import Context, copy_context
from functools import partial
from typing import TypeVar

import gevent
from gevent.pool import Pool

S = TypeVar("S")
T = TypeVar("T")

_GREENLETS = 20
_CALLS = 200
_PAUSE_SECONDS = 0.001


def yield_to_loop() -> None:
    """Yield to the event loop in the middle of long work, so that it handles sockets and timers.

    ``gevent.sleep(0)`` is not sufficient: it only runs other greenlets that are ready, and gevent polls sockets only after up to 50
    such switches.
    """
    gevent.sleep(_PAUSE_SECONDS)


def map_concurrently(work: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """Call ``work`` for each item, in up to 20 greenlets at a time, and return the results in any order.

    The first exception is raised at once; the other calls are not stopped.
    """
    return _results(Pool(_GREENLETS), work, items)


def call_together(work: Callable[[S], T], items: Collection[S]) -> list[T]:
    """Call ``work``, a call to the tracker, for each item, and return the results in any order.

    The calls to Redis are sent in a few batches (``redis.client``), instead of one round trip for each. Exceptions: see
    ``map_concurrently``.
    """
    if len(items) < 2:
        return [work(item) for item in items]
    return _results(Pool(_CALLS), work, items)


def _results(pool: Pool, work: Callable[[S], T], items: Iterable[S]) -> list[T]:
    results: list[T] = []
    for result, error in pool.imap_unordered(partial(_attempt, copy_context(), work), items):
        if error is not None:
            raise error
        results.append(result)
    return results


def _attempt(context: Context, work: Callable[[S], T], item: S) -> tuple[T | None, BaseException | None]:
    """Return the result or the exception of a call: gevent would print the traceback of a greenlet that raises.

    :param context: of the caller, whose work it is.
    """
    try:
        return context.copy().run(work, item), None
    except (Exception, gevent.Timeout) as error:
        return None, error
