"""Live statistics of an application for its developer. They are counts and contain no users (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections import Counter

from ..backends.directory import Directory
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import NotActive
from ..hub import Hub
from ..limits import RateLimit
from ..messages import CurrentUsers
from ..model import Application
from .feeds import Feeds
from .looks import Looks

_PER_MINUTE = 120
"""Maximum number of requests per application and minute. Its page polls every few seconds, and each request reads a whole snapshot."""


class Overview:
    """Counts of what an application's service would currently receive in a snapshot."""

    def __init__(self, directory: Directory, tracker: Tracker, feeds: Feeds, looks: Looks, hub: Hub, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._feeds = feeds
        self._looks = looks
        self._hub = hub
        self._requests = RateLimit("too many requests about this application", _PER_MINUTE, 60, clock)

    def now(self, application: Application) -> CurrentUsers:
        """Return the numbers of users who appear online, unavailable and offline, of open channels, and of updates.

        :returns: ``sockets`` counts the channels in this process. ``updates`` counts those of the feed since it was created; it grows
            until the tracker loses its data.
        :raises NotActive: the application is not active.
        :raises BackendUnavailable: snapshots are delayed, see ``Feeds.hold_seconds``.
        :raises SlowDown: too many requests for this application.
        """
        if not application.active:
            raise NotActive()
        self._requests.charge(application.id)
        self._feeds.raise_while_delayed(application)
        view, offset = self._tracker.snapshot(application.id)
        self._looks.record_daily(application.id, "rest")
        seen = Counter(update.status for update in view.values())
        reachable = seen["online"] + seen["unavailable"]
        return CurrentUsers(
            online=seen["online"],
            unavailable=seen["unavailable"],
            offline=max(0, self._directory.count_grants(application.id) - reachable),
            sockets=len(self._hub.channels_of(application.id)),
            updates=self._tracker.length(offset),
        )
