"""The keys of one partition at one server, as the command sees them that moves the partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from typing import Any, Self

import msgspec

from ...errors import BackendUnavailable
from ..redis.checks import check_server, refuse_eviction
from ..redis.connection import RedisConnection, ask
from ..redis.connections import ConnectionFactory
from ..redis.scripts import Script, script
from .redis_server import signal_moved
from .redis_values import fence_key, key_prefix, lock_key

LEASE_SECONDS = 15
"""Time after which a mover that does nothing loses its lock."""

_MOVE = script(__package__, "move")
_SCANNED, _COPIED = 5000, 1000
"""Keys that one command examines, and keys that one script copies."""


class LockLost(Exception):
    """The mover no longer holds the lock, or the server has lost the fence."""


class PartitionKeys:
    """The keys of one partition at one server; a context with a connection, which gives the lock back at its end.

    :param partition: None for a tracker of one partition.
    :param mover: identifies the mover.
    :ivar prefix: prefix of the keys of the partition.
    """

    def __init__(self, server: ConnectionFactory, partition: int | None, mover: str) -> None:
        self.prefix = key_prefix(server, partition)
        self._server = server
        self._partition = partition
        self._fence, self._lock, self._mover = fence_key(server, partition), lock_key(server, partition), mover
        self._opened = ExitStack()
        self._connection: RedisConnection
        self._script: Script

    def __enter__(self) -> Self:
        """Connect.

        :raises SettingError: the server is not supported.
        :raises BackendUnavailable: the server does not answer.
        """
        check_server(self._server)
        refuse_eviction(self._server)
        with self._server.errors():
            self._connection = self._server.connect()
            self._opened.callback(self._connection.disconnect)
            self._script = Script(self._connection, _MOVE)
        return self

    def __exit__(self, *error: object) -> None:
        with self._opened, suppress(BackendUnavailable, LockLost):
            self.step("unlock")

    def reconnect(self) -> None:
        """Replace the connection, on which a reply may be outstanding after an interruption."""
        with self._server.errors():
            self._connection.disconnect()
            self._connection.connect()

    # -- locks and fences

    def lock(self) -> bool:
        """Take the lock; return False if another mover holds it."""
        with self._server.errors():
            return ask(self._connection, "SET", self._lock, self._mover, "NX", "PX", LEASE_SECONDS * 1000) is not None

    def step(self, name: str, *arguments: bytes) -> Any:
        """Execute a step of ``lua/move.lua``.

        :raises LockLost: the lock or the fence is lost; nothing was changed.
        """
        request = (self.prefix, self._fence, self._lock, self._mover, LEASE_SECONDS * 1000, name)
        with self._server.errors():
            answer = self._script.execute(msgspec.msgpack.encode(request), *arguments)
        if answer == 0:
            raise LockLost
        return answer

    def is_used(self) -> bool:
        """Return whether a process is registered."""
        return self._exists(f"{self.prefix}processes")

    def is_closed(self) -> bool:
        """Return whether there is a fence."""
        return self._exists(self._fence)

    def has_data(self) -> bool:
        """Return whether there is data that a process may use; that beside the fence of a partition that is elsewhere may be old."""
        with self._server.errors():
            is_elsewhere = ask(self._connection, "TYPE", self._fence) == b"string"
        return not is_elsewhere and self._exists(f"{self.prefix}meta")

    def _exists(self, key: str) -> bool:
        with self._server.errors():
            return bool(ask(self._connection, "EXISTS", key))

    def signal(self) -> None:
        """Tell every process at this server to read the directory."""
        signal_moved(self._server, self._partition)

    def durability(self) -> dict[str, str]:
        """Return the options of the server that decide what it may lose; those that its user may not read are missing."""
        facts = self._server.facts()
        fsync = self._server.option("appendfsync") if facts["aof_enabled"] == "1" else None
        found = {"appendonly": facts["aof_enabled"], "appendfsync": fsync, "maxmemory-policy": facts.get("maxmemory_policy")}
        return {name: value for name, value in found.items() if value is not None}

    # -- keys

    def names(self) -> Iterator[bytes]:
        """Yield the names of the keys; while the partition is stopped, all of them, some perhaps twice."""
        return self.scan("SCAN", match=f"{self.prefix}*")

    def scan(self, *command: str, match: str = "*", count: int = _SCANNED) -> Iterator[bytes]:
        """Yield what a command of the SCAN family finds, some of it perhaps twice, while the lock is held."""
        cursor = b""
        while cursor != b"0":
            self.step("hold")
            with self._server.errors():
                cursor, found = ask(self._connection, *command, cursor or b"0", "MATCH", match, "COUNT", count)
            yield from found

    def copy_to(self, other: PartitionKeys) -> int:
        """Copy the partition, which is stopped, to another server, where it is stopped as well; return the number of keys."""
        count = sum(self._copy(keys, other) for keys in batches(self.names()))
        return count + self._copy([self._fence.encode()], other)

    def _copy(self, keys: Sequence[bytes], other: PartitionKeys) -> int:
        """Copy the keys that exist; return their number."""
        count = 0
        while keys:
            done, copied, dumped = self.step("dump", *keys)
            other.step("restore", dumped)
            keys, count = keys[done:], count + copied
        return count

    def clear(self) -> None:
        """Let the partition be elsewhere and delete its keys."""
        self.step("close")
        self.delete(self.names())

    def delete(self, keys: Iterator[bytes]) -> None:
        """Delete keys."""
        for batch in batches(keys):
            self.step("delete", *batch)


def batches(keys: Iterator[bytes], size: int = _COPIED) -> Iterator[list[bytes]]:
    """Yield lists of up to ``size`` keys."""
    while batch := list(islice(keys, size)):
        yield batch
