"""The servers of the tracker's partitions."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select, update

from ...sql import tables
from ...sql.engine import Database
from ...sql.rows import insert_new
from ...sql.transactions import reading, transaction
from ..partitions import PartitionStore
from ..values import PartitionMove

_PARTITIONS, _MOVES = tables.partitions, tables.partition_moves
_SERVERS = select(_PARTITIONS.c.server).order_by(_PARTITIONS.c.number)
_MOVE = select(_MOVES.c.id, _MOVES.c.partition, _MOVES.c.source, _MOVES.c.target)


class SqlPartitions(PartitionStore):
    """See ``PartitionStore``. The row of the move is locked by everything that depends on it."""

    database: Database

    @transaction()
    def claim_partitions(self, connection: Connection, servers: Sequence[str]) -> Sequence[str]:
        if connection.scalar(select(_PARTITIONS.c.number).limit(1)) is None:
            for number, server in enumerate(servers):  # if another process does the same, the one that inserts 0 first inserts all
                if not insert_new(connection, _PARTITIONS, number=number, server=server):
                    break
        return list(connection.scalars(_SERVERS))

    @reading()
    def partitions(self, connection: Connection) -> Sequence[str]:
        return list(connection.scalars(_SERVERS))

    @reading()
    def partition_move(self, connection: Connection) -> PartitionMove | None:
        row = connection.execute(_MOVE).first()
        return PartitionMove(*row) if row else None

    @transaction()
    def begin_partition_move(self, connection: Connection, move: PartitionMove) -> bool:
        if not insert_new(connection, _MOVES, one=1, **asdict(move)):
            return False
        server = connection.scalar(select(_PARTITIONS.c.server).where(_PARTITIONS.c.number == move.partition))
        if server != move.source:
            connection.execute(delete(_MOVES))
        return server == move.source

    @transaction()
    def take_over_partition_move(self, connection: Connection, id_: str, new_id: str) -> bool:
        return connection.execute(update(_MOVES).where(_MOVES.c.id == id_).values(id=new_id)).rowcount > 0

    @transaction()
    def switch_partition(self, connection: Connection, id_: str) -> bool:
        row = connection.execute(_MOVE.where(_MOVES.c.id == id_).with_for_update()).first()
        if row is None:
            return False
        move = PartitionMove(*row)
        connection.execute(update(_PARTITIONS).where(_PARTITIONS.c.number == move.partition).values(server=move.target))
        return True

    @transaction()
    def split_partition(self, connection: Connection, id_: str, servers: Sequence[str]) -> bool:
        if connection.execute(_MOVE.where(_MOVES.c.id == id_).with_for_update()).first() is None:
            return False
        connection.execute(delete(_PARTITIONS))
        connection.execute(insert(_PARTITIONS), [{"number": number, "server": server} for number, server in enumerate(servers)])
        return True

    @transaction()
    def replace_partition_server(self, connection: Connection, server: str, new: str) -> bool:
        move = PartitionMove("", 0, server, new)  # until the end of the transaction, so that no other one begins
        if not insert_new(connection, _MOVES, one=1, **asdict(move)):
            return False
        found = connection.execute(update(_PARTITIONS).where(_PARTITIONS.c.server == server).values(server=new)).rowcount
        connection.execute(delete(_MOVES))
        return found > 0

    @transaction()
    def end_partition_move(self, connection: Connection, id_: str) -> None:
        connection.execute(delete(_MOVES).where(_MOVES.c.id == id_))
