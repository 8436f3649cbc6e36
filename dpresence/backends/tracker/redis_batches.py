"""Executes the batches of one process in Redis, and registers the process on each new connection."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from ...clock import Clock
from ...settings import PresenceSettings
from ..redis.client import ExecuteBatch, Operation
from ..redis.connection import RedisConnection, info
from ..redis.connections import ConnectionFactory
from ..redis.scripts import Script, script
from .redis_signals import Signals
from .redis_values import Epochs, Known, decode_entry

log = logging.getLogger(__name__)

_OPEN = script(__package__, "open")
_BATCH = script(__package__, "batch")


class _Unknown(Exception):
    """The server no longer knows this process."""


class Batches:
    """The registration and the batches of one process.

    :param partition: number of the partition.
    :param prefix: prefix of its keys.
    :param signals: calls the listeners, with the signals of each answer.
    :ivar remembers_since: see ``Tracker``.
    """

    def __init__(
        self, server: ConnectionFactory, partition: int, prefix: str, signals: Signals, settings: PresenceSettings, clock: Clock
    ) -> None:
        self.process = secrets.token_hex(8)
        self.epochs = Epochs(partition)
        self.remembers_since = clock.now()
        self._known = Known()
        self._generation = 0
        self._run = 1  # number of the run of the server
        self._server = server
        self._prefix = prefix
        self._signals = signals
        self._settings = settings
        self._clock = clock
        self._encode, self._decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode

    def begin(self, connection: RedisConnection) -> ExecuteBatch:
        """Register this process on a new connection; the server no longer executes what was sent on an older one."""
        run_id = info(connection, "server")["run_id"]
        registration, batch = Script(connection, _OPEN), Script(connection, _BATCH)
        self._register(registration, run_id)

        def execute(operations: Sequence[Operation]) -> Sequence[Any]:
            try:
                return self._execute(batch, operations)
            except _Unknown:
                self._register(registration, run_id)
                return self._execute(batch, operations)

        return execute

    def _register(self, registration: Script, run_id: str) -> None:
        self._generation += 1
        before, known, now = self.epochs.current, self._known, self._clock.now()
        seen = (before, known.run, known.batches)
        lease = self._settings.lease_seconds * 1000
        request = (self._prefix, self.process, self._generation, lease, now, run_id, seen, secrets.token_hex(8))
        epoch, since, was_known, self._run = self._evaluate(registration, request)
        self.epochs.add(epoch, self._run)
        self._known = Known(run_id, known.batches if epoch == before else 0)
        self.remembers_since = since
        if not before:
            return
        self._signals.schedule(["missed "])  # a reply that was lost may have contained signals
        if epoch != before:
            self._server.state.resets += 1
        if epoch != before or not was_known:
            log.warning("redis: the server does not know this process; its devices are connected again")
            self._signals.schedule(["forgotten "])

    def _execute(self, batch: Script, operations: Sequence[Operation]) -> Sequence[Any]:
        settings, now, ticks = self._settings, self._clock.steady.now(), round(self._clock.monotonic() * 1000)
        interval = 1000 / settings.status_rate
        rate = (interval, interval * settings.status_burst)
        times = (settings.grace_seconds * 1000, settings.lease_seconds * 1000)
        bounds = (*times, settings.feed_seconds, settings.feed_entries, *rate, self._run)
        answer = self._evaluate(batch, (self._prefix, self.process, self._generation, now, ticks, bounds, operations))
        if answer is None:
            raise _Unknown
        self._known.batches, signals, results, local_signals, failed, entries = answer
        if signals or local_signals:
            here = [signal for signal in (*signals.split("\n"), *local_signals.split("\n")) if signal]
            start = self.epochs.start
            self._signals.schedule(here, {appid: [decode_entry(text, start) for text in texts] for appid, *texts in entries})
        for position, reason in failed:
            results[position - 1] = self._server.refused(operations[position - 1][0], reason)
        return cast("Sequence[Any]", results)

    def _evaluate(self, script: Script, request: tuple[Any, ...]) -> Any:
        reply = script.execute(self._encode(request))
        return None if reply is None else self._decode(reply)
