"""Moves a partition of the tracker to another server while the service runs (docs/decisions/0056-moving-partitions.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import BackendUnavailable
from .directory import Directory, PartitionMove
from .partition_moves import Moved, MoveRefused, PartitionChange, refuse_lost_lock, require_lock, unfinished
from .tracker.partition_keys import PartitionKeys

_OTHER = "moves this partition"
"""Description of another call that holds a lock; see ``require_lock``."""


def _require_alike(old: PartitionKeys, new: PartitionKeys, move: PartitionMove) -> None:
    """Check that a server loses no more than another one.

    :raises MoveRefused: an option differs.
    """
    ours, theirs = old.durability(), new.durability()
    for name in ours.keys() & theirs.keys():
        if ours[name] != theirs[name]:
            raise MoveRefused(f"{move.target}: {name} must be as at {move.source}: {ours[name]}, not {theirs[name]}")


class Mover(PartitionChange[PartitionKeys]):
    """Moves one partition.

    :param keys_of: returns the keys of a partition at a server of this name; the last argument identifies the mover.
    """

    def __init__(self, directory: Directory, keys_of: Callable[[str, int, str], PartitionKeys]) -> None:
        super().__init__(directory)
        self._keys_of = keys_of

    def move(self, partition: int, target: str) -> Moved:
        """Move a partition, after an earlier move of it was finished or taken back.

        :raises MoveRefused: the partition stays where it is.
        :raises SettingError: the target is not supported.
        :raises BackendUnavailable: a server or the database does not answer; the partition stays where it is, or the move has not ended.
        """
        count = len(self._directory.partitions())
        if count < 2:
            raise MoveRefused("the tracker has one partition, which cannot be moved: see `dpresence partitions split`")
        if not 0 <= partition < count:
            raise MoveRefused(f"partition {partition}: must be 0 to {count - 1}")
        repaired = self._repair(partition, target)
        source = self._directory.partitions()[partition]
        if source != target:
            return self._move(PartitionMove(self._id, partition, source, target))
        if not repaired and not self._reopen(partition, target):
            raise MoveRefused(f"partition {partition} is at {target} already")
        return Moved()

    def _reopen(self, partition: int, server: str) -> bool:
        """Open a partition that is closed where the directory says it is: a backup from before a move was restored."""
        with self._keys_of(server, partition, self._id) as keys, refuse_lost_lock():
            require_lock(keys, _OTHER)  # from here on nobody else can move the partition from there
            if not keys.is_closed() or self._directory.partitions()[partition] != server:
                return False
            keys.step("open")
            return True

    # -- an earlier move

    def _repair(self, partition: int, target: str) -> bool:
        """Finish or take back the move that has not ended, if there is one."""
        move = self._directory.partition_move()
        if move is None:
            return False
        if move.partition != partition or move.is_split:
            raise unfinished(move, self._directory.partitions())
        try:
            with self._locked(move) as (old, new):
                self._finish(move, old, new)
        except BackendUnavailable:
            if self._directory.partitions()[partition] != target:
                raise
            self._abandon_other(self._directory.partition_move() or move, target)
        return True

    def _abandon_other(self, move: PartitionMove, server: str) -> None:
        """Open a partition where the directory says it is, whether or not the other server answers, which may keep some keys."""
        with self._keys_of(server, move.partition, self._id) as keys, refuse_lost_lock():
            require_lock(keys, _OTHER)
            move = self._take_over(move)
            if self._directory.partitions()[move.partition] != server:
                raise MoveRefused(f"partition {move.partition} is at {move.target} now")
            keys.step("open")
            self._directory.end_partition_move(move.id)

    # -- a move

    def _move(self, move: PartitionMove) -> Moved:
        with self._locked(move) as (old, new):
            _require_alike(old, new, move)
            if next(new.names(), None) is not None:
                raise MoveRefused(f"{move.target} has keys of this partition already: delete those that begin with {new.prefix}")
            if not self._directory.begin_partition_move(move):
                raise MoveRefused("another move has begun at the same time")
            began, keys = time.monotonic(), 0
            try:
                keys = self._copy(move, old, new)
            finally:
                opened = self._finish(move, old, new)
            return Moved(keys, opened - began)

    def _copy(self, move: PartitionMove, old: PartitionKeys, new: PartitionKeys) -> int:
        new.step("close")
        old.step("stop")
        keys = old.copy_to(new)
        old.step("check")
        if old.is_used():
            raise MoveRefused(f"a process of an earlier version, which cannot follow, uses partition {move.partition}")
        if not self._directory.switch_partition(move.id):
            raise MoveRefused("another call has taken over this move")
        return keys

    def _open(self, move: PartitionMove, servers: Sequence[str], *keys: PartitionKeys) -> Callable[[], None]:
        old, new = keys
        here, other = (new, old) if servers[move.partition] == move.target else (old, new)
        here.reconnect()
        here.step("open")

        def delete_others() -> None:
            other.reconnect()
            other.clear()

        return delete_others

    @contextmanager
    def _locked(self, move: PartitionMove) -> Iterator[tuple[PartitionKeys, PartitionKeys]]:
        source, target = (self._keys_of(server, move.partition, self._id) for server in (move.source, move.target))
        with source as old, target as new, refuse_lost_lock():
            require_lock(old, _OTHER)
            require_lock(new, _OTHER)
            yield old, new
