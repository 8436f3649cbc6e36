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
PORTS = range(10_000, 10_000 + BUS)
"""Neither these nor their ports of the bus are among those that Linux gives to outgoing connections, which could take a killed node's."""


def _ports(count: int) -> list[int]:
    """Return so many ports that are free, as are those of the bus."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(PORTS)
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + BUS))
            found += [port] if port not in found else []
    return found


class ClusterNode(RedisServer):
    """One node, which is also on a unix socket, for the tests.

    :param timeout_ms: time without an answer after which the others take it for down.
    """

    def __init__(self, folder: Path, port: int, timeout_ms: int, **options: str) -> None:
        self.port = port
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

    def view(self) -> dict[str, str]:
        """Return the id of the primary of each node that this one knows, "-" for a primary, by the node's id."""
        nodes = self.client.execute_command("CLUSTER NODES").values()
        return {node["node_id"]: node["master_id"] for node in nodes if "handshake" not in node["flags"]}

    def server(self, seconds: float = PATIENCE_SECONDS, prefix: str = "dpresence:", name: str = "") -> ConnectionFactory:
        settings = RedisSettings(self.url, timeout_seconds=seconds, prefix=prefix, cluster=True)
        return ConnectionFactory(settings, name or self.name, "redis.urls")


class RedisCluster:
    """Primaries that share all slots, in order, and the same number of replicas, or none."""

    def __init__(self, folder: Path, primaries: int = 3, replicated: bool = False, timeout_ms: int = 60_000) -> None:
        self.nodes: list[ClusterNode] = []
        for port in _ports(primaries * (2 if replicated else 1)):
            own = folder / str(port)
            own.mkdir()
            self.nodes.append(ClusterNode(own, port, timeout_ms, fsync="always"))
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
        self._await_view(dict.fromkeys((node.id for node in self.nodes), "-"))
        pairs = [(primary.id, replica) for primary, replica in zip(self.primaries, self.replicas, strict=False)]
        for primary, replica in pairs:
            replica.tell("REPLICATE", primary)
        eventually(self._is_ok)
        self._await_view({**{node.id: "-" for node in self.primaries}, **{replica.id: primary for primary, replica in pairs}})
        return self

    def _await_view(self, expected: dict[str, str]) -> None:
        """Wait until every node knows every node, and the primary of each replica."""
        eventually(lambda: all(node.view() == expected for node in self.nodes))

    def _is_ok(self) -> bool:
        """Return whether every node has a complete map of the slots, and every replica the data of its primary."""
        replicated = all(node.client.info("replication").get("master_link_status") == "up" for node in self.replicas)
        infos = [node.client.execute_command("CLUSTER INFO") for node in self.nodes]
        return replicated and all((info["cluster_state"], info["cluster_slots_ok"]) == ("ok", str(SLOTS)) for info in infos)

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
