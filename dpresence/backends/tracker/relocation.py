"""Follows partitions that were moved to another server."""

from __future__ import annotations

import logging
from collections.abc import Callable

import gevent

from ...errors import BackendUnavailable, SettingError

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
"""Pause between two reads of the directory, while a partition is stopped."""


class Relocation:
    """Calls a function in a greenlet, once at a time, after it was requested.

    :param follow: lets each partition continue at its present server; raises ``BackendUnavailable`` and ``SettingError``.
    """

    def __init__(self, follow: Callable[[], object]) -> None:
        self._follow = follow
        self._requested = self._stopped = False
        self._greenlet: gevent.Greenlet | None = None

    def request(self) -> None:
        """Request a call, unless it was stopped. Does not block."""
        self._requested = True
        if not self._greenlet and not self._stopped:  # also if it has ended
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End the greenlet, and start none any more."""
        self._stopped = True
        if self._greenlet:
            self._greenlet.kill()

    def _run(self) -> None:
        while self._requested:
            self._requested = False
            try:
                self._follow()
            except SettingError as error:
                log.error("partitions cannot be followed: %s", error)
            except BackendUnavailable:  # the server has a line in the log; a refused call, or the next renewal, requests it again
                pass
            gevent.sleep(PAUSE_SECONDS)
