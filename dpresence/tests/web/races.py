"""Interference with a call: another one that overtakes it, or a backend that does not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from dpresence.errors import BackendUnavailable
from dpresence.tests.waiting import PATIENCE_SECONDS
from dpresence.tests.web.support import App, World


class Held:
    """A method whose first call waits until it is let go; the calls after it pass by."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.reached, self._go = Event(), Event()
        self._real = getattr(owner, name)
        patch.setattr(owner, name, self)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if not self.reached.is_set():
            self.reached.set()
            assert self._go.wait(PATIENCE_SECONDS)
        return self._real(*arguments, **named)

    def overtake(self, first: Callable[[], object], second: Callable[[], object]) -> None:
        """Run ``first`` up to the call, then ``second``, then the rest of ``first``."""
        one = gevent.spawn(first)
        assert self.reached.wait(PATIENCE_SECONDS)
        second()
        self._go.set()
        one.get(timeout=PATIENCE_SECONDS)


class Away:
    """Methods of a backend that is away until it is back.

    :ivar done: whether what was asked happens all the same, and only its answer is lost.
    """

    def __init__(self, patch: pytest.MonkeyPatch, owner: Any, *names: str, done: bool = False) -> None:
        self.back, self._done = False, done
        for name in names:
            patch.setattr(owner, name, self._broken(getattr(owner, name)))

    def _broken(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if self.back:
                return real(*arguments, **named)
            if self._done:
                real(*arguments, **named)
            raise BackendUnavailable

        return call


def shown(world: World, app: App, puid: str) -> str | None:
    """Return the status of the newest entry of a PUID, None for a dead one."""
    latest = world.registry.backends.tracker.latest(app.id, [puid])
    return latest[puid].status if puid in latest else None
