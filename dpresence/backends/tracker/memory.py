"""The in-memory tracker: for a single process, lost when it ends.

No method switches to another greenlet, so each is atomic.
"""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from math import inf

import gevent

from ...clock import Clock
from ...errors import TooMany
from ...limits import RateStates
from ...model import ERASED, Device, Grant, GrantSet, Reason, Status
from ...settings import PresenceSettings
from . import Connected, Lost, StaleGrants, Updated
from .memory_feeds import MemoryFeeds
from .memory_values import LiveDevice, LiveUser

_MAX_REVISIONS = 100_000
_MAX_RATES = 100_000


class MemoryTracker(MemoryFeeds):
    """See ``Tracker``. There is no lease: the devices cannot outlive this process."""

    def __init__(self, settings: PresenceSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._users: dict[str, LiveUser] = {}
        self._grace: dict[tuple[str, str], float] = {}  # (user, device) -> end of the grace period, in ascending order
        self._revisions: OrderedDict[str, int] = OrderedDict()  # newest revision of the users whose grants were changed last
        self._rates = RateStates(settings.status_rate, settings.status_burst, _MAX_RATES)
        self._postponed: dict[str, tuple[float, Reason]] = {}  # user -> time of the next token, and the reason of the change
        self.remembers_since = clock.now()

    # -- devices

    def connect(
        self, user: str, device: str | None, connection: str, status: Status, grants: GrantSet, limit: int, sign_in_revision: int
    ) -> Connected:
        self._refuse_stale(user, grants.revision)
        known = self._users.get(user)
        if known is None:
            found, known, others = None, LiveUser(), 0
        else:
            found = known.device(device) if device else self._nameless_in_grace(known)
            others = sum(1 for other in known.devices if other.connection and other is not found)
        resumed = found is not None and found.connection is None
        if others >= limit:
            raise TooMany(f"device: {limit} of this e-mail are connected already")
        if found is None:
            found = LiveDevice(device or "~" + secrets.token_urlsafe(6))
            known.add(found)
        replaced = None if found.connection == connection else found.connection
        if found.connection != connection:
            found.since = self._clock.now()
        found.connection, found.status, found.sign_in_revision = connection, status, sign_in_revision
        if user not in self._users:
            self._users[user] = known
            known.rate_full_at = self._rates.pop(user)
        self._grace.pop((user, found.name), None)
        self._merge(user, grants, "explicit")
        return Connected(found.name, replaced, resumed)

    def _nameless_in_grace(self, known: LiveUser) -> LiveDevice | None:
        return next((item for item in known.devices if item.name[0] == "~" and item.connection is None), None)

    def update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, sign_in_revision: int = 0) -> bool:
        if grants.revision < self._revisions.get(user, 0):  # as ``_refuse_stale``, ``_owned`` and ``_merge``, without the calls
            raise StaleGrants
        known = self._users.get(user)
        if known is None:
            return False
        merged = known.set_status(device, connection, status, sign_in_revision)
        if merged is None:
            return False
        if grants.override:
            merged = grants.override
        if merged != known.status:
            known.status = merged
            self._append_status(user, known, grants.grants, "explicit")
        return True

    def begin_update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, done: Updated) -> None:
        try:
            result: bool | StaleGrants = self.update(user, device, connection, status, grants)
        except StaleGrants as stale:
            result = stale
        gevent.get_hub().loop.run_callback(done, result)

    def apply_override(self, user: str, grants: GrantSet) -> None:
        self._raise_revision(user, grants.revision)
        self._merge(user, grants, "explicit")

    def leave(self, user: str, device: str, connection: str) -> None:
        found = self._owned(user, device, connection)
        if found is None:
            return
        found.connection = None
        known = self._users[user]
        if found.status == "offline" and (known.status == "offline" or len(known.devices) > 1):
            self._delete_device(user, found)
            if known.empty:
                self._delete_user(user, known)
        else:
            self._grace[user, device] = self._clock.monotonic() + self._settings.grace_seconds

    def remove(self, user: str, device: str, grants: GrantSet, before_revision: int = ERASED, connection: str = "") -> bool:
        if connection and self._owned(user, device, connection) is None:
            return False
        return self._sign_out(user, [device], grants, before_revision)

    def remove_all(self, user: str, grants: GrantSet, before_revision: int = ERASED) -> None:
        self._sign_out(user, [device.name for device in self.devices(user)], grants, before_revision)

    def _sign_out(self, user: str, names: Iterable[str], grants: GrantSet, before_revision: int) -> bool:
        """Delete the devices that signed in before a revision; return whether there were any."""
        self._refuse_stale(user, grants.revision)
        known = self._users.get(user) or LiveUser()
        removed = [device for device in map(known.device, names) if device and device.sign_in_revision < before_revision]
        for device in removed:
            self._delete_device(user, device)
        self._merge(user, grants, "explicit")
        return bool(removed)

    def due(self) -> Sequence[str]:
        now = self._clock.monotonic()
        over = takewhile(lambda item: item[1] <= now, self._grace.items())
        return list(dict.fromkeys(user for (user, _), _ in over))

    def expire(self, user: str, grants: GrantSet) -> Lost:
        self._refuse_stale(user, grants.revision)
        now = self._clock.monotonic()
        over = [device for device in self._live_devices(user) if self._grace.get((user, device.name), inf) <= now]
        for device in over:
            self._delete_device(user, device)
        self._merge(user, grants, "lost")
        return Lost(len(over), 0)

    def devices(self, user: str) -> Sequence[Device]:
        known = self._users.get(user)
        if known is None:
            return []
        items = sorted(known.devices, key=lambda item: item.name)
        return [Device(item.name, item.status, item.connection is not None, item.since) for item in items]

    def _live_devices(self, user: str) -> Collection[LiveDevice]:
        known = self._users.get(user)
        return known.devices if known else ()

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
        if len(self._revisions) > _MAX_REVISIONS:
            self._revisions.popitem(last=False)

    def _owned(self, user: str, device: str, connection: str) -> LiveDevice | None:
        known = self._users.get(user)
        found = known.device(device) if known else None
        return found if found and found.connection == connection else None

    def _delete_device(self, user: str, device: LiveDevice) -> None:
        self._users[user].remove(device)
        self._grace.pop((user, device.name), None)

    def _merge(self, user: str, grants: GrantSet, reason: Reason) -> None:
        """Recompute a user's status and, if it changed, append it to feeds."""
        known = self._users.get(user)
        if known is None:
            return
        before, known.status = known.status, known.merged
        if known.empty:
            self._delete_user(user, known)
        else:
            known.status = grants.override or known.status
        if known.status != before:
            self._append_status(user, known, grants.grants, reason)

    def _delete_user(self, user: str, known: LiveUser) -> None:
        """Delete a user without live devices; the state of their rate stays."""
        del self._users[user]
        now = self._clock.monotonic()
        if known.rate_full_at > now:
            self._rates.put(user, known.rate_full_at, now)

    def _append_status(self, user: str, known: LiveUser, grants: Iterable[Grant], reason: Reason) -> None:
        """Append a user's status to the feeds that do not show it yet, or postpone this if there is no token."""
        status, feeds, second = known.status, self._feeds, 0
        taken: bool | None = None  # whether there was a token
        for grant in grants:
            feed = feeds.get(grant.appid)
            last = feed.view.get(grant.puid) if feed else None
            seen = last.status if last else "offline"
            if status == seen or grant.paused:
                continue
            shown = status
            if status == "unavailable" and grant.shows == "reachable":
                if seen == "offline":
                    continue
                shown = "offline"
            if not second:
                now = self._clock.monotonic()
                second = self._clock.steady.second(now)
            if shown != "offline":
                taken = self._take(user, known, reason, now) if taken is None else taken
                if not taken:
                    continue
            self._append(feed, grant, shown, reason, second)
        if taken is False:
            return
        known.sent_status = status
        if self._postponed:
            self._postponed.pop(user, None)

    def _take(self, user: str, known: LiveUser | None, reason: Reason, now: float) -> bool:
        """Take a token for a status of a user, other than offline; if there is none, record when the change is due."""
        wait = known.take_token(self._rates.rule, now) if known else self._rates.take(user, now)
        if wait:
            self._postponed[user] = (now + wait, reason)
        return not wait

    def sent_status(self, user: str) -> Status:
        known = self._users.get(user)
        return known.sent_status if known else "offline"

    # -- the rate of a user's changes

    def charge(self, user: str) -> float:
        known, now = self._users.get(user), self._clock.monotonic()
        return known.take_token(self._rates.rule, now) if known else self._rates.take(user, now)

    def postponed(self) -> Sequence[str]:
        now = self._clock.monotonic()
        return [user for user, (at, _) in self._postponed.items() if at <= now]

    def append_postponed(self, user: str, grants: GrantSet) -> None:
        self._refuse_stale(user, grants.revision)
        _, reason = self._postponed.pop(user, (0, "explicit"))
        known = self._users.get(user)
        if known is not None:
            self._append_status(user, known, grants.grants, reason)

    # -- feeds

    def append_grant(self, grant: Grant, revision: int) -> None:
        self._raise_revision(grant.user, revision)
        status, last = self._visible(grant), self._feed(grant.appid).view.get(grant.puid)
        if last is None or (last.reason, last.status) != ("granted", status):
            self._append(self._feeds.get(grant.appid), grant, status, "granted", self._clock.steady.now())

    def append_revocation(self, grant: Grant, revision: int = 0) -> None:
        if revision > self._revisions.get(grant.user, 0):
            self._raise_revision(grant.user, revision)
        if not self._was_dropped(grant.appid) and self._stored_feed(grant.appid).revoke(grant, self._clock.steady.now()):
            self.signal("feed", grant.appid)

    def append_current_status(self, grant: Grant, revision: int) -> None:
        self._raise_revision(grant.user, revision)
        status = self._visible(grant)
        user, now = grant.user, self._clock.monotonic()
        if self._is_change(grant, status) and (status == "offline" or self._take(user, self._users.get(user), "explicit", now)):
            self._append(self._feeds.get(grant.appid), grant, status, "explicit", self._clock.steady.now())

    def forget_revision(self, user: str) -> None:
        self._revisions.pop(user, None)

    def _visible(self, grant: Grant) -> Status:
        known = self._users.get(grant.user)
        if known is None or grant.shown(known.status) == "offline":  # ``offline`` is never postponed
            return "offline"
        return grant.shown(known.sent_status)

    # -- the tracker as a whole

    def close(self) -> None:
        """Delete all data."""
        self._users.clear()
        self._revisions.clear()
        self._grace.clear()
        self._postponed.clear()
        super().close()
