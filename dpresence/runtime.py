"""Measures of the process as a whole: the event loop and the garbage collector."""

from __future__ import annotations

import gc
from time import perf_counter

from .coalesced_timers import sleep_coalesced
from .measures import Histogram
from .tasks import Task

LAG_INTERVAL = 0.5
"""Seconds between two measurements of the lag of the event loop."""


class RuntimeMeasures:
    """Measures how late the event loop runs timers, and how long the garbage collector stops the process.

    :ivar lag: seconds by which a timer was late.
    :ivar pauses: seconds of the collections of the two older generations. Those of the youngest take microseconds.
    """

    def __init__(self) -> None:
        self.lag, self.pauses = Histogram(), Histogram()
        self._began = 0.0
        self._task: Task | None = None

    def start(self) -> None:
        """Start to measure."""
        self._task = Task("measuring of the event loop", self._measure_lag)
        gc.callbacks.append(self._on_collection)

    def stop(self) -> None:
        """Stop measuring. Idempotent."""
        if self._task is not None:
            self._task.stop()
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)

    def counts(self) -> dict[str, float]:
        """Return the counts."""
        found: dict[str, float] = {}
        self.lag.add_to(found, "event_loop_lag")
        self.pauses.add_to(found, "gc_pause")
        return found

    def _measure_lag(self) -> None:
        while True:
            self.lag.observe(sleep_coalesced(LAG_INTERVAL))

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"]:
            if phase == "start":
                self._began = perf_counter()
            else:
                self.pauses.observe(perf_counter() - self._began)
