"""Scheduling of one connection: its work in greenlets of the pool, one run at a time, so that events of a connection never overlap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from ..logs import enter_session
from .frame_receiver import FrameReceiver
from .workers import Workers

IDLE, _SCHEDULED, _OVERDUE, _RUNNING, _SUSPENDED = range(5)
"""States: no run; scheduled; scheduled but not started before the last tick, or failed twice; running; to be continued by ``start_run``."""


class ConnectionScheduler(FrameReceiver, ABC):
    """The part of a connection that schedules its runs, and stores the functions that it deferred.

    :ivar id: unguessable id of the connection, unique in this process.
    :ivar run_state: one of the states above.
    """

    __slots__ = ("_deferred", "id", "run_state")

    def __init__(self, id: str) -> None:
        self.id = id
        self.run_state = IDLE
        self._deferred: deque[Callable[[], None]] | None = None

    # What the connection implements

    @property
    @abstractmethod
    def _workers(self) -> Workers:
        """The pool of greenlets."""

    @abstractmethod
    def fail(self) -> None:
        """Log the exception that is being handled, and end the connection."""

    @abstractmethod
    def finish_run(self) -> None:
        """Do the last step of a run, which calls ``end_run`` unless the connection has ended: then nothing is scheduled any more."""

    @abstractmethod
    def tick_soon(self) -> None:
        """Have ``tick`` called in the next round: ``check_run`` detects a run that fails to start, or to end."""

    @abstractmethod
    def log_failure(self) -> None:
        """Log the exception that is being handled; never raises."""

    @abstractmethod
    def call_guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function; its exception closes the connection and is not raised."""

    # Runs

    def schedule(self, body: Callable[[], None]) -> None:
        """Run ``body`` in the next iteration of the event loop, unless a run is scheduled or running."""
        if self.run_state == IDLE:
            self.tick_soon()
            self.run_state = _SCHEDULED
            self._workers.spawn(self._run, body)

    def schedule_finish(self) -> None:
        """Schedule a run of the last step only. May be called from any greenlet."""
        if self.run_state == IDLE:
            self.schedule(self.finish_run)

    def start_run(self, body: Callable[[], None]) -> None:
        """Run ``body`` at once. Must be called in the event loop, while no run is scheduled or running; it may be suspended."""
        self.tick_soon()
        self.run_state = _SCHEDULED
        self._workers.run(self._run, body)

    def store_deferred(self, function: Callable[[], None]) -> None:
        """Store a function for ``run_deferred``."""
        if self._deferred is None:
            self._deferred = deque()
        self._deferred.append(function)

    def run_deferred(self) -> None:
        """Call the deferred functions in order, also those that they defer."""
        while self._deferred:
            self.call_guarded(self._deferred.popleft())
        self._deferred = None

    @property
    def run_suspended(self) -> bool:
        """True if a run is to be continued by ``start_run``, or ended."""
        return self.run_state == _SUSPENDED

    def suspend_run(self) -> None:
        """Interrupt a run without blocking its greenlet. Nothing else can be scheduled."""
        self.run_state = _SUSPENDED

    def end_run(self) -> None:
        """End a run; the next one may be scheduled."""
        self.run_state = IDLE

    def check_run(self) -> None:
        """Check once a second that a scheduled run has started.

        :raises RuntimeError: it has not. Callbacks run in order, so it should have started since the last check.
        """
        if self.run_state == _SCHEDULED:
            self.run_state = _OVERDUE
        elif self.run_state == _OVERDUE:
            self.run_state = IDLE
            raise RuntimeError("a scheduled run has not started")

    def _run(self, body: Callable[[], None]) -> None:
        """Call ``body`` and handle all its exceptions, so that the connection does not stay busy."""
        self.run_state = _RUNNING
        enter_session(self.id)
        try:
            body()
        except BaseException:
            self.run_state = _OVERDUE  # if the next line fails as well, the next tick ends the connection
            self._end_failed()

    def _end_failed(self) -> None:
        """End a connection whose run has failed."""
        self.run_state = _RUNNING
        try:
            self.fail()
            self.finish_run()
        except BaseException:
            self.run_state = _OVERDUE
            self.log_failure()
