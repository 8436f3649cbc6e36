"""The part of the directory that knows the servers of the tracker's partitions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .values import PartitionMove


class PartitionStore(ABC):
    """The server of each partition, and the move that has not ended; a part of ``Directory`` (docs/decisions/0056-moving-partitions.md)."""

    @abstractmethod
    def claim_partitions(self, servers: Sequence[str]) -> Sequence[str]:
        """Write the server of each partition of the tracker to a store that has none yet; return the stored servers, by partition."""

    @abstractmethod
    def partitions(self) -> Sequence[str]:
        """Return the server of each partition of the tracker, empty if no service with a tracker in Redis has started."""

    @abstractmethod
    def partition_move(self) -> PartitionMove | None:
        """Return the move that has not ended."""

    @abstractmethod
    def begin_partition_move(self, move: PartitionMove) -> bool:
        """Store a move; return False if another one has not ended, or the partition is not at its source."""

    @abstractmethod
    def take_over_partition_move(self, id_: str, new_id: str) -> bool:
        """Replace the id of the stored move, whose mover can then no longer switch; return False if no move has the first id."""

    @abstractmethod
    def switch_partition(self, id_: str) -> bool:
        """Let the partition of the stored move be at its target; return False without a change if no move has this id."""

    @abstractmethod
    def split_partition(self, id_: str, servers: Sequence[str]) -> bool:
        """Replace the server of a tracker of one partition by those of several; return False without a change if no move has this id."""

    @abstractmethod
    def replace_partition_server(self, server: str, new: str) -> bool:
        """Let all partitions of a server be at another one; return False without a change if none is there, or a move has not ended."""

    @abstractmethod
    def end_partition_move(self, id_: str) -> None:
        """Delete the stored move if it has this id."""
