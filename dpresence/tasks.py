"""Long-lived greenlets. A greenlet that fails is logged and restarted, so that no periodic job ends unnoticed."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any

import gevent

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
"""Pause after the first failure, and its maximum. It doubles with each failure that follows a run shorter than the maximum."""


def start(name: str, work: Callable[[], object]) -> Any:
    """Run ``work`` in a new greenlet until it returns or the greenlet is killed; return the greenlet.

    :param work: the exceptions that it raises are logged with their traceback; it is called again after a pause.
    """
    return gevent.spawn(_run, name, work)


def _run(name: str, work: Callable[[], object]) -> None:
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = time.monotonic()
        try:
            work()
            return
        except (gevent.GreenletExit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            if time.monotonic() - began >= LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.exception("%s failed; starts again in %.1f s", name, pause)
        gevent.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 a jitter
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
