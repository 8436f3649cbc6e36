"""Yielding to the event loop in long work."""

from __future__ import annotations

import gevent

_PAUSE_SECONDS = 0.001


def yield_to_loop() -> None:
    """Yield to the event loop in the middle of long work, so that it handles sockets and timers.

    ``gevent.sleep(0)`` is not sufficient: it only runs other greenlets that are ready, and gevent polls sockets only after up to 50
    such switches.
    """
    gevent.sleep(_PAUSE_SECONDS)
