"""Timing wheel of the next tick of each connection: a round with nothing due touches no connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from math import ceil
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """A connection, as ``Deadlines`` sees it, which alone sets these.

    :ivar bucket: the bucket that it is in; None if it is not registered.
    :ivar previous: the connection before it in the linked list of the bucket; None for the first one.
    :ivar following: the connection after it; None for the last one.
    """

    bucket: Bucket | None
    previous: Timed | None
    following: Timed | None


class Bucket:
    """The connections that are due in one round, as a linked list: two references for each, where an entry of a set takes 50 bytes.

    :ivar round: number of the round.
    """

    __slots__ = ("_first", "round")

    def __init__(self, round: int) -> None:
        self.round = round
        self._first: Timed | None = None

    @property
    def members(self) -> Sequence[Timed]:
        """The connections, in no order."""
        found, connection = [], self._first
        while connection is not None:
            found.append(connection)
            connection = connection.following
        return found

    def add(self, connection: Timed) -> None:
        """Add a connection that is in no bucket."""
        first, self._first = self._first, connection
        connection.bucket, connection.following = self, first
        if first is not None:
            first.previous = connection

    def remove(self, connection: Timed) -> None:
        """Remove a connection of this bucket."""
        previous, following = connection.previous, connection.following
        if previous is None:
            self._first = following
        else:
            previous.following = following
        if following is not None:
            following.previous = previous
        connection.bucket = connection.previous = connection.following = None


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
        if connection.bucket is not None:  # as ``remove``, without the call
            connection.bucket.remove(connection)
            self._count -= 1
        bucket.add(connection)
        self._count += 1

    def remove(self, connection: T) -> None:
        """Remove a connection. Idempotent."""
        if connection.bucket is not None:
            connection.bucket.remove(connection)
            self._count -= 1

    def due(self, now: float) -> Sequence[T]:
        """Begin a round: return the connections that are due. They remain due until they are settled, hastened or removed.

        :param now: ``Clock.monotonic()``.
        """
        self._round = max(self._round, int(now / self._interval))
        self._latest = (self._round + 1) * self._interval + self.LONGEST_SECONDS
        due: list[T] = []
        for round, bucket in tuple(self._buckets.items()):
            if round <= self._round:
                members = bucket.members
                due += members  # type: ignore[arg-type]
                if not members:
                    del self._buckets[round]
        return due
