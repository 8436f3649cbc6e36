"""Calls of all partitions of a tracker at the same time, also if the servers of some are unavailable; offsets of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, cast
from zlib import crc32

import gevent

from ...errors import BackendUnavailable
from ...model import Grant
from . import Tracker

S = TypeVar("S")
T = TypeVar("T")


def try_each(work: Callable[[S], T], items: Sequence[S]) -> list[T | BackendUnavailable]:
    """Call ``work`` for each item, at the same time, and return the results in order; an item whose server is unavailable has its error."""

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

    :raises BackendUnavailable: the server of an item is unavailable; the others were called.
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


def partition_of(key: str, count: int) -> int:
    """Return the number of the partition, of so many, of a user, or of anything else that has a key."""
    return crc32(key.encode()) % count


def revoke_where_shown(grant: Grant, part: Tracker) -> None:
    """Append a revocation to a part if it has an entry of the PUID: the user of the grant is not known."""
    if part.latest(grant.appid, [grant.puid]):
        part.append_revocation(grant)


def covered(appid: str, item: tuple[Tracker, str]) -> int | None:
    """Return the offset of the cursor of one part, see ``Tracker.offset``."""
    part, cursor = item
    return cast("int | None", part.offset(appid, cursor))


def assumed(part: Tracker, cursor: str) -> int | None:
    """Return the offset of the cursor of one part, see ``Tracker.assumed_offset``."""
    return cast("int | None", part.assumed_offset(cursor))


def all_or_none(offsets: Iterable[int | None]) -> tuple[int, ...] | None:
    """Return the offset of all parts, None if that of one is None."""
    found = list(offsets)
    known = tuple(offset for offset in found if offset is not None)
    return known if len(known) == len(found) else None
