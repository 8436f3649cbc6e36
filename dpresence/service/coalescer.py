"""Work in greenlets that runs once at a time per key, however often it is requested, and again while a backend is unavailable."""

from __future__ import annotations

import logging
from collections.abc import Callable

import gevent

from ..errors import BackendUnavailable
from ..logs import spawn
from ..tasks import leave_job

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class Coalescer:
    """Runs ``work(key)`` in a greenlet of its own, one run at a time per key.

    Requests before a run begins share it. A request during a run causes one more run after it.

    :param name: name of the work in the log.
    :param work: is called again after ``RETRY_SECONDS`` if it raises ``BackendUnavailable``; any other exception is logged.
    :param delay: returns the seconds before each run.
    """

    def __init__(self, name: str, work: Callable[[str], None], delay: Callable[[], float] = lambda: 0.0) -> None:
        self._name = name
        self._work = work
        self._delay = delay
        self._requested: dict[str, bool] = {}  # keys with a greenlet: whether a run is still to begin

    def request(self, key: str = "") -> None:
        """Request a run that begins after this call. Does not block."""
        if key not in self._requested:
            spawn(self._serve, key)
        self._requested[key] = True

    def running(self, key: str = "") -> bool:
        """Return whether a run of a key is in progress or requested."""
        return key in self._requested

    def _serve(self, key: str) -> None:
        leave_job()  # others may have requested it as well
        failed = False
        try:
            while self._requested[key]:
                if seconds := RETRY_SECONDS if failed else self._delay():
                    gevent.sleep(seconds)
                self._requested[key] = False
                failed = self._run(key, logs=not failed)
        finally:
            del self._requested[key]

    def _run(self, key: str, logs: bool) -> bool:
        """Run once; return True if a backend is unavailable.

        :param logs: log this, because the previous run of the key did not fail.
        """
        try:
            self._work(key)
        except BackendUnavailable as error:
            if logs:
                log.warning("%s is delayed: %s", self._name, error.error)
            self._requested[key] = True
            return True
        except Exception:  # a bug in this service: a retry would fail in the same way
            log.exception("%s failed", self._name)
        return False
