"""When a client that connects without a websocket tries one again."""

from __future__ import annotations

FIRST_SECONDS, MOST_SECONDS = 600.0, 7200.0


class Upgrades:
    """The time for which a client connects without a websocket: longer each time in a row."""

    def __init__(self) -> None:
        self._length = FIRST_SECONDS
        self._until: float | None = None

    def seconds(self, now: float) -> float:
        """Return the seconds until a websocket is to be tried; 0 if the next connection is one. The first call begins a time."""
        if self._until is None:
            self._until = now + self._length
            self._length = min(MOST_SECONDS, 2 * self._length)
        if now >= self._until:
            self._until = None
            return 0.0
        return self._until - now

    def opened(self) -> None:
        """Start over after a websocket has opened."""
        self._until, self._length = None, FIRST_SECONDS
