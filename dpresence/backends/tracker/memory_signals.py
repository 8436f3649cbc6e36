"""Signals, claims and published counts of the in-memory tracker, which serves only one process."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...clock import Clock
from . import Listener, PublishedCounts, Topic, Tracker


class MemorySignals(Tracker):
    """Signals, claims, and what the process publishes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: list[Listener] = []
        self._claims: dict[str, float] = {}  # task -> end of the claim
        self._published = PublishedCounts([], {})

    def subscribe(self, listener: Listener, reads: Callable[[str], bool] = lambda appid: False) -> None:
        self._listeners.append(listener)

    def signal(self, topic: Topic, key: str) -> None:
        for listener in self._listeners:
            listener(topic, key)

    def publish(self, report: str, counts: Mapping[str, float]) -> None:
        self._published = PublishedCounts([report], dict(counts))

    def published(self) -> PublishedCounts:
        return self._published

    def claim(self, task: str, seconds: float) -> bool:
        now = self._clock.monotonic()
        if self._claims.get(task, now) > now:
            return False
        self._claims[task] = now + seconds
        return True

    def ping(self) -> None:
        """Do nothing: there is no external store."""

    def renew(self) -> None:
        """Do nothing: there is no lease."""

    def signed_out(self, user: str, device: str, connection: str, sign_in_revision: int) -> bool:
        return True  # this tracker never loses data
