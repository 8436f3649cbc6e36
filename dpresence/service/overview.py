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
from ..model import Application, Status
from .feeds import Feeds
from .looks import Looks
from .scheduling import yield_to_loop

_PER_MINUTE = 120
"""Maximum number of requests per application and minute. Its page polls every few seconds, and each request reads the whole view."""
_PAUSE = 20
"""Multiple of the time that a count takes until the next one, so that counting takes a small part of a store's time."""
_MAX_COUNTED = 1000
"""Maximum number of applications whose counts are kept."""


class Overview:
    """Counts of what an application's service would currently receive in a snapshot."""

    def __init__(self, directory: Directory, tracker: Tracker, feeds: Feeds, looks: Looks, hub: Hub, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._feeds = feeds
        self._looks = looks
        self._hub = hub
        self._requests = RateLimit("too many requests about this application", _PER_MINUTE, 60, clock)
        self._clock = clock
        self._counted: dict[str, tuple[Counter[Status], float]] = {}  # by application, with the monotonic time until which it is valid

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
        self._looks.record_daily(application.id, "rest")
        seen = self._count(application.id)
        reachable = seen["online"] + seen["unavailable"]
        return CurrentUsers(
            online=seen["online"],
            unavailable=seen["unavailable"],
            offline=max(0, self._directory.count_grants(application.id) - reachable),
            sockets=len(self._hub.channels_of(application.id)),
            updates=self._tracker.length(self._tracker.head(application.id)),
        )

    def _count(self, appid: str) -> Counter[Status]:
        """Return the number of users by status; a count of very many users is given out again for a while."""
        counted, until = self._counted.get(appid, (None, 0.0))
        began = self._clock.monotonic()
        if counted is not None and began < until:
            return counted
        counted = Counter()
        for page in self._tracker.view(appid):
            counted.update(entry.status for entry in page.values())
            yield_to_loop()
        ended = self._clock.monotonic()
        self._counted[appid] = counted, ended + (ended - began) * _PAUSE
        while len(self._counted) > _MAX_COUNTED:
            self._counted.pop(next(iter(self._counted)))
        return counted
