"""Scheduling of one connection: its work in greenlets of the pool, one run at a time, so that events of a connection never overlap."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ..logs import enter_session
from .workers import Workers

IDLE, _SCHEDULED, _OVERDUE, _RUNNING, _PARKED = range(5)
"""States: no run; scheduled; scheduled but not started before the last tick, or failed twice; running; to be continued by ``start``."""


class RunOwner(Protocol):
    """The connection, as its runs see it."""

    id: str

    def fail(self) -> None:
        """Log the exception that is being handled, and end the connection."""

    def finish_run(self) -> None:
        """Do the last step of a run, which calls ``end`` or ``release`` of ``ConnectionScheduler``."""

    def hasten_tick(self) -> None:
        """Have ``tick`` called in the next round."""

    def log_failure(self) -> None:
        """Log the exception that is being handled; never raises."""

    def call_guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function; its exception closes the connection and is not raised."""


class ConnectionScheduler:
    """Schedules the runs of one connection, and stores the functions that it deferred.

    :ivar state: one of the states above.
    """

    __slots__ = ("_deferred", "_owner", "_workers", "state")

    def __init__(self, workers: Workers, owner: RunOwner) -> None:
        self._workers = workers
        self._owner = owner
        self.state = IDLE
        self._deferred: deque[Callable[[], None]] | None = None

    @property
    def idle(self) -> bool:
        """True if no run is scheduled or running."""
        return self.state == IDLE

    @property
    def nothing_deferred(self) -> bool:
        """True if no deferred function waits."""
        return not self._deferred

    def schedule(self, body: Callable[[], None]) -> None:
        """Run ``body`` in the next iteration of the event loop, unless a run is scheduled or running."""
        if self.state == IDLE:
            self.hasten_tick()
            self.state = _SCHEDULED
            self._workers.spawn(self._run, body)

    def schedule_finish(self) -> None:
        """Schedule a run of the last step only. May be called from any greenlet."""
        if self.state == IDLE:
            self.schedule(self._owner.finish_run)

    def start(self, body: Callable[[], None]) -> None:
        """Run ``body`` at once. Must be called in the event loop, while no run is scheduled or running; it may be parked."""
        self.hasten_tick()
        self.state = _SCHEDULED
        self._workers.run(self._run, body)

    def hasten_tick(self) -> None:
        """Have ``check`` called within a second, and while a run goes on: it detects one that fails to start, or to end."""
        self._owner.hasten_tick()

    def defer(self, function: Callable[[], None]) -> None:
        """Store a function for ``run_deferred``."""
        if self._deferred is None:
            self._deferred = deque()
        self._deferred.append(function)

    def run_deferred(self) -> None:
        """Call the deferred functions in order, also those that they defer."""
        while self._deferred:
            self._owner.call_guarded(self._deferred.popleft())
        self._deferred = None

    @property
    def parked(self) -> bool:
        """True if a run is to be continued by ``start``, or ended."""
        return self.state == _PARKED

    def park(self) -> None:
        """Interrupt a run without blocking its greenlet. Nothing else can be scheduled."""
        self.state = _PARKED

    def end(self) -> None:
        """End a run; the next one may be scheduled."""
        self.state = IDLE

    def release(self) -> None:
        """End the last run of a connection that has ended. Nothing is scheduled any more."""
        del self._owner  # a reference cycle

    def check(self) -> None:
        """Check once a second that a scheduled run has started.

        :raises RuntimeError: it has not. Callbacks run in order, so it should have started since the last check.
        """
        if self.state == _SCHEDULED:
            self.state = _OVERDUE
        elif self.state == _OVERDUE:
            self.state = IDLE
            raise RuntimeError("a scheduled run has not started")

    def _run(self, body: Callable[[], None]) -> None:
        """Call ``body`` and handle all its exceptions, so that the connection does not stay busy."""
        self.state = _RUNNING
        enter_session(self._owner.id)
        try:
            body()
        except BaseException:
            self.state = _OVERDUE  # if the next line fails as well, the next tick ends the connection
            self._end_failed()

    def _end_failed(self) -> None:
        """End a connection whose run has failed."""
        owner = self._owner
        self.state = _RUNNING
        try:
            owner.fail()
            owner.finish_run()
        except BaseException:
            self.state = _OVERDUE
            owner.log_failure()
