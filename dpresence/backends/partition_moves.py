"""Common parts of the move of a partition and the split of a tracker: the lock, the stored move, and the end after an interruption."""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from ..errors import BackendUnavailable
from .directory import Directory, PartitionMove
from .tracker.partition_keys import LEASE_SECONDS, LockLost, PartitionKeys

K = TypeVar("K", bound=PartitionKeys)

REPEAT = "repeat `dpresence partitions move {0} --to {1}` to finish it, or with `--to {2}` to take it back"
"""Advice about a move that was interrupted: its partition, target and source."""
SPLITTING = f"the tracker is being split; if its command was killed, repeat it in {LEASE_SECONDS} s"
"""State of a split whose lock is held."""
HALF_SPLIT = "a split was interrupted: repeat `dpresence partitions split --into N` to finish it, or with `--into 1` to take it back"
"""State of a split that was interrupted before the switch, with advice."""
SPLIT = "the tracker was split, and its former keys have not been deleted: repeat `dpresence partitions split --into {0}`"
"""State of a split that was interrupted after the switch, with advice: the number of partitions."""


class MoveRefused(Exception):
    """The partition is not moved, or the tracker is not split; the text says why."""


@dataclass(frozen=True)
class Moved:
    """The result of a move or a split.

    :ivar keys: number of keys that were copied; 0 if only an earlier call was finished or taken back.
    :ivar seconds: time for which the partition did not answer, since this call began.
    :ivar continued: whether an earlier call that was interrupted may have stopped the partition before.
    """

    keys: int = 0
    seconds: float = 0.0
    continued: bool = False

    @property
    def text(self) -> str:
        """Number of copied keys and time without answers, as text; "" if only an earlier call was finished or taken back."""
        since = " since this call began" if self.continued else ""
        return f": {self.keys} keys were copied, and it did not answer for {self.seconds:.2f} s{since}" if self.keys else ""


def describe(move: PartitionMove, servers: Sequence[str], is_held: bool) -> str:
    """Return what is to be said of a move that has not ended.

    :param servers: the server of each partition.
    :param is_held: whether a call holds its locks.
    """
    if move.is_split:
        return SPLITTING if is_held else SPLIT.format(len(servers)) if len(servers) > 1 else HALF_SPLIT
    if is_held:
        return f"a move from {move.source} to {move.target} is under way; if its command was killed, repeat it in {LEASE_SECONDS} s"
    switched = servers[move.partition] == move.target
    state = f"moved from {move.source}, whose keys have not been deleted" if switched else f"a move to {move.target} was interrupted"
    return f"{state}: {REPEAT.format(move.partition, move.target, move.source)}"


def describe_count(count: int) -> str:
    """Return how many partitions the tracker has."""
    return f"the tracker has {count} partition{'s' if count > 1 else ''}"


def unfinished(move: PartitionMove, servers: Sequence[str]) -> MoveRefused:
    """Return the refusal of a call that cannot begin before a stored move has ended; see ``describe``."""
    return MoveRefused(f"partition {move.partition} has to be where it belongs first: {describe(move, servers, False)}")


def _describe_error(move: PartitionMove, servers: Sequence[str]) -> str:
    """Return the error of a call that could not end a move.

    :param servers: the server of each partition, empty if the directory did not answer.
    """
    if move.is_split:
        return f"the split has not ended: {describe(move, servers, False) if servers else 'see `dpresence partitions list`'}"
    return f"the move of partition {move.partition} has not ended: {REPEAT.format(move.partition, move.target, move.source)}"


def require_lock(keys: PartitionKeys, other: str) -> None:
    """Take the lock.

    :param other: what the call does that may hold it.
    :raises MoveRefused: another call holds it.
    """
    if not keys.lock():
        raise MoveRefused(f"another call {other}, or was interrupted less than {LEASE_SECONDS} s ago")


@contextmanager
def refuse_lost_lock() -> Iterator[None]:
    """Raise ``MoveRefused`` where the lock was lost."""
    try:
        yield
    except LockLost:
        raise MoveRefused("this call was interrupted for too long, and another one may have gone on") from None


class PartitionChange(ABC, Generic[K]):
    """One call that moves a partition or splits a tracker, generic in the kind of keys."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._id = secrets.token_hex(8)  # of this call, and of the move that it begins

    def _take_over(self, move: PartitionMove) -> PartitionMove:
        """Give a move a new id. From then on the directory is not switched by anybody else, nor by an earlier transaction of this call."""
        id_ = secrets.token_hex(8)
        if not self._directory.take_over_partition_move(move.id, id_):
            raise MoveRefused(f"another call has finished or taken over this {'split' if move.is_split else 'move'}")
        return replace(move, id=id_)

    def _finish(self, move: PartitionMove, *keys: K) -> float:
        """Open the keys that the directory names, and delete the others; return when they were opened (monotonic seconds).

        :param keys: those that processes use before or after the switch.
        """
        servers: Sequence[str] = ()
        try:
            move = self._take_over(move)
            servers = self._directory.partitions()
            delete_others = self._open(move, servers, *keys)
            opened = time.monotonic()
            for each in keys:
                with suppress(BackendUnavailable):
                    each.signal()
            delete_others()
            self._directory.end_partition_move(move.id)
            return opened
        except BackendUnavailable as error:
            raise BackendUnavailable(_describe_error(move, servers)) from error

    @abstractmethod
    def _open(self, move: PartitionMove, servers: Sequence[str], *keys: K) -> Callable[[], None]:
        """Open the keys that the directory names; return what deletes the others.

        :param servers: the server of each partition.
        """
