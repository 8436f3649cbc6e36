"""Executes the batches of one process at one server of Redis, and registers the process with each partition there."""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec

from ...clock import Clock
from ...errors import BackendUnavailable
from ...settings import PresenceSettings
from ..redis.client import ExecuteBatch, Operation
from ..redis.connection import RedisConnection, info
from ..redis.connections import ConnectionFactory
from ..redis.scripts import Script, script
from .redis_signals import Signals
from .redis_values import Epochs, Known, decode_entry, refused

log = logging.getLogger(__name__)

_OPEN = script(__package__, "open")
_BATCH = script(__package__, "batch")
MOVED = "moved "
"""Signal that a partition may be at another server."""
_ATTEMPTS = 2
"""Number of times that a section is executed if the server turns out not to know this process."""


class Registration:
    """The registration of one process with a partition, and what the process knows of the data there.

    :param process: id of the process.
    :param partition: number of the partition, None in a tracker of one partition.
    :param prefix: prefix of its keys.
    :param fence: key that exists where no process may use the partition.
    :param signals: calls the listeners, with the signals of each answer.
    :ivar remembers_since: see ``Tracker``.
    :ivar label: what precedes the signals of this partition in a message.
    :ivar forgotten: whether the server did not know this process any more when it registered last.
    """

    def __init__(
        self, process: str, partition: int | None, prefix: str, fence: str, signals: Signals, settings: PresenceSettings, clock: Clock
    ) -> None:
        self.process = process
        self.partition = partition or 0
        self.label = label(partition)
        self.signals = signals
        self.epochs = Epochs(self.partition)
        self.remembers_since = clock.now()
        self.forgotten = False
        self._known = Known()
        self._generation = 0
        self._run = 1  # number of the run of the server
        self._prefix = prefix
        self._fence = fence
        self._settings = settings
        self._clock = clock

    def register(self, registration: Script, run_id: str) -> bool:
        """Register the process; the server no longer executes what was sent before.

        :returns: False if the partition is stopped or elsewhere.
        """
        self._generation += 1
        self.forgotten = False
        before, known, now = self.epochs.current, self._known, self._clock.now()
        seen = (before, known.run, known.batches)
        lease = self._settings.lease_seconds * 1000
        request = (self._prefix, self.process, self._generation, lease, now, run_id, seen, secrets.token_hex(8), self._fence)
        answer = _evaluate(registration, request)
        if not answer:
            self.signals.schedule([MOVED])
            return False
        epoch, since, was_known, self._run = answer
        self.epochs.add(epoch, self._run)
        self._known = Known(run_id, known.batches if epoch == before else 0)
        self.remembers_since = since
        if not before:
            return True
        self.signals.schedule(["missed "])  # a reply that was lost may have contained signals
        self.forgotten = epoch != before or not was_known
        if self.forgotten:
            self.signals.schedule(["forgotten "])
        return True

    def section(self, operations: Sequence[Operation]) -> tuple[Any, ...]:
        """Return the part of a batch for this partition."""
        return self._prefix, self._generation, self._run, self.label, operations

    def receive(self, answer: Sequence[Any]) -> tuple[list[Any], Sequence[tuple[int, str]]]:
        """Schedule the signals in the answer to a section; return its results, and the positions and reasons of failures."""
        self._known.batches, signals, results, local_signals, failed, entries = answer
        if signals or local_signals:
            here = [signal for signal in (*signals.split("\n"), *local_signals.split("\n")) if signal]
            start = self.epochs.start
            self.signals.schedule(here, {appid: [decode_entry(text, start) for text in texts] for appid, *texts in entries})
        return results, failed


