"""Feeds of applications: the current status of every user who granted an application, and its updates (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import ceil, inf

from ..backends.directory import Directory
from ..backends.mailbox import SHOWN_NOW
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, NotFound
from ..messages import MAX_ENTRIES, PresenceEntry
from ..model import Application, FeedEntry, Grant, Offset
from ..settings import PresenceSettings
from .scheduling import yield_to_loop

SWEEP_SECONDS = 45
"""Minimum seconds between two sweeps of feeds, over all processes."""
_PAGE = 100
"""Applications that a sweep processes before it yields to the event loop."""
_RECONNECT_SECONDS = 5
"""Length of the period in which connecting devices are counted, to detect that many reconnect after a restart."""
_MIN_RECONNECTS = 50
"""Devices that must connect in a period for it to count as such."""
_MIN_RECONNECT_SHARE = 1 / 20
"""Minimum share of the devices of that period in all that have connected since the start."""


class Feeds:
    """Operations on feeds.

    :ivar cursor: returns the cursor of an offset; see ``Tracker.cursor``.
    :ivar advance: returns the offset after some entries; see ``Tracker.advance``. ``reached``: see ``Tracker.reached``.
    """

    def __init__(self, directory: Directory, tracker: Tracker, settings: PresenceSettings, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self.cursor, self.advance, self.reached = tracker.cursor, tracker.advance, tracker.reached
        self._settings = settings
        self._connected = self._recent = 0  # connected devices: in total, and since ``_recent_since``
        self._recent_since = -inf
        self._clock = clock
        self._expected_at = -inf  # monotonic time by which the last device that was asked to wait should have reconnected
        self._newest = directory.newest_application()  # its creation time, because the clock may have been set back since
        self._memory_start = (0, 0.0)  # start of the tracker's data, as time of day (ms) and as monotonic time
        self._update_memory_start()

    def sweep(self) -> None:
        """Delete old updates from every feed, and feeds of deleted applications. Only one process at a time does this.

        Where the tracker is available in part, this part is swept.

        :raises BackendUnavailable: a backend is unavailable; the next sweep starts again.
        """
        if not self._tracker.claim("sweep of feeds", SWEEP_SECONDS):
            return
        after = ""
        while appids := self._tracker.applications(after, _PAGE, allow_missing=True):
            existing = self._directory.existing(appids)  # read last, because an application is created before its feed
            for appid in appids:
                if appid in existing:
                    self._trim(appid)
                else:
                    with suppress(BackendUnavailable):  # what is left of it is found when that part is available
                        self._tracker.drop(appid)
            yield_to_loop()
            after = appids[-1]

    def _trim(self, appid: str) -> None:
        while self._tracker.trim(appid):
            yield_to_loop()

    def hold_seconds(self, application: Application) -> float:
        """Return for how many seconds snapshots must be delayed, so that users whose devices are reconnecting do not appear offline.

        Snapshots are delayed until the grace has passed since the start of the tracker's data, since many devices reconnected, and
        since the last device that was asked to wait should have reconnected, but not longer than a lease. An application that was
        created later is not affected, because the tracker has lost no data about its users.
        """
        began = self._update_memory_start()
        if application.created_at >= self._tracker.remembers_since and application.created_at > self._newest:
            return 0.0
        until = min(max(began, self._expected_at) + self._settings.grace_seconds, began + self._settings.lease_seconds)
        return max(0.0, until - self._clock.monotonic())

    def _update_memory_start(self) -> float:
        """Return the monotonic time at which the tracker's data starts; it is never in the future, even if the clock was set back."""
        since = self._tracker.remembers_since
        if since != self._memory_start[0]:
            self._memory_start = since, self._clock.monotonic() - max(0, self._clock.now() - since) / 1000
        return self._memory_start[1]

    def expect_reconnect(self, seconds: float) -> None:
        """Record that a client was asked to connect again after this many seconds. It may be a device that reconnects."""
        self._expected_at = max(self._expected_at, self._clock.monotonic() + seconds)

    def count_connect(self) -> None:
        """Record that a device connected. While many devices connect, more may wait in a proxy or the backlog of the listener."""
        now = self._clock.monotonic()
        if now > self._update_memory_start() + self._settings.lease_seconds:
            return
        if now - self._recent_since > _RECONNECT_SECONDS:
            self._recent, self._recent_since = 0, now
        self._connected += 1
        self._recent += 1
        if self._recent >= max(_MIN_RECONNECTS, int(self._connected * _MIN_RECONNECT_SHARE)):
            self.expect_reconnect(0)

    def offset(self, appid: str, cursor: str) -> Offset | None:
        """Return the offset of a cursor; see ``Tracker.offset``."""
        return self._tracker.offset(appid, cursor)

    def read(self, appid: str, offset: Offset, limit: int = MAX_ENTRIES) -> Sequence[FeedEntry] | None:
        """Return the next updates after an offset; None if some of them have been deleted."""
        return self._tracker.read(appid, offset, limit)

    def read_now(self, appid: str, offset: Offset) -> Sequence[FeedEntry] | None:
        """Return the updates of a signal after an offset, without waiting; None if they must be read with ``read``."""
        return self._tracker.read_now(appid, offset, MAX_ENTRIES)

    def head(self, appid: str) -> Offset:
        """Return the offset after the newest update."""
        return self._tracker.head(appid)

    def page(self, appid: str, after: str, limit: int) -> tuple[list[PresenceEntry], str | None]:
        """Return the current status of the next users who granted an application, and the ``after`` of the next page or None.

        A grant that was added or revoked since ``head`` has an update after that offset.
        """
        grants = self._directory.grant_times(appid, after, limit)
        view = self._tracker.latest(appid, [puid for puid, _ in grants])
        return self._entries(grants, view), grants[-1][0] if len(grants) == limit else None

    def _entries(self, grants: Iterable[tuple[str, int]], view: Mapping[str, FeedEntry]) -> list[PresenceEntry]:
        """Return an entry for each (PUID, ``granted_at``). The time of a grant does not reveal the end of a pause, as ``since`` would."""
        since = self._tracker.remembers_since
        return [
            PresenceEntry(puid, seen.status, seen.at)
            if (seen := view.get(puid))
            else PresenceEntry(puid, "offline", (granted_at if granted_at > since else since) // 1000 * 1000)
            for puid, granted_at in grants
        ]

    def presence(self, application: Application, puids: Sequence[str]) -> list[PresenceEntry]:
        """Return the current status of some PUIDs, in the given order.

        :raises NotFound: a PUID is unknown; ``details`` lists all unknown ones.
        :raises BackendUnavailable: snapshots are delayed, see ``hold_seconds``.
        """
        self.raise_while_delayed(application)
        grants = self._directory.grants_by_puid(application.id, puids)
        unknown = [puid for puid in puids if puid not in grants]
        if unknown:
            raise NotFound(details={"puid": unknown})
        times = [(puid, grants[puid].granted_at) for puid in puids]
        return self._entries(times, self._tracker.latest_of_grants(application.id, list(grants.values())))

    def presence_page(self, application: Application, after: str, limit: int) -> tuple[list[PresenceEntry], str | None]:
        """Return a page of the current status of all users who granted an application, and the ``after`` of the next page or None.

        :raises BackendUnavailable: snapshots are delayed, see ``hold_seconds``.
        """
        self.raise_while_delayed(application)
        return self.page(application.id, after, limit)

    def raise_while_delayed(self, application: Application) -> None:
        """Raise while snapshots are delayed.

        :raises BackendUnavailable: see ``hold_seconds``.
        """
        seconds = self.hold_seconds(application)
        if seconds:
            raise BackendUnavailable("devices are reconnecting after a restart", retry_after=ceil(seconds))


def shown_until(grant: Grant, seen: FeedEntry | None, now: int) -> int:
    """Return until when an application's feed last showed a user as reachable.

    :param seen: the user's latest update in the feed, if there is one.
    """
    if seen is None:
        return 0
    if seen.status == "offline":
        return seen.at
    return now if grant.paused else SHOWN_NOW  # the pause is about to be published
