"""Splits a tracker of one partition into several while the service runs (docs/decisions/0074-splitting.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..settings.storage import MAX_PARTITIONS
from .directory import Directory, PartitionMove
from .partition_moves import Moved, MoveRefused, PartitionChange, describe, describe_count, refuse_lost_lock, require_lock
from .tracker.registered import can_follow
from .tracker.split_keys import SplitKeys

NO_PRESENCE = (
    "the Redis of redis.url has no presence of this service: check redis.url and redis.prefix, or start the service if it does not run"
)
"""Refusal of a server that no process of the service uses."""
CANNOT_FOLLOW = "a process of an earlier version, which cannot follow, uses the tracker: stop it, and wait until its lease is over"
"""Refusal of a tracker that a process uses which would go on without the partitions."""


def _require_presence(keys: SplitKeys) -> None:
    """Check that processes of the service use these keys, and can follow; those of an interrupted split are closed.

    :raises MoveRefused: no process uses them, or one cannot follow.
    """
    processes = keys.live_processes()
    if not (processes or keys.is_closed()):
        raise MoveRefused(NO_PRESENCE)
    if not all(map(can_follow, processes)):
        raise MoveRefused(CANNOT_FOLLOW)


class Splitter(PartitionChange[SplitKeys]):
    """Splits a tracker. A split that has not ended is stored, see ``PartitionMove.is_split``.

    :param server: name of the server of the tracker, on which all partitions will be.
    :param keys_of: returns the keys of a tracker of one partition at a server of this name; the last argument identifies this call.
    """

    def __init__(self, directory: Directory, server: str, keys_of: Callable[[str, str], SplitKeys]) -> None:
        super().__init__(directory)
        self._server = server
        self._keys_of = keys_of

    def split(self, count: int) -> Moved:
        """Split the tracker, or finish an earlier call; with a count of 1, take that one back, if the directory was not switched.

        :raises MoveRefused: the tracker stays as it is.
        :raises SettingError: the server is not supported.
        :raises BackendUnavailable: the server or the database does not answer; nothing is changed, or the split has not ended.
        """
        if not 1 <= count <= MAX_PARTITIONS:
            raise MoveRefused(f"--into {count}: must be 1 to {MAX_PARTITIONS}")
        move = self._directory.partition_move()
        if move and not move.is_split:
            raise MoveRefused(f"partition {move.partition} has to be where it belongs first: see `dpresence partitions list`")
        with self._keys_of(move.target if move else self._server, self._id) as keys, refuse_lost_lock():
            _require_presence(keys)
            require_lock(keys, "splits the tracker")
            return self._split(keys, count)

    def _split(self, keys: SplitKeys, count: int) -> Moved:
        present, move = len(self._directory.partitions()), self._directory.partition_move()
        if move is None and (present > 1 or count == 1):
            raise MoveRefused(f"{describe_count(present)} already")
        if move and present > 1 and count != present:
            raise MoveRefused(f"--into {count}: {describe(move, self._directory.partitions(), False)}")
        began, copied, continued = time.monotonic(), 0, move is not None
        move = self._begin(move)
        try:
            if present == 1 and count > 1:
                copied = self._copy(keys, move, count)
        finally:
            opened = self._finish(move, keys)
        return Moved(copied, opened - began, continued)

    def _begin(self, move: PartitionMove | None) -> PartitionMove:
        """Store the split, or take over an earlier one: its transactions no longer switch."""
        if move:
            return self._take_over(move)
        move = PartitionMove(self._id, 0, "", self._server)
        if not self._directory.begin_partition_move(move):
            raise MoveRefused("another call has begun at the same time")
        return move

    def _copy(self, keys: SplitKeys, move: PartitionMove, count: int) -> int:
        keys.step("stop")
        copied = keys.split(count, self._users_of)
        if keys.is_used():
            raise MoveRefused(CANNOT_FOLLOW)
        if not self._directory.split_partition(move.id, [self._server] * count):
            raise MoveRefused("another call has taken over this split")
        return copied

    def _users_of(self, appid: str, puids: Sequence[str]) -> dict[str, str]:
        return {puid: grant.user for puid, grant in self._directory.grants_by_puid(appid, puids).items()}

    def _open(self, move: PartitionMove, servers: Sequence[str], *keys: SplitKeys) -> Callable[[], None]:
        """See ``PartitionChange``; after the switch the partitions are open, as they have no fence."""
        (former,) = keys
        former.reconnect()
        if len(servers) > 1:
            return former.clear
        former.step("open")
        return former.delete_partitions
