"""Live notifications: from an application to a user, kept until she has them (docs/protocol.md, sections 3 and 5)."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Any

from gevent.lock import RLock

from ..backends.directory import Directory
from ..backends.mailbox import Mailbox
from ..backends.tracker import Tracker
from ..clock import Clock
from ..domains import check_action
from ..errors import BackendUnavailable, BadAction, NotFound, SlowDown
from ..hub import DevicePort, Hub
from ..limits import Buckets
from ..messages import OutgoingNotification
from ..model import Application, Grant, Notification
from ..settings import PresenceSettings
from .grants import Grants

_TURN_SECONDS = 10
_IN_PASSING_MS = 5000
"""How long a notification with ``ttl`` 0 may wait for the devices that are connected to take it."""


@dataclass(slots=True)
class _Post:
    """One accepted item on its way: where it goes and what is answered."""

    grant: Grant
    notification: Notification
    queued: bool = True
    queue_size: int = 0
    delivered: bool = False


class Notifications:
    """The verbs of notifications. Stored first, then sent; what was sent to a plain device is discarded right after."""

    def __init__(
        self, directory: Directory, tracker: Tracker, mailbox: Mailbox, grants: Grants, hub: Hub, settings: PresenceSettings, clock: Clock
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._grants = grants
        self._hub = hub
        self._settings = settings
        self._clock = clock
        self._rates = Buckets(settings.notification_rate, settings.notification_burst)
        self._locks: defaultdict[str, list[Any]] = defaultdict(lambda: [0, RLock(), set()])
        self._owed: dict[str, set[str]] = {}  # sent to a plain device, not yet discarded: the mailbox was away

    # -- from the application

    def notify(self, application: Application, items: Sequence[OutgoingNotification]) -> list[dict[str, Any]]:
        """Keep notifications and send them to devices that are connected; return the answer to each.

        :raises BadAction: an ``action`` is none of those allowed; nothing was kept.
        :raises SlowDown: the application sends too many; nothing was kept.
        """
        self._check_actions(application, items)
        grants = self._directory.grants_by_puid(application.id, [item.puid for item in items])
        self._charge(application.id, len(items))
        now = self._clock.now()
        posts = [self._post(application, grants[item.puid], item, now) if item.puid in grants else None for item in items]
        self._keep([post for post in posts if post])
        return [self._answer(item, post) for item, post in zip(items, posts, strict=True)]

    def _check_actions(self, application: Application, items: Sequence[OutgoingNotification]) -> None:
        for index, item in enumerate(items):
            try:
                check_action(item.action, application.domain)
            except BadAction as error:
                raise BadAction(f"notifications[{index}].{error.error}") from None

    def _charge(self, appid: str, count: int) -> None:
        wait = self._rates.take(appid, count, now=self._clock.monotonic())
        if wait:
            raise SlowDown("notifications: too many of this application", retry_after=ceil(wait))

    def _post(self, application: Application, grant: Grant, item: OutgoingNotification, now: int) -> _Post:
        keep_ms = item.ttl * 1000 or _IN_PASSING_MS
        notification = Notification(
            id="n_" + secrets.token_urlsafe(12),
            appid=application.id,
            puid=grant.puid,
            source=application.name if item.source is None else item.source,
            message=item.message,
            action=item.action,
            sent_at=now,
            expires_at=now + keep_ms,
        )
        return _Post(grant, notification, queued=bool(item.ttl) or self._reachable(grant))

    def _reachable(self, grant: Grant) -> bool:
        return not grant.paused and any(device.connected for device in self._tracker.devices(grant.user))

    def _keep(self, posts: Sequence[_Post]) -> None:
        queued = [post for post in posts if post.queued]
        sizes = self._mailbox.push([(post.grant.user, post.notification) for post in queued], self._settings.waiting_notifications)
        for post, size in zip(queued, sizes, strict=True):
            post.queue_size = size
        for post in posts:
            if not post.queued:
                post.queue_size = self._mailbox.waiting(post.grant.user, post.grant.appid, post.notification.sent_at)
        for user in dict.fromkeys(post.grant.user for post in queued):
            delivered = self._send_now(user)
            for post in queued:
                post.delivered |= post.notification.id in delivered

    def _send_now(self, user: str) -> set[str]:
        """Send what waits for a user to her devices here, wake those elsewhere; return the ids that were sent here."""
        here = self._hub.devices_of(user)
        if any(device.connected and device.name not in here for device in self._tracker.devices(user)):
            self._tracker.wake("mail", user)
        try:
            return self.deliver(user) if here else set()
        except BackendUnavailable:
            return set()  # it is kept: it goes out with the next delivery

    def _answer(self, item: OutgoingNotification, post: _Post | None) -> dict[str, Any]:
        if post is None:
            return {"puid": item.puid, **NotFound().body()}
        return {
            "puid": item.puid,
            "id": post.notification.id,
            "result": "OK",
            "queue_size": post.queue_size,
            "delivered": post.delivered,
        }

    # -- to the devices

    def deliver(self, user: str) -> set[str]:
        """Send what waits for a user to her devices here that have not got it; return the ids that some device has by now."""
        holders = self._locks[user]
        holders[0] += 1
        try:
            if not holders[1].acquire(timeout=_TURN_SECONDS):
                raise BackendUnavailable
            try:
                holders[2] |= self._deliver(user)  # those who wait for their turn hear of it, too
                return set(holders[2])
            finally:
                holders[1].release()
        finally:
            holders[0] -= 1
            if not holders[0]:
                del self._locks[user]

    def _deliver(self, user: str) -> set[str]:
        self._settle_owed(user)
        shown = {grant.puid for grant in self._grants.of(user) if not grant.paused}
        waiting = self._mailbox.pending(user, self._clock.now())
        ready = [item for item in waiting if item.puid in shown]
        channels = self._hub.devices_of(user).values()
        for channel in channels:
            channel.sent &= {item.id for item in waiting}  # what waits no longer need not be remembered
            _send_new(channel, ready)
        plain = _ids_sent(ready, [channel for channel in channels if not channel.acknowledges])
        if plain:
            self._owed[user] = plain
            with suppress(BackendUnavailable):
                self._settle_owed(user)
        return plain | _ids_sent(ready, channels)

    def _settle_owed(self, user: str) -> None:
        """Discard what plain devices were sent; while the mailbox is away it is owed, and not sent again from here."""
        owed = self._owed.get(user)
        if owed:
            self._mailbox.settle(user, sorted(owed))
            if self._owed.get(user) is owed:  # a sweep may have settled it, too
                del self._owed[user]

    def acknowledge(self, user: str, ids: Sequence[str]) -> None:
        """Discard notifications a device says it has; unknown ones are no error."""
        self._mailbox.settle(user, ids)

    def sweep(self) -> None:
        """Discard what has expired and settle what is owed."""
        self._mailbox.sweep(self._clock.now())
        for user in list(self._owed):
            self._settle_owed(user)


def _send_new(channel: DevicePort, ready: Sequence[Notification]) -> None:
    """Send what a channel has not got."""
    new = [item for item in ready if item.id not in channel.sent]
    if new and channel.deliver(new):
        channel.sent.update(item.id for item in new)


def _ids_sent(ready: Sequence[Notification], channels: Collection[DevicePort]) -> set[str]:
    return {item.id for item in ready if any(item.id in channel.sent for channel in channels)}
