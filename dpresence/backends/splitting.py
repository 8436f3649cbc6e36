"""Splits a tracker without partitions into several while the service runs (docs/decisions/0074-splitting.md)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from ..errors import BackendUnavailable
from .directory import Directory, PartitionMove
from .moving import Moved, MoveRefused, describe
from .tracker.moving_place import Lost
from .tracker.splitting_place import SplittingPlace

MAX_PARTITIONS = 256
"""Maximum of ``redis.partitions``."""


class Splitter:
    """Splits a tracker. A split that has not ended is stored as a move of partition 0 without a source.

    :param server: name of the server of the tracker, on which all partitions will be.
    :param place_of: returns the tracker without partitions at a server of this name; the last argument identifies this call.
    """

    def __init__(self, directory: Directory, server: str, place_of: Callable[[str, str], SplittingPlace]) -> None:
        self._directory = directory
        self._server = server
        self._place_of = place_of
        self._id = secrets.token_hex(8)

    def split(self, count: int) -> Moved:
        """Split the tracker, or finish an earlier call; with a count of 1, take that one back, if the directory was not switched.

        :raises MoveRefused: the tracker stays as it is.
        :raises SettingError: the server is not supported.
        :raises BackendUnavailable: the server or the database does not answer; nothing is changed, or the split has not ended.
        """
        if not 1 <= count <= MAX_PARTITIONS:
            raise MoveRefused(f"--into {count}: must be 1 to {MAX_PARTITIONS}")
        move = self._directory.partition_move()
        if move and move.source:
            raise MoveRefused(f"partition {move.partition} has to be where it belongs first: see `dpresence partitions list`")
        with self._place_of(move.target if move else self._server, self._id) as place:
            if not place.lock():
                raise MoveRefused("another call splits the tracker, or was interrupted less than 15 s ago")
            try:
                return self._split(place, count)
            except Lost:
                raise MoveRefused("this call was interrupted for too long, and another one may have gone on") from None

    def _split(self, place: SplittingPlace, count: int) -> Moved:
        present, move = len(self._directory.partitions()), self._directory.partition_move()
        if move is None and (present > 1 or count == 1):
            raise MoveRefused(f"the tracker has {present} partition{'s' if present > 1 else ''} already")
        if move and present > 1 and count != present:
            raise MoveRefused(f"--into {count}: {describe(move, self._directory.partitions(), False)}")
        began, keys = time.monotonic(), 0
        move = self._begin(move)
        try:
            if present == 1 and count > 1:
                keys = self._copy(place, move, count)
        finally:
            opened = self._finish(place, move)
        return Moved(keys, opened - began)

    def _begin(self, move: PartitionMove | None) -> PartitionMove:
        """Store the split, or take over an earlier one: its transactions no longer switch."""
        if move:
            return self._take_over(move)
        move = PartitionMove(self._id, 0, "", self._server)
        if not self._directory.begin_partition_move(move):
            raise MoveRefused("another call has begun at the same time")
        return move

    def _take_over(self, move: PartitionMove) -> PartitionMove:
        id_ = secrets.token_hex(8)
        if not self._directory.take_over_partition_move(move.id, id_):
            raise MoveRefused("another call has finished or taken over this split")
        return replace(move, id=id_)

    def _copy(self, place: SplittingPlace, move: PartitionMove, count: int) -> int:
        place.step("stop")
        keys = place.split(count, self._users_of)
        if place.is_used():
            raise MoveRefused("a process of an earlier version, which cannot follow, uses the tracker")
        if not self._directory.split_partition(move.id, [self._server] * count):
            raise MoveRefused("another call has taken over this split")
        return keys

    def _users_of(self, appid: str, puids: Sequence[str]) -> dict[str, str]:
        return {puid: grant.user for puid, grant in self._directory.grants_by_puid(appid, puids).items()}

    def _finish(self, place: SplittingPlace, move: PartitionMove) -> float:
        """Delete the former keys after the switch, or open the tracker again; return when it was open (monotonic seconds)."""
        advice = "see `dpresence partitions list`"
        try:
            move = self._take_over(move)
            servers = self._directory.partitions()
            is_split, advice = len(servers) > 1, describe(move, servers, False)
            place.reconnect()
            if not is_split:
                place.step("open")
            opened = time.monotonic()
            with suppress(BackendUnavailable):
                place.signal()
            if is_split:
                place.clear()
            else:
                place.delete_partitions()
            self._directory.end_partition_move(move.id)
            return opened
        except BackendUnavailable as error:
            raise BackendUnavailable(f"the split has not ended: {advice}") from error
