"""The tracker in this process's memory: for one process, forgotten when it ends.

Every method runs without a pause, so that each is one step to everybody else.
"""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from itertools import takewhile
from math import inf

from ...clock import Clock
from ...errors import TooMany
from ...model import ERASED, Device, Grant, GrantSet, Reason, Status, Update, merge
from ...settings import PresenceSettings
from . import DROPPED_SECONDS, Connected, Listener, StaleGrants, Topic, Tracker
from .feed import Feed
from .live import LiveDevice, LiveUser

_MOST_REVISIONS = 100_000


class MemoryTracker(Tracker):
    """See ``Tracker``; there is no lease, since this process's devices cannot outlive it."""

    def __init__(self, settings: PresenceSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._epoch = secrets.token_hex(8)
        self._users: dict[str, LiveUser] = {}
        self._grace: dict[tuple[str, str], float] = {}  # (user, device) -> when it ends; soonest first
        self._revisions: OrderedDict[str, int] = OrderedDict()  # newest of those users whose grants were changed last
        self._feeds: dict[str, Feed] = {}
        self._dropped: OrderedDict[str, float] = OrderedDict()  # application -> until when its feed stays away; soonest first
        self._claims: dict[str, float] = {}  # task -> until when it is given away
        self._listeners: list[Listener] = []
        self._published: list[str] = []
        self.remembers_since = clock.now()

    # -- wake-ups

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def wake(self, topic: Topic, key: str) -> None:
        for listener in self._listeners:
            listener(topic, key)

    # -- devices

    def connect(
        self, user: str, device: str | None, connection: str, status: Status, grants: GrantSet, limit: int, signed: int
    ) -> Connected:
        self._refuse_stale(user, grants.revision)
        known = self._users.get(user) or LiveUser()
        found = known.devices.get(device) if device else self._nameless_in_grace(known)
        others = sum(1 for other in known.devices.values() if other.connection and other is not found)
        if others >= limit:
            raise TooMany(f"device: {limit} of this e-mail are connected already")
        if found is None:
            found = LiveDevice(device or "~" + secrets.token_urlsafe(6))
            known.devices[found.name] = found
        replaced, found.connection = found.connection, connection
        found.status, found.signed = status, signed
        if replaced != connection:
            found.since = self._clock.now()
        self._users[user] = known
        self._grace.pop((user, found.name), None)
        self._merge(user, grants.grants, "explicit")
        return Connected(found.name, replaced)

    def _nameless_in_grace(self, known: LiveUser) -> LiveDevice | None:
        return next((item for item in known.devices.values() if item.name[0] == "~" and item.connection is None), None)

    def update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, signed: int = 0) -> bool:
        self._refuse_stale(user, grants.revision)
        found = self._owned(user, device, connection)
        if found is None:
            return False
        found.status, found.signed = status, max(found.signed, signed)
        self._merge(user, grants.grants, "explicit")
        return True

    def leave(self, user: str, device: str, connection: str) -> None:
        found = self._owned(user, device, connection)
        if found is None:
            return
        found.connection = None
        if found.status == "offline":
            self._drop(user, device)
            self._merge(user, (), "lost")  # nothing changes, but the last device takes the user's entry with it
        else:
            self._grace[user, device] = self._clock.monotonic() + self._settings.grace_seconds

    def remove(self, user: str, device: str, grants: GrantSet, before: int = ERASED) -> bool:
        return self._sign_out(user, [device], grants, before)

    def remove_all(self, user: str, grants: GrantSet, before: int = ERASED) -> None:
        self._sign_out(user, [device.name for device in self.devices(user)], grants, before)

    def _sign_out(self, user: str, names: Iterable[str], grants: GrantSet, before: int) -> bool:
        """Drop those devices that signed in before a revision; return whether there was one."""
        self._refuse_stale(user, grants.revision)
        devices = self._users[user].devices if user in self._users else {}
        gone = [name for name in names if name in devices and devices[name].signed < before]
        for name in gone:
            self._drop(user, name)
        self._merge(user, grants.grants, "explicit")
        return bool(gone)

    def signed_out(self, connection: str) -> bool:
        return True  # nothing is lost here

    def due(self) -> Sequence[str]:
        now = self._clock.monotonic()
        over = takewhile(lambda item: item[1] <= now, self._grace.items())
        return list(dict.fromkeys(user for (user, _), _ in over))

    def expire(self, user: str, grants: GrantSet) -> None:
        self._refuse_stale(user, grants.revision)
        now = self._clock.monotonic()
        for device in self.devices(user):
            if self._grace.get((user, device.name), inf) <= now:
                self._drop(user, device.name)
        self._merge(user, grants.grants, "lost")

    def renew(self) -> None:
        """Do nothing: see the class."""

    def devices(self, user: str) -> Sequence[Device]:
        known = self._users.get(user)
        items = sorted(known.devices.values(), key=lambda item: item.name) if known else ()
        return [Device(item.name, item.status, item.connection is not None, item.since) for item in items]

    def status(self, user: str) -> Status:
        known = self._users.get(user)
        return known.status if known else "offline"

    def _refuse_stale(self, user: str, revision: int) -> None:
        if revision < self._revisions.get(user, 0):
            raise StaleGrants

    def _raise_revision(self, user: str, revision: int) -> None:
        self._refuse_stale(user, revision)
        self._revisions[user] = revision
        self._revisions.move_to_end(user)
        if len(self._revisions) > _MOST_REVISIONS:
            self._revisions.popitem(last=False)

    def _owned(self, user: str, device: str, connection: str) -> LiveDevice | None:
        known = self._users.get(user)
        found = known.devices.get(device) if known else None
        return found if found and found.connection == connection else None

    def _drop(self, user: str, device: str) -> None:
        del self._users[user].devices[device]
        self._grace.pop((user, device), None)

    def _merge(self, user: str, grants: Iterable[Grant], reason: Reason) -> None:
        """Work out a user's status anew and tell those who may know if it changed."""
        known = self._users.get(user)
        if known is None:
            return
        before, known.status = known.status, merge([device.status for device in known.devices.values()])
        if not known.devices:
            del self._users[user]
        if known.status != before:
            for grant in grants:
                if not grant.paused:
                    self._show(grant, known.status, reason)

    # -- feeds

    def granted(self, grant: Grant, revision: int) -> None:
        self._raise_revision(grant.user, revision)
        status, last = self._visible(grant), self._feed(grant.appid).view.get(grant.puid)
        if last is None or (last.reason, last.status) != ("granted", status):
            self._append(grant, status, "granted")

    def revoked(self, grant: Grant, revision: int = 0) -> None:
        if revision > self._revisions.get(grant.user, 0):
            self._raise_revision(grant.user, revision)
        if not self._gone(grant.appid) and self._written(grant.appid).bury(grant, self._clock.now()):
            self.wake("feed", grant.appid)

    def refresh(self, grant: Grant, revision: int) -> None:
        self._raise_revision(grant.user, revision)
        self._show(grant, self._visible(grant), "explicit")

    def forget_revision(self, user: str) -> None:
        self._revisions.pop(user, None)

    def snapshot(self, appid: str) -> tuple[dict[str, Update], int]:
        feed = self._feed(appid)
        return dict(feed.view), feed.head

    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, Update]:
        view = self._feed(appid).view
        return {puid: view[puid] for puid in puids if puid in view}

    def read(self, appid: str, offset: int, limit: int) -> Sequence[Update] | None:
        feed = self._feed(appid)
        return feed.after(offset, limit) if feed.covers(offset, self._clock.now()) else None

    def cursor(self, offset: int) -> str:
        return f"{self._epoch}:{offset}"

    def offset(self, appid: str, cursor: str) -> int | None:
        epoch, _, digits = cursor.partition(":")
        if epoch != self._epoch or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            return None
        offset = int(digits)
        return offset if self._feed(appid).covers(offset, self._clock.now()) else None

    def applications(self, after: str, limit: int) -> Sequence[str]:
        return nsmallest(limit, (appid for appid in self._feeds if appid > after))

    def rebuilt(self, appid: str) -> None:
        """Do nothing: no feed is ever damaged."""

    def trim(self, appid: str) -> bool:
        self._feed(appid).trim(self._clock.now())
        return False

    def drop(self, appid: str) -> None:
        self._feeds.pop(appid, None)
        self._dropped.pop(appid, None)
        self._dropped[appid] = self._clock.monotonic() + DROPPED_SECONDS
        while self._dropped and next(iter(self._dropped.values())) <= self._clock.monotonic():
            self._dropped.popitem(last=False)

    def _feed(self, appid: str) -> Feed:
        """Return an application's feed to read; one that nothing was written to is not kept."""
        return self._feeds.get(appid) or Feed(self._settings.feed_seconds, self._settings.feed_entries)

    def _written(self, appid: str) -> Feed:
        feed = self._feeds[appid] = self._feed(appid)
        return feed

    def _gone(self, appid: str) -> bool:
        """Return whether a feed was dropped of late."""
        return self._dropped.get(appid, 0) > self._clock.monotonic()

    def _visible(self, grant: Grant) -> Status:
        return "offline" if grant.paused else self.status(grant.user)

    def _show(self, grant: Grant, status: Status, reason: Reason) -> None:
        """Tell an application of a status that is news to it; a pause or its end may have told it already."""
        if status != self._feed(grant.appid).status(grant.puid):
            self._append(grant, status, reason)

    def _append(self, grant: Grant, status: Status, reason: Reason) -> None:
        if not self._gone(grant.appid) and self._written(grant.appid).append(grant, status, reason, self._clock.now()):
            self.wake("feed", grant.appid)

    # -- between processes

    def publish(self, figures: str) -> None:
        self._published = [figures]

    def published(self) -> Sequence[str]:
        return list(self._published)

    def claim(self, task: str, seconds: float) -> bool:
        now = self._clock.monotonic()
        if self._claims.get(task, now) > now:
            return False
        self._claims[task] = now + seconds
        return True

    # -- the whole

    def ping(self) -> None:
        """Do nothing: this process is here."""

    def close(self) -> None:
        """Forget everything."""
        self._users.clear()
        self._revisions.clear()
        self._grace.clear()
        self._feeds.clear()
        self._dropped.clear()
        self._listeners.clear()
        self._published.clear()
