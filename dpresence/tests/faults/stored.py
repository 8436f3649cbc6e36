"""Everything that a service keeps in Redis and in its database, read past the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import metadata

from .cluster import Cluster


def redis_keys(client: Any, prefix: str, lasting: bool = False) -> dict[str, str]:
    """Return the type of every key of a service by its name without the prefix.

    :param lasting: leave out those that end by themselves.
    """
    keys = [key for key in client.scan_iter(f"{prefix}*", 1000) if not lasting or client.ttl(key) == -1]
    return {key.decode()[len(prefix) :]: client.type(key).decode() for key in keys}


def redis_values(cluster: Cluster) -> Iterator[bytes]:
    """Return every key, member, field and value of a service."""
    client = cluster.stores.redis.client
    read = {"string": _string, "hash": _hash, "set": _set, "zset": _sorted_set, "list": _list, "stream": _stream}
    for name, kind in redis_keys(client, cluster.prefix).items():
        yield name.encode()
        yield from read[kind](client, cluster.prefix + name)
    client.close()


def _string(client: Any, key: str) -> list[bytes]:
    return [client.get(key) or b""]


def _hash(client: Any, key: str) -> list[bytes]:
    return [part for pair in client.hgetall(key).items() for part in pair]


def _set(client: Any, key: str) -> list[bytes]:
    return list(client.smembers(key))


def _sorted_set(client: Any, key: str) -> list[bytes]:
    return list(client.zrange(key, 0, -1))


def _list(client: Any, key: str) -> list[bytes]:
    return list(client.lrange(key, 0, -1))


def _stream(client: Any, key: str) -> list[bytes]:
    return [part for _, entry in client.xrange(key) for pair in entry.items() for part in pair]


def rows(url: str) -> dict[str, int]:
    """Return the number of rows of every table that has any."""
    database = Database(url)
    try:
        counts = database.run(
            lambda connection: {table.name: connection.scalar(select(func.count()).select_from(table)) for table in metadata.sorted_tables}
        )
    finally:
        database.close()
    return {name: int(count or 0) for name, count in counts.items() if count}
