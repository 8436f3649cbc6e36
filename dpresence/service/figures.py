"""Metrics of all processes for the operator (docs/protocol.md, section 6, For operators)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

import msgspec

from .. import messages
from ..backends import Backends
from ..clock import Clock
from ..errors import BackendUnavailable
from ..limits import Buckets
from ..metrics import Metrics, Report, merge_reports

log = logging.getLogger("dpresence.admin")

_LOG_SECONDS = 600
"""Seconds between two log lines about the same operator who reads the metrics."""


class Figures:
    """The metrics of all processes. Each process publishes its own through the tracker.

    :ivar gauges: function that returns the current gauges of this process, by the names in ``metrics.GAUGES``.
    """

    def __init__(self, metrics: Metrics, backends: Backends, clock: Clock) -> None:
        self.gauges: Callable[[], dict[str, int]] = dict
        self._metrics = metrics
        self._backends = backends
        self._clock = clock
        self._accesses = Buckets(1 / _LOG_SECONDS, 1)

    def sample(self) -> None:
        """Take a sample and publish it. It is called every few seconds."""
        self._metrics.sample(self.gauges())
        with suppress(BackendUnavailable):  # the next sample replaces it
            self._backends.tracker.publish(msgspec.json.encode(self._metrics.report()).decode())

    def ping_backends(self) -> None:
        """Ping every backend and record the results. Blocks until all have answered or timed out."""
        self._metrics.record_health(self._backends.ping())

    def read(self) -> messages.Figures:
        """Return the metrics of the service. While none are published or the tracker is unavailable, return those of this process."""
        try:
            published = self._backends.tracker.published()
        except BackendUnavailable:
            published = []
        reports = [report for text in published if (report := _report(text))]
        return merge_reports(reports or [self._metrics.report()], self._clock.now())

    def log_access(self, email: str, opened: bool) -> None:
        """Log access by an operator: each time they open the page, and at most every ten minutes while it reads the metrics.

        :param opened: the page was opened, as opposed to a request for the metrics.
        """
        first = not self._accesses.take(email, now=self._clock.monotonic())
        if opened or first:
            log.info("%s %s", email, "opened /admin" if opened else "reads the figures of /admin")


def _report(text: str) -> Report | None:
    """Parse a published report; return None if it cannot be parsed because another version published it."""
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError:
        return None
