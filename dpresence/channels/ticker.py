"""The ticks of all connections, about once a second."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator

import gevent

from ..coalesced_timers import sleep_coalesced
from ..service.scheduling import yield_to_loop
from ..tasks import Task
from .gate import AdmittedConnection, Gate, PingedConnection

log = logging.getLogger(__name__)


class Ticker:
    """Calls ``tick`` of the connections that are due, about once a second, and yields to the event loop between slices.

    An idle connection is due once for each ping: when it is to be sent. The pings of a round are checked together when their pongs would
    be overdue, which costs a twentieth of a tick for each that was answered.
    """

    SLICE = 256

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._task: Task | None = None
        self._pinged: deque[tuple[float, list[PingedConnection]]] = deque()  # with the time at which their pongs are overdue

    def start(self) -> None:
        """Start the task."""
        self._task = Task("ticks of connections", self._run)

    def stop(self) -> None:
        """Stop the task."""
        task, self._task = self._task, None
        if task is not None:
            task.stop()

    def _run(self) -> None:
        while True:
            sleep_coalesced(self._gate.TICK_SECONDS)
            # Callbacks run in order, so every run that was scheduled before the last tick has started after this. With many connections
            # or little CPU the event loop is behind by more than the interval, and a run that only waits would be taken for a lost one.
            gevent.sleep(0)
            self._tick_due()

    def _tick_due(self) -> None:
        gate, now = self._gate, self._gate.clock.monotonic()
        due: dict[AdmittedConnection, None] = dict.fromkeys((*self._silent(now), *gate.connections.due(now)))
        for index, connection in enumerate(due, 1):
            if connection.bucket is not None:  # it has not ended since
                try:
                    gate.connections.settle(connection, connection.tick(now))
                except BaseException:  # the others are ticked all the same
                    self._end(connection)
            if not index % self.SLICE:
                yield_to_loop()
                now = gate.clock.monotonic()
        if gate.pinged:
            self._pinged.append((now + gate.settings.presence.pong_seconds, gate.pinged))
            gate.pinged = []

    def _silent(self, now: float) -> Iterator[PingedConnection]:
        """Yield the connections that have not answered a ping in time."""
        while self._pinged and self._pinged[0][0] <= now:
            yield from (connection for connection in self._pinged.popleft()[1] if connection.awaits_pong)

    def _end(self, connection: AdmittedConnection) -> None:
        """End a connection whose tick has failed. If that fails too, remove it, so that the failure is logged only once."""
        try:
            connection.fail()
        except BaseException:
            log.exception("connection %s could not be ended", connection.id)
            self._gate.leave(connection)
