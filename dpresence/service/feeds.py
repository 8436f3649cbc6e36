"""What an application sees: the present of everybody who granted it, and the updates that follow (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, inf
from typing import Any

from ..backends.directory import Directory
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, NotFound
from ..messages import MOST_ENTRIES
from ..model import Application, Grant, Update
from ..settings import PresenceSettings
from .turns import give_way

SWEEP_SECONDS = 45
"""After a sweep of feeds no process begins another one for this long."""
_AT_ONCE = 100
"""Applications that are looked at in one go."""
_RETURN_SECONDS = 5
_RETURN_LEAST, _RETURN_SHARE = 50, 20
"""Devices come back in numbers after a restart while 50, and one in 20 of all that did, connect within ``_RETURN_SECONDS``."""


class Feeds:
    """The verbs of feeds."""

    def __init__(self, directory: Directory, tracker: Tracker, settings: PresenceSettings, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._settings = settings
        self._connected = self._lately = 0
        self._lately_since = -inf
        self._clock = clock
        self._expected_at = -inf  # when the last device that was asked to wait should be back, by the monotonic clock
        self._newest = directory.newest_application()  # when it was made; the clock may have been set back since
        self._began = (0, 0.0)  # the beginning of the tracker's memory, by the time of day (ms) and by the monotonic clock
        self._memory_began()
        self.cursor = tracker.cursor
        self.offset = tracker.offset

    def sweep(self) -> None:
        """Take what is too old out of every feed, and drop those of applications that are gone. One process at a time does it.

        :raises BackendUnavailable: a backend is away; the next sweep begins anew.
        """
        if not self._tracker.claim("sweep of feeds", SWEEP_SECONDS):
            return
        after = ""
        while appids := self._tracker.applications(after, _AT_ONCE):
            existing = self._directory.existing(appids)  # asked last: an application is there before its feed is
            for appid in appids:
                if appid in existing:
                    self._trim(appid)
                else:
                    self._tracker.drop(appid)
            give_way()
            after = appids[-1]

    def _trim(self, appid: str) -> None:
        while self._tracker.trim(appid):
            give_way()

    def held(self, application: Application) -> float:
        """Return for how many seconds the present must be held back, so that nobody looks offline who only reconnects.

        Until grace has passed since the tracker's memory begins, since many devices came back, or since the last device that was
        asked to wait should be back; never longer than a lease. Only an application older than that memory can have users the
        tracker forgot.
        """
        began = self._memory_began()
        if application.created_at >= self._tracker.remembers_since and application.created_at > self._newest:
            return 0.0
        until = min(max(began, self._expected_at) + self._settings.grace_seconds, began + self._settings.lease_seconds)
        return max(0.0, until - self._clock.monotonic())

    def _memory_began(self) -> float:
        """Return when the tracker's memory begins, by the monotonic clock; at the latest now, where the time of day was set back."""
        since = self._tracker.remembers_since
        if since != self._began[0]:
            self._began = since, self._clock.monotonic() - max(0, self._clock.now() - since) / 1000
        return self._began[1]

    def expect(self, seconds: float) -> None:
        """Note that a newcomer was asked to come back in so many seconds: it may be a device that only reconnects."""
        self._expected_at = max(self._expected_at, self._clock.monotonic() + seconds)

    def connected(self) -> None:
        """Note that a device connected: while many do, others may still wait for their turn where nobody can count them."""
        now = self._clock.monotonic()
        if now > self._memory_began() + self._settings.lease_seconds:
            return
        if now - self._lately_since > _RETURN_SECONDS:
            self._lately, self._lately_since = 0, now
        self._connected += 1
        self._lately += 1
        if self._lately >= max(_RETURN_LEAST, self._connected // _RETURN_SHARE):
            self.expect(0)

    def read(self, appid: str, offset: int) -> Sequence[Update] | None:
        """Return the next updates after an offset; None when some of them are gone."""
        return self._tracker.read(appid, offset, MOST_ENTRIES)

    def snapshot(self, application: Application) -> tuple[int, Iterator[list[dict[str, Any]]]]:
        """Return the offset of a snapshot and its pages, at least one.

        The tracker is read before the directory: a grant that came or went in between is told by an update after the offset.
        """
        view, offset = self._tracker.snapshot(application.id)
        return offset, self._pages(application.id, view)

    def _pages(self, appid: str, view: dict[str, Update]) -> Iterator[list[dict[str, Any]]]:
        after = ""
        while True:
            grants = self._directory.grants_of_application(appid, after, MOST_ENTRIES)
            yield self._entries(grants, view)
            if len(grants) < MOST_ENTRIES:
                return
            after = grants[-1].puid

    def _entries(self, grants: Iterable[Grant], view: dict[str, Update]) -> list[dict[str, Any]]:
        return [self._entry(grant, view.get(grant.puid)) for grant in grants]

    def _entry(self, grant: Grant, seen: Update | None) -> dict[str, Any]:
        if seen:
            return {"puid": grant.puid, "status": seen.status, "at": seen.at}
        since = max(grant.granted_at, self._tracker.remembers_since)  # not grant.since: the end of a pause shows nothing
        return {"puid": grant.puid, "status": "offline", "at": since // 1000 * 1000}

    def present(self, application: Application, puids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the present of some PUIDs, in the order given.

        :raises NotFound: one of them is unknown; ``details`` lists which.
        :raises BackendUnavailable: the present is held back, see ``held``.
        """
        self.refuse_held(application)
        grants = self._directory.grants_by_puid(application.id, puids)
        unknown = [puid for puid in puids if puid not in grants]
        if unknown:
            raise NotFound(details={"puid": unknown})
        return self._entries((grants[puid] for puid in puids), self._tracker.latest(application.id, puids))

    def present_page(self, application: Application, after: str, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of the present of everybody, and what ``after`` the next page takes, None at the end.

        :raises BackendUnavailable: the present is held back, see ``held``.
        """
        self.refuse_held(application)
        grants = self._directory.grants_of_application(application.id, after, limit)
        view = self._tracker.latest(application.id, [grant.puid for grant in grants])
        return self._entries(grants, view), grants[-1].puid if len(grants) == limit else None

    def refuse_held(self, application: Application) -> None:
        """Refuse while the present is held back.

        :raises BackendUnavailable: see ``held``.
        """
        held = self.held(application)
        if held:
            raise BackendUnavailable("devices are reconnecting after a restart", retry_after=ceil(held))
