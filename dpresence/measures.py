"""Counters of a process for its metrics: counts by key, and histograms of seconds.

A key is the name of a metric in ``metric_families`` without its prefix and suffix, followed by the values of its labels, with spaces in
between: ``refusals 34``. Such counts are numbers by text, so that those of several processes and versions can be added.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of every histogram."""


class Histogram:
    """Counts observations by their seconds.

    :ivar counts: number of observations in each bucket, those beyond the last bound at the end.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    def add_to(self, counts: dict[str, float], key: str) -> None:
        """Add the buckets that are not empty, and the sum, to ``counts``."""
        for index, count in enumerate(self.counts):
            if count:
                counts[f"{key} {SECONDS[index] if index < len(SECONDS) else 'inf'}"] = count
        counts[f"{key} sum"] = self.total


class StoreMeasures:
    """Counts of a process about the calls to one store.

    :param store: its name: ``database``, ``redis``.
    :param calls: the kinds of calls whose duration is measured.
    :param waiting: returns the number of calls that wait or run.
    :ivar errors: number of errors of the driver, and of calls without an answer in time.
    """

    def __init__(self, store: str, calls: Iterable[str], waiting: Callable[[], int]) -> None:
        self.store = store
        self.seconds = {call: Histogram() for call in calls}
        self.errors = 0
        self._waiting = waiting

    @property
    def state(self) -> str:
        """Word for the state of the store, "" if it is not known."""
        return ""

    @property
    def server(self) -> str:
        """Name of its server, "" if there is only one of the store."""
        return ""

    def counts(self) -> dict[str, float]:
        """Return the counts."""
        found: dict[str, float] = {f"backend_errors {self.store}": self.errors}
        for call, histogram in self.seconds.items():
            histogram.add_to(found, f"backend {self.store} {call}")
        return found

    def gauges(self) -> dict[str, float]:
        """Return the present values."""
        return {f"backend_calls {self.store}": self._waiting()}
