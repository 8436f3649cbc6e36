"""A real Redis Cluster on ports of loopback."""

from __future__ import annotations

import random
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from redis import RedisError
from redis.crc import key_slot

from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.settings import RedisSettings
from dpresence.settings.allowed import redis_name
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .redis import RedisServer

SLOTS = 16384
BUS = 10_000
"""Distance of the port by which the nodes talk with each other."""


def _port() -> int:
    """Return a port that is free, as is the one of the bus."""
    while True:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + BUS))
            return port


class ClusterNode(RedisServer):
    """One node, which is also on a unix socket, for the tests.

    :param timeout_ms: time without an answer after which the others take it for down.
    """

    def __init__(self, folder: Path, timeout_ms: int, **options: str) -> None:
        self.port = _port()
        more = {"cluster-enabled": "yes", "cluster-require-full-coverage": "no", "bind": "127.0.0.1"}
        super().__init__(folder, port=str(self.port), **{"cluster-node-timeout": str(timeout_ms)}, **more, **options)
        self.url = f"redis://127.0.0.1:{self.port}/0"

    @property
    def name(self) -> str:
        return redis_name(self.url)

    @property
    def id(self) -> str:
        return self.tell("MYID").decode()

    def tell(self, *words: Any) -> Any:
        """Execute a command CLUSTER."""
        return self.client.execute_command(*(f"CLUSTER {words[0]}", *words[1:]) if len(words) == 1 else ("CLUSTER", *words))

    def server(self, seconds: float = PATIENCE_SECONDS, prefix: str = "dpresence:") -> ConnectionFactory:
        settings = RedisSettings(self.url, timeout_seconds=seconds, prefix=prefix, cluster=True)
        return ConnectionFactory(settings, self.name, "redis.urls")


class RedisCluster:
    """Primaries that share all slots, in order, and the same number of replicas, or none."""

    def __init__(self, folder: Path, primaries: int = 3, replicated: bool = False, timeout_ms: int = 60_000) -> None:
        count = primaries * (2 if replicated else 1)
        self.nodes: list[ClusterNode] = []
        for number in range(count):
            own = folder / str(number)
            own.mkdir()
            self.nodes.append(ClusterNode(own, timeout_ms, fsync="always"))
        self.primaries, self.replicas = self.nodes[:primaries], self.nodes[primaries:]
        self._slots = [range(SLOTS * number // primaries, SLOTS * (number + 1) // primaries) for number in range(primaries)]

    def start(self) -> RedisCluster:
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.primaries):
            node.tell("ADDSLOTS", *self._slots[number])
            node.tell("SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            self.nodes[0].tell("MEET", "127.0.0.1", node.port)
        eventually(self._is_known)
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            replica.tell("REPLICATE", primary.id)
        eventually(self._is_ok)
        return self

    def _is_known(self) -> bool:
        return all(len(node.client.execute_command("CLUSTER NODES")) == len(self.nodes) for node in self.nodes)

    def _is_ok(self) -> bool:
        replicated = all(node.client.info("replication").get("master_link_status") == "up" for node in self.replicas)
        return replicated and all(node.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok" for node in self.nodes)

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def clear(self) -> None:
        for node in self.primaries:
            node.client.flushall()

    def nodes_of(self, partitions: int) -> Sequence[ClusterNode]:
        """Return the first primary of each partition."""
        slots = [key_slot(f"dpresence:{{{number}}}t:".encode()) for number in range(partitions)]
        return [next(node for node, own in zip(self.primaries, self._slots, strict=True) if slot in own) for slot in slots]

    def primary_of(self, partition: int) -> ClusterNode | None:
        """Return the node that has a partition now, as it says itself, None if it is not known."""
        key = f"dpresence:{{{partition}}}t:meta"
        for node in self.nodes:
            with suppress(RedisError, OSError):
                if node.process and node.client.info("replication")["role"] == "master" and node.client.exists(key) is not None:
                    return node
        return None


@contextmanager
def running_cluster(**options: Any) -> Iterator[RedisCluster]:
    """A cluster in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    cluster = RedisCluster(folder, **options)
    try:
        yield cluster.start()
    finally:
        cluster.kill()
        shutil.rmtree(folder)
