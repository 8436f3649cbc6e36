"""Calls of all partitions of a tracker at the same time, also if the servers of some are away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import gevent

from ...errors import BackendUnavailable

S = TypeVar("S")
T = TypeVar("T")


def try_each(work: Callable[[S], T], items: Sequence[S]) -> list[T | BackendUnavailable]:
    """Call ``work`` for each item, at the same time, and return the results in order; an item whose server is away has its error."""

    def attempt(item: S) -> T | BackendUnavailable:
        try:
            return work(item)
        except BackendUnavailable as error:
            return error

    if len(items) == 1:
        return [attempt(items[0])]
    greenlets = [gevent.spawn(attempt, item) for item in items]
    gevent.joinall(greenlets, raise_error=True)
    return [greenlet.value for greenlet in greenlets]


def call_all(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """Call ``work`` for each item and return the results in order.

    :raises BackendUnavailable: the server of an item is away; the others were called.
    """
    found: list[T] = []
    for result in try_each(work, items):
        if isinstance(result, BackendUnavailable):
            raise result
        found.append(result)
    return found


def call_present(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """Call ``work`` for each item and return the results of those whose servers answer.

    :raises BackendUnavailable: none does.
    """
    results = try_each(work, items)
    found = [result for result in results if not isinstance(result, BackendUnavailable)]
    if not found and results and isinstance(results[0], BackendUnavailable):
        raise results[0]
    return found
