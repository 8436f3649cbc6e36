"""Moves a partition of the tracker to another server while the service runs (docs/decisions/0056-moving-partitions.md)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from ..errors import BackendUnavailable
from .directory import Directory, PartitionMove
from .tracker.moving_place import Lost, Place

REPEAT = "repeat `dpresence partitions move {0} --to {1}` to finish it, or with `--to {2}` to take it back"


SPLITTING = "the tracker is being split"
HALF_SPLIT = "a split was interrupted: repeat `dpresence partitions split --into N` to finish it, or with `--into 1` to take it back"
SPLIT = "the tracker was split, and its former keys have not been deleted: repeat `dpresence partitions split --into {0}`"


class MoveRefused(Exception):
    """The partition is not moved; the text says why."""


@dataclass(frozen=True)
class Moved:
    """The result of a move.

    :ivar keys: number of keys that were copied; 0 if only an earlier move was finished or taken back.
    :ivar seconds: time for which the partition did not answer.
    """

    keys: int = 0
    seconds: float = 0.0


def describe(move: PartitionMove, servers: Sequence[str], is_held: bool) -> str:
    """Return what is to be said of a move that has not ended.

    :param servers: the server of each partition.
    :param is_held: whether a mover holds its locks.
    """
    if not move.source:
        return SPLITTING if is_held else SPLIT.format(len(servers)) if len(servers) > 1 else HALF_SPLIT
    if is_held:
        return f"a move from {move.source} to {move.target} is under way"
    switched = servers[move.partition] == move.target
    state = f"moved from {move.source}, whose keys have not been deleted" if switched else f"a move to {move.target} was interrupted"
    return f"{state}: {REPEAT.format(move.partition, move.target, move.source)}"


def _require_alike(old: Place, new: Place, move: PartitionMove) -> None:
    """Check that a server loses no more than another one.

    :raises MoveRefused: an option differs.
    """
    ours, theirs = old.durability(), new.durability()
    for name in ours.keys() & theirs.keys():
        if ours[name] != theirs[name]:
            raise MoveRefused(f"{move.target}: {name} must be as at {move.source}: {ours[name]}, not {theirs[name]}")


class Mover:
    """Moves one partition.

    :param place_of: returns the place of a partition at a server of this name; the last argument identifies the mover.
    """

    def __init__(self, directory: Directory, place_of: Callable[[str, int, str], Place]) -> None:
        self._directory = directory
        self._place_of = place_of
        self._id = secrets.token_hex(8)

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
        with self._place_of(server, partition, self._id) as place:
            self._lock(place)  # from here on nobody else can move the partition from there
            if not place.is_closed() or self._directory.partitions()[partition] != server:
                return False
            place.step("open")
            return True

    # -- an earlier move

    def _repair(self, partition: int, target: str) -> bool:
        """Finish or take back the move that has not ended, if there is one."""
        move = self._directory.partition_move()
        if move is None:
            return False
        if move.partition != partition or not move.source:
            text = describe(move, self._directory.partitions(), False)
            raise MoveRefused(f"partition {move.partition} has to be where it belongs first: {text}")
        try:
            with self._locked(move) as (old, new):
                self._finish(move, old, new)
        except BackendUnavailable:
            if self._directory.partitions()[partition] != target:
                raise
            self._abandon_other(self._directory.partition_move() or move, target)
        return True

    def _take_over(self, move: PartitionMove) -> PartitionMove:
        """Give a move a new id. From then on the directory is not switched by anybody else, nor by an earlier transaction of this mover."""
        id_ = secrets.token_hex(8)
        if not self._directory.take_over_partition_move(move.id, id_):
            raise MoveRefused("another call has finished or taken over this move")
        return replace(move, id=id_)

    def _abandon_other(self, move: PartitionMove, server: str) -> None:
        """Open a partition where the directory says it is, whether or not the other server answers, which may keep some keys."""
        with self._place_of(server, move.partition, self._id) as place:
            self._lock(place)
            move = self._take_over(move)
            if self._directory.partitions()[move.partition] != server:
                raise MoveRefused(f"partition {move.partition} is at {move.target} now")
            place.step("open")
            self._directory.end_partition_move(move.id)

    # -- a move

    def _move(self, move: PartitionMove) -> Moved:
        with self._locked(move) as (old, new):
            _require_alike(old, new, move)
            if next(new.keys(), None) is not None:
                raise MoveRefused(f"{move.target} has keys of this partition already: delete those that begin with {new.prefix}")
            if not self._directory.begin_partition_move(move):
                raise MoveRefused("another move has begun at the same time")
            began, keys = time.monotonic(), 0
            try:
                keys = self._copy(move, old, new)
            finally:
                opened = self._finish(move, old, new)
            return Moved(keys, opened - began)

    def _copy(self, move: PartitionMove, old: Place, new: Place) -> int:
        new.step("close")
        old.step("stop")
        keys = old.copy_to(new)
        old.step("check")
        if old.is_used():
            raise MoveRefused(f"a process of an earlier version, which cannot follow, uses partition {move.partition}")
        if not self._directory.switch_partition(move.id):
            raise MoveRefused("another call has taken over this move")
        return keys

    def _finish(self, move: PartitionMove, old: Place, new: Place) -> float:
        """Open the place that the directory names, and empty the other one; return when it was opened (monotonic seconds)."""
        try:
            move = self._take_over(move)
            switched = self._directory.partitions()[move.partition] == move.target
            here, other = (new, old) if switched else (old, new)
            here.reconnect()
            here.step("open")
            opened = time.monotonic()
            for place in (old, new):
                with suppress(BackendUnavailable):
                    place.signal()
            other.reconnect()
            other.clear()
            self._directory.end_partition_move(move.id)
            return opened
        except BackendUnavailable as error:
            advice = REPEAT.format(move.partition, move.target, move.source)
            raise BackendUnavailable(f"the move of partition {move.partition} has not ended: {advice}") from error

    # -- locks

    @contextmanager
    def _locked(self, move: PartitionMove) -> Iterator[tuple[Place, Place]]:
        places = [self._place_of(server, move.partition, self._id) for server in (move.source, move.target)]
        with places[0] as old, places[1] as new:
            self._lock(old)
            self._lock(new)
            try:
                yield old, new
            except Lost:
                raise MoveRefused("this call was interrupted for too long, and another one may have gone on") from None

    def _lock(self, place: Place) -> None:
        if not place.lock():
            raise MoveRefused("another call moves this partition, or was interrupted less than 15 s ago")
