"""Timing wheel of the next tick of each connection: a round with nothing due touches no connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from math import ceil
from typing import Generic, Protocol, TypeVar


class Bucket(list["Timed"]):
    """The connections that are due in one round, and others that have left it: only those whose ``bucket`` it is count.

    A connection that leaves stays in the list until its round, because a set, from which it could be removed, takes 40 bytes more for each.

    :ivar round: number of the round.
    """

    __slots__ = ("round",)

    def __init__(self, round: int) -> None:
        super().__init__()
        self.round = round

    @property
    def members(self) -> Sequence[Timed]:
        """The connections, each once: one may have left and come back."""
        return list(dict.fromkeys([connection for connection in self if connection.bucket is self]))


class Timed(Protocol):
    """A connection, as ``Deadlines`` sees it.

    :ivar bucket: set by ``Deadlines`` only; None if the connection is not registered.
    """

    bucket: Bucket | None


T = TypeVar("T", bound=Timed)


class Deadlines(Generic[T]):
    """The open connections, in buckets by the round in which they are due. It serves as their registry, so that they need no other one.

    :param interval: seconds between two rounds.
    """

    LONGEST_SECONDS = 60
    """Every connection is due as often at least."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._round = 0  # the last one that ``due`` returned
        self._latest = interval + self.LONGEST_SECONDS
        self._count = 0
        self._buckets: dict[int, Bucket] = {}

    def __iter__(self) -> Iterator[T]:
        """Iterate over a copy of the registered connections."""
        return chain.from_iterable([bucket.members for bucket in self._buckets.values()])  # type: ignore[misc]

    def __len__(self) -> int:
        """Return the number of registered connections."""
        return self._count

    def add(self, connection: T) -> None:
        """Register a connection, due in the next round."""
        self._move(connection, self._round + 1)

    def hasten(self, connection: T) -> None:
        """Have a registered connection due in the next round."""
        if connection.bucket is not None and connection.bucket.round != self._round + 1:
            self._move(connection, self._round + 1)

    def settle(self, connection: T, at: float) -> None:
        """Have a connection that is due now, and that was neither removed nor hastened since, due next in the first round after ``at``.

        :param at: ``Clock.monotonic()``.
        """
        bucket = connection.bucket
        if bucket is not None and bucket.round <= self._round:
            round = ceil(min(at, self._latest) / self._interval)
            self._move(connection, round if round > self._round else self._round + 1)

    def _move(self, connection: T, round: int) -> None:
        bucket = self._buckets.get(round)
        if bucket is None:
            bucket = self._buckets[round] = Bucket(round)
        self._count += connection.bucket is None
        connection.bucket = bucket
        bucket.append(connection)

    def remove(self, connection: T) -> None:
        """Remove a connection. Idempotent."""
        if connection.bucket is not None:
            connection.bucket = None
            self._count -= 1

    def due(self, now: float) -> Sequence[T]:
        """Begin a round: return the connections that are due. They remain due until they are settled, hastened or removed.

        :param now: ``Clock.monotonic()``.
        """
        self._round = max(self._round, int(now / self._interval))
        self._latest = (self._round + 1) * self._interval + self.LONGEST_SECONDS
        due: list[T] = []
        for bucket in [bucket for round, bucket in self._buckets.items() if round <= self._round]:
            bucket[:] = bucket.members
            due += bucket  # type: ignore[arg-type]
            if not bucket:
                del self._buckets[bucket.round]
        return due