class Batches:
    """Executes the operations of all partitions at a server; the second value of each operation is the number of its partition.

    :param process: id of the process.
    :param channel: pub/sub channel for signals.
    """

    def __init__(self, server: ConnectionFactory, process: str, channel: str, settings: PresenceSettings, clock: Clock) -> None:
        self._server = server
        self._process = process
        self._channel = channel
        self._settings = settings
        self._clock = clock
        self._members: dict[int, Registration] = {}

    @property
    def members(self) -> Iterable[Registration]:
        """The registrations with the partitions."""
        return tuple(self._members.values())

    def member(self, partition: int) -> Registration | None:
        """Return the registration with a partition, None if it is not here."""
        return self._members.get(partition)

    def add(self, member: Registration) -> None:
        """Add a partition; the process is registered before its first operation is executed."""
        self._members[member.partition] = member

    def remove(self, member: Registration) -> None:
        """Remove a partition. Idempotent."""
        self._members.pop(member.partition, None)

    def begin(self, connection: RedisConnection) -> ExecuteBatch:
        """Register this process on a new connection; the server no longer executes what was sent on an older one."""
        return _Run(self, self._server, connection).execute

    def request(self, sections: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return the request of a batch."""
        settings, now, ticks = self._settings, self._clock.steady.now(), round(self._clock.monotonic() * 1000)
        interval = 1000 / settings.status_rate
        rate = (interval, interval * settings.status_burst)
        times = (settings.grace_seconds * 1000, settings.lease_seconds * 1000)
        bounds = (*times, settings.feed_seconds, settings.feed_entries, *rate)
        return self._process, now, ticks, bounds, self._channel, sections


class _Run:
    """The batches on one connection."""

    def __init__(self, batches: Batches, server: ConnectionFactory, connection: RedisConnection) -> None:
        self._batches = batches
        self._server = server
        self._run_id = info(connection, "server")["run_id"]
        self._registration, self._batch = Script(connection, _OPEN), Script(connection, _BATCH)
        self._registered: set[Registration] = set()
        self._register_all(batches.members)

    def _register_all(self, members: Iterable[Registration]) -> None:
        for member in members:
            self._register(member)
        if forgotten := [member for member in members if member.forgotten]:
            where = f" ({partitions_of(forgotten)})" if forgotten[0].label else ""
            log.warning("%s: the server does not know this process; its devices are connected again%s", self._server.state.label, where)

    def _register(self, member: Registration) -> None:
        epoch = member.epochs.current
        if member.register(self._registration, self._run_id):
            self._registered.add(member)
        if epoch not in ("", member.epochs.current):
            self._server.state.resets += 1

    def execute(self, operations: Sequence[Operation]) -> Sequence[Any]:
        """Execute a batch."""
        results: list[Any] = [None] * len(operations)
        positions = defaultdict[int, list[int]](list)
        for position, operation in enumerate(operations):
            positions[operation[1]].append(position)
        waiting = {member: each for partition, each in positions.items() if (member := self._batches.member(partition))}
        for _ in range(_ATTEMPTS):
            waiting = self._execute(operations, waiting, results) if waiting else {}
        return [self._refused(operations[position][1]) if result is None else result for position, result in enumerate(results)]

    def _refused(self, partition: int) -> BackendUnavailable:
        member = self._batches.member(partition)
        return refused(self._server, None if member and not member.label else partition)

    def _execute(
        self, operations: Sequence[Operation], waiting: dict[Registration, list[int]], results: list[Any]
    ) -> dict[Registration, list[int]]:
        """Execute operations, and store their results; return those that the server refuses as it does not know this process.

        :param waiting: the positions of the operations of each partition.
        """
        self._register_all(waiting.keys() - self._registered)
        waiting = {member: positions for member, positions in waiting.items() if member in self._registered}
        if not waiting:
            return {}
        sections = [member.section([operations[position] for position in positions]) for member, positions in waiting.items()]
        answers = _evaluate(self._batch, self._batches.request(sections))
        for (member, positions), answer in zip(waiting.items(), answers, strict=True):
            if answer:
                found, failed = member.receive(answer)
                for position, reason in failed:
                    found[position - 1] = self._server.refused(operations[positions[position - 1]][0], reason)
                for position, result in zip(positions, found, strict=True):
                    results[position] = result
        unknown = {member: positions for (member, positions), answer in zip(waiting.items(), answers, strict=True) if not answer}
        self._registered -= unknown.keys()
        return unknown


def partitions_of(members: Iterable[Registration]) -> str:
    """Return the numbers of partitions for the log."""
    numbers = sorted(member.partition for member in members)
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def label(partition: int | None) -> str:
    """Return the line that precedes the signals of a partition in a message, "" if there is only one."""
    return "" if partition is None else f"partition {partition}\n"


_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


def _evaluate(script: Script, request: tuple[Any, ...]) -> Any:
    return cast("Any", _decode(script.execute(_encode(request))))
