"""The connections of a process to one Redis server, for batches and for signals. All partitions of the tracker there share them."""

from __future__ import annotations

from contextlib import ExitStack

from ...clock import Clock
from ...settings import PresenceSettings
from ..redis.checks import check_server, refuse_eviction, warn_of_eviction
from ..redis.client import BatchingClient
from ..redis.connections import ConnectionFactory
from ..redis.pubsub import PubSub
from . import Topic
from .redis_batches import MOVED, Batches, Registration, label
from .redis_values import weight
from .registered import make_process_id

_SIGNALS_CHANNEL = "t:wakes"
"""Suffix of the pub/sub channel; ``lua/batch.lua`` publishes on it. Processes of all versions use this name."""
_PARTITION = "partition"
"""Topic of the line that precedes the signals of a partition."""


class TrackerServer:
    """The connections of one process to a server. They are closed when the last partition has left.

    :param process: id of the process, the same at all servers: a partition that is moved is still that of the process.
    :ivar connections: creates the connections.
    :raises SettingError: the server is not supported.
    :raises BackendUnavailable: the server does not answer.
    """

    def __init__(self, server: ConnectionFactory, settings: PresenceSettings, clock: Clock, process: str = "") -> None:
        check_server(server)
        refuse_eviction(server)
        server.on_switch(warn_of_eviction)
        if server.in_cluster:
            server.on_failure(self._on_failure)  # another node may have the partitions now
        self.connections = server
        self.process = process or make_process_id()
        channel = _channel(server)
        self._batches = Batches(server, self.process, channel, settings, clock)
        with ExitStack() as started:  # closes what has started when a later step fails
            self.client = BatchingClient(server, self._batches.begin, "tracker", weigh=weight)
            started.callback(self.client.close)
            self.pubsub = PubSub(server, channel, f"{channel}:{self.process}", self._on_message, self._on_gap)
            started.pop_all()

    def join(self, member: Registration) -> None:
        """Add a partition."""
        self._batches.add(member)

    def leave(self, member: Registration) -> None:
        """Remove a partition."""
        self._batches.remove(member)
        if not self._batches.members:
            self.pubsub.close()
            self.client.close()

    def _on_message(self, message: bytes) -> None:
        process, *signals = message.decode().split("\n")
        if process == self.process:  # the listeners of this process were called when the reply arrived
            return
        member = next(iter(self._batches.members), None)
        for signal in signals:
            topic, _, key = signal.partition(" ")
            if topic == _PARTITION:
                member = self._batches.member(int(key))
            elif member is not None:
                member.signals.dispatch([signal])

    def _on_failure(self) -> None:
        for member in self._batches.members:
            member.signals.schedule([MOVED])

    def _on_gap(self) -> None:
        for member in self._batches.members:
            member.signals.schedule(["missed "])


def _channel(server: ConnectionFactory) -> str:
    """Return the channel of a server. A cluster passes messages on to all nodes, so each node has a channel of its own.

    It has the id of the node, as processes may reach a node by different hosts.

    :raises BackendUnavailable: the node does not answer.
    """
    channel = f"{server.prefix}{_SIGNALS_CHANNEL}"
    return f"{channel}:{server.command('CLUSTER', 'MYID').decode()}" if server.in_cluster else channel


def signal(server: ConnectionFactory, topic: Topic, key: str) -> None:
    """Send a signal that concerns no partition in particular, from a process that is not a service.

    :raises BackendUnavailable: the server does not answer.
    """
    server.command("PUBLISH", _channel(server), f"\n{topic} {key}")


def has_listeners(server: ConnectionFactory) -> bool:
    """Return whether a process listens for signals, which it does as long as it runs.

    :raises BackendUnavailable: the server does not answer, or its user may not know.
    """
    _, count = server.command("PUBSUB", "NUMSUB", _channel(server))
    return bool(count)


def signal_moved(server: ConnectionFactory, partition: int | None) -> None:
    """Tell the processes at a server that a partition, or None for that of a tracker of one partition, may be elsewhere.

    :raises BackendUnavailable: the server does not answer.
    """
    server.command("PUBLISH", _channel(server), f"\n{label(partition)}{MOVED}")
