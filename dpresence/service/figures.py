"""What an operator sees of the service, gathered from every process (docs/protocol.md, section 6, For operators)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from ..backends import Backends
from ..clock import Clock
from ..errors import BackendUnavailable
from ..limits import Buckets
from ..metrics import Metrics, Report, together

log = logging.getLogger("dpresence.admin")

_LOOK_SECONDS = 600
"""Who goes on looking is logged again after this."""


class Figures:
    """The figures of all processes; each publishes its own through the tracker.

    :ivar gauges: returns what is there in this process now, by the words of ``metrics.GAUGES``.
    """

    def __init__(self, metrics: Metrics, backends: Backends, clock: Clock) -> None:
        self.gauges: Callable[[], dict[str, int]] = dict
        self._metrics = metrics
        self._backends = backends
        self._clock = clock
        self._looks = Buckets(1 / _LOOK_SECONDS, 1)

    def sample(self) -> None:
        """Take a sample and publish it; every few seconds."""
        self._metrics.sample(self.gauges())
        with suppress(BackendUnavailable):  # the next one may get through
            self._backends.tracker.publish(msgspec.json.encode(self._metrics.report()).decode())

    def ask_backends(self) -> None:
        """Ask every backend whether it is there; waits as long as they take."""
        self._metrics.answers(self._backends.ping())

    def read(self) -> dict[str, Any]:
        """Return the figures of the service; while the tracker is away or nothing is published yet, those of this process."""
        try:
            published = self._backends.tracker.published()
        except BackendUnavailable:
            published = []
        reports = [report for text in published if (report := _report(text))]
        return together(reports or [self._metrics.report()], self._clock.now())

    def looked(self, email: str, opened: bool) -> None:
        """Log who looks: each time she opens the page, and every ten minutes while the figures are read.

        :param opened: whether the page was opened.
        """
        first = not self._looks.take(email, now=self._clock.monotonic())
        if opened or first:
            log.info("%s %s", email, "opened /admin" if opened else "reads the figures of /admin")


def _report(text: str) -> Report | None:
    """Return what a process published; None for that of another version which cannot be read."""
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError:
        return None
