"""Finds the nodes of a Redis Cluster that have given keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from redis import RedisError
from redis.crc import key_slot

from ...errors import BackendUnavailable
from .connection import ask
from .connections import ConnectionFactory
from .state import NoPrimary

_DATABASE = 0
"""The only database of a cluster."""


def nodes_of(keys: Sequence[str], nodes: Iterable[ConnectionFactory]) -> list[str]:
    """Return the primary that has each key, by host, port and database.

    :param nodes: some nodes, which are asked in turn until one that is part of the working cluster answers; a replica will do.
    :raises BackendUnavailable: none does.
    """
    failure = BackendUnavailable()
    for node in nodes:
        try:
            with node.errors():
                primaries = _primaries(node)
                return [_primary_of(key, primaries) for key in keys]
        except BackendUnavailable as error:
            failure = error
    raise failure


def _primaries(node: ConnectionFactory) -> list[tuple[int, int, str]]:
    """Return the ranges of slots with their primaries."""
    connection = node.connect_to()
    try:
        if b"cluster_state:ok" not in ask(connection, "CLUSTER", "INFO"):
            raise NoPrimary("the cluster is down, or this node is cut off from it")
        ranges = ask(connection, "CLUSTER", "SLOTS")
    finally:
        connection.disconnect()
    own = node.state.name.rpartition(":")[0]
    return [(first, last, _name(primary, own)) for first, last, primary, *_ in ranges]


def _name(primary: Sequence[bytes | int], own: str) -> str:
    """Return the name of a node as in ``redis_name``; one that knows no host of its own has that of the node that was asked."""
    given, port = primary[0], primary[1]
    host = given.decode() if isinstance(given, bytes) else ""
    return f"{f'[{host}]' if ':' in host else host or own}:{int(port)}/{_DATABASE}"


def _primary_of(key: str, primaries: Iterable[tuple[int, int, str]]) -> str:
    slot = key_slot(key.encode())
    for first, last, name in primaries:
        if first <= slot <= last:
            return name
    raise RedisError(f"no node of the cluster has the slot {slot}")
