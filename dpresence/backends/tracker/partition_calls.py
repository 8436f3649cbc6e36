"""Calls of all partitions of a tracker at the same time, also if the servers of some are unavailable; offsets of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
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


def call_first(work: Callable[[S], T], items: Sequence[S], first: S) -> T:
    """Call ``work`` for one item or, as long as their servers are unavailable, for those after it, and return the result.

    :raises BackendUnavailable: none answers.
    """
    start = items.index(first)
    *others, last = (*items[start:], *items[:start])
    for item in others:
        with suppress(BackendUnavailable):
            return work(item)
    return work(last)


def chain_present(read: Callable[[S], Iterable[T]], items: Sequence[S]) -> Iterator[T]:
    """Yield what is read from each item, one after the other.

    :raises BackendUnavailable: the server of an item is unavailable; what the others have was yielded before.
    """
    failure: BackendUnavailable | None = None
    for item in items:
        try:
            yield from read(item)
        except BackendUnavailable as error:
            failure = error
    if failure:
        raise failure


def partition_of(key: str, count: int) -> int:
    """Return the number of the partition, of so many, of a user, or of anything else that has a key."""
    return crc32(key.encode()) % count


def revoke_where_shown(grant: Grant, parts: Sequence[Tracker]) -> None:
    """Append a revocation to the part that has an entry of the PUID: the user of the grant is not known.

    :raises BackendUnavailable: a server is unavailable, and no part at the others has an entry.
    """

    def revoke(part: Tracker) -> bool:
        is_shown = bool(part.latest(grant.appid, [grant.puid]))
        if is_shown:
            part.append_revocation(grant)
        return is_shown

    results = try_each(revoke, parts)
    failure = next((result for result in results if isinstance(result, BackendUnavailable)), None)
    if failure and True not in results:
        raise failure


def covered_offset(appid: str, parts: Sequence[Tracker], cursors: Sequence[str]) -> tuple[int, ...] | None:
    """Return the offset of the cursors of all parts, see ``Tracker.offset``. A part that is unavailable is assumed to cover its cursor.

    :raises BackendUnavailable: there is one part, and it is unavailable.
    """

    def covered(item: tuple[Tracker, str]) -> int | None:
        part, cursor = item
        return cast("int | None", part.offset(appid, cursor))

    items = list(zip(parts, cursors, strict=True))
    offsets = (try_each if len(items) > 1 else call_all)(covered, items)
    return _all_or_none(
        part.assumed_offset(cursor) if isinstance(offset, BackendUnavailable) else offset
        for (part, cursor), offset in zip(items, offsets, strict=True)
    )


def assumed_offset(parts: Sequence[Tracker], cursors: Sequence[str]) -> tuple[int, ...] | None:
    """Return the offset of the cursors of all parts, see ``Tracker.assumed_offset``."""
    return _all_or_none(part.assumed_offset(cursor) for part, cursor in zip(parts, cursors, strict=True))


def _all_or_none(offsets: Iterable[int | None]) -> tuple[int, ...] | None:
    """Return the offset of all parts, None if that of one is None."""
    found = list(offsets)
    known = tuple(offset for offset in found if offset is not None)
    return known if len(known) == len(found) else None
