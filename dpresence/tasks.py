"""Long-lived greenlets, which are restarted when they fail, so that no periodic job ends unnoticed; for whom a greenlet works."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import gevent

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
"""Pause after the first failure, and its maximum. It doubles with each failure that follows a run shorter than the maximum."""

_caller: ContextVar[str | None] = ContextVar("caller", default=None)


def enter_job() -> None:
    """Record that the present greenlet runs a periodic job of the service.

    The calls of a job are the service's own, whoever they are about: nobody else's calls delay them, or have them refused.
    """
    _caller.set("")


def leave_job() -> None:
    """Record that the present greenlet runs work for others, which a periodic job may have requested."""
    _caller.set(None)


def in_job() -> bool:
    """Return whether the present greenlet runs a periodic job of the service."""
    return _caller.get() == ""


@contextmanager
def on_behalf_of(caller: str) -> Iterator[None]:
    """Attribute calls to a store to who causes them, whoever they are about. Those of a periodic job remain the service's own.

    :param caller: an account, or what it owns; see ``backends.sql.owners``.
    """
    token = _caller.set("" if in_job() else caller)
    try:
        yield
    finally:
        _caller.reset(token)


def present_caller() -> str | None:
    """Return for whom the present greenlet works: "" for the service, None if this was not said."""
    return _caller.get()


class Task:
    """Runs ``work`` in a new greenlet until it returns or ``stop`` is called.

    :param work: the exceptions that it raises are logged with their traceback; it is called again after a pause.
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self._name = name
        self._work = work
        self._stopped = False
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Kill the greenlet and wait for its end."""
        stop([self])

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                self._work()
                return
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # also a GreenletExit that does not come from ``stop``
                if self._stopped:
                    raise
                if time.monotonic() - began >= LONGEST_PAUSE_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                log.exception("%s failed; starts again in %.1f s", self._name, pause)
            gevent.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 a jitter
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def stop(tasks: list[Task]) -> None:
    """Stop several tasks at the same time."""
    for task in tasks:
        task._stopped = True
    gevent.killall([task._greenlet for task in tasks])
