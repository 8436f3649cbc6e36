"""What an application's developer may know of it while it runs: counts, never people (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections import Counter

from ..backends.directory import Directory
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import NotActive
from ..hub import Hub
from ..limits import RateLimit
from ..model import Application
from .feeds import Feeds

_PER_MINUTE = 120
"""Looks at one application: a page of it looks every few seconds, and each look reads the application's whole feed."""


class Overview:
    """What an application's service would be told now, in numbers."""

    def __init__(self, directory: Directory, tracker: Tracker, feeds: Feeds, hub: Hub, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._feeds = feeds
        self._hub = hub
        self._looks = RateLimit("too many looks at this application", _PER_MINUTE, 60, clock)

    def now(self, application: Application) -> dict[str, int]:
        """Return how many users look online, unavailable and offline; its open channels; and how many updates it ever had.

        :returns: ``sockets`` counts the channels in this process. ``updates`` is the offset of the feed: it only grows, until
            the tracker forgets.
        :raises NotActive: its service is told nothing.
        :raises BackendUnavailable: the present is held back, see ``Feeds.held``.
        :raises SlowDown: it was looked at too often.
        """
        if not application.active:
            raise NotActive()
        self._looks.charge(application.id)
        self._feeds.refuse_held(application)
        view, offset = self._tracker.snapshot(application.id)
        seen = Counter(update.status for update in view.values())
        reachable = seen["online"] + seen["unavailable"]
        return {
            "online": seen["online"],
            "unavailable": seen["unavailable"],
            "offline": max(0, self._directory.count_grants(application.id) - reachable),
            "sockets": len(self._hub.channels_of(application.id)),
            "updates": offset,
        }
