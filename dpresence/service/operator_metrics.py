"""Metrics of all processes for the operator (docs/protocol.md, section 6, For operators)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import msgspec

from .. import messages
from ..backends import Backends
from ..backends.mailbox import Queue
from ..clock import Clock
from ..errors import BackendUnavailable
from ..exposition import expose, merge_gauges
from ..limits import Buckets
from ..metrics import Metrics, Report, merge_reports
from .scheduling import yield_to_loop

log = logging.getLogger("dpresence.admin")

_COUNT_SECONDS = 50
"""Seconds after a count in which no other process counts; the job runs less often."""
_MOST_ENTRIES = 10_000
_PART = 2000
"""Rows or queues that are counted before other work continues; in Redis fewer."""
_HEALTH = ("backend_up ", "redis_state ", "redis_server_up ")
"""Prefixes of the keys that are shown while the tracker is unavailable."""
_LOG_SECONDS = 600
"""Seconds between two log lines about the same operator who reads the metrics."""


class OperatorMetrics:
    """The metrics of all processes. Each process publishes its own through the tracker.

    :ivar gauges: function that returns the current gauges of this process.
    :ivar waiting: the numbers of waiting notifications and changes, if this process counted them last; see ``count_waiting``.
    :ivar counts: function that returns its counts, besides those of ``metrics``, by key; see ``measures``.
    """

    def __init__(self, metrics: Metrics, backends: Backends, clock: Clock) -> None:
        self.gauges: Callable[[], Mapping[str, float]] = dict
        self.counts: Callable[[], Mapping[str, float]] = dict
        self._metrics = metrics
        self._backends = backends
        self._clock = clock
        self.waiting: dict[str, float] = {}
        self._accesses = Buckets(1 / _LOG_SECONDS, 1)

    def sample(self) -> None:
        """Take a sample and publish it. It is called every few seconds."""
        self._metrics.sample(self.gauges())
        with suppress(BackendUnavailable):  # the next sample replaces it
            self.publish()

    def publish(self) -> None:
        """Publish the last sample and the present counts.

        :raises BackendUnavailable: the tracker is unavailable.
        """
        counts = {**self._metrics.counts(), **self.counts()}
        self._backends.tracker.publish(msgspec.json.encode(self._metrics.report()).decode(), counts)

    def ping_backends(self) -> None:
        """Ping every backend and record the results. Blocks until all have answered or timed out."""
        self._metrics.record_health(self._backends.ping())

    def count_waiting(self) -> None:
        """Count waiting notifications and changes: one process a minute, part by part, so that it delays nobody however many there are.

        Another process has counted more recently if this one may not; its own numbers are then not shown any more.
        """
        self.waiting = {}
        if not self._backends.tracker.claim("counting", _COUNT_SECONDS):
            return
        entries, total = self._backends.directory.count_outbox(_MOST_ENTRIES), 0
        place: Queue | None = Queue("", "")
        while place is not None:
            count, place = self._backends.mailbox.count_undelivered(place, _PART)
            total += count
            yield_to_loop()
        self.waiting = {"outbox_entries": entries, "notifications_waiting": total}

    def read(self) -> messages.Figures:
        """Return the metrics of the service. While none are published or the tracker is unavailable, return those of this process."""
        try:
            published = self._backends.tracker.published().reports
        except BackendUnavailable:
            published = []
        return merge_reports(_reports(published) or [self._metrics.report()], self._clock.now())

    def expose(self, version: str, accept: str) -> tuple[bytes, str]:
        """Return the metrics of all processes for Prometheus, and their content type.

        Counts are shown only after they were stored, so that no counter falls when a process is killed. While the tracker is unavailable,
        those of the other processes are not known, and the answer only has which backends this process reaches.

        :param version: that of the service.
        :param accept: the ``Accept`` header of the request.
        """
        try:
            self.publish()
            published = self._backends.tracker.published()
        except BackendUnavailable:
            known = {**merge_gauges([self._metrics.report()]), **self.gauges()}
            health = {key: value for key, value in known.items() if key.startswith(_HEALTH)}
            return expose({**health, "backend_up tracker": 0.0}, None, version, accept)
        return expose(merge_gauges(_reports(published.reports)), published.counts, version, accept)

    def log_access(self, email: str, opened: bool) -> None:
        """Log access by an operator: each time they open the page, and at most every ten minutes while it reads the metrics.

        :param opened: the page was opened, as opposed to a request for the metrics.
        """
        first = not self._accesses.take(email, now=self._clock.monotonic())
        if opened or first:
            log.info("%s %s", email, "opened /admin" if opened else "reads the figures of /admin")


def _reports(texts: Iterable[str]) -> list[Report]:
    return [report for text in texts if (report := _report(text))]


def _report(text: str) -> Report | None:
    """Parse a published report; return None if it cannot be parsed because another version published it."""
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError:
        return None
