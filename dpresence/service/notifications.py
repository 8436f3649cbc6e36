"""Live notifications: from an application to a user, kept until she has them (docs/protocol.md, sections 3 and 5)."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import gevent

from ..backends.directory import Directory
from ..backends.mailbox import Mailbox
from ..backends.tracker import Tracker
from ..clock import Clock
from ..domains import check_action
from ..errors import BackendUnavailable, BadAction, NotFound, SlowDown, WrongValue
from ..hub import DevicePort, Hub
from ..limits import Buckets
from ..lookalikes import names_another_domain
from ..messages import MOST_ITEMS, OutgoingNotification
from ..model import Application, Grant, Notification
from ..settings import PresenceSettings
from .grants import Grants
from .retry import RetryQueue
from .turns import Turns

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
    revoked: bool = False


class Notifications:
    """The verbs of notifications. Stored first, then sent; what a plain device was sent is discarded once it has left.

    :ivar awaited: tells whether a delivery to a user is about to begin.
    """

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        mailbox: Mailbox,
        grants: Grants,
        retries: RetryQueue,
        hub: Hub,
        settings: PresenceSettings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._grants = grants
        self._retries = retries
        self._hub = hub
        self._settings = settings
        self._clock = clock
        self._rates = Buckets(settings.notification_rate, settings.notification_burst)
        self._turns = Turns(self._deliver, _TURN_SECONDS)
        self.awaited = self._turns.awaited
        self._owed: dict[str, set[str]] = {}  # has left for a plain device, and is not yet discarded

    # -- from the application

    def notify(self, application: Application, items: Sequence[OutgoingNotification]) -> list[dict[str, Any]]:
        """Keep notifications and send them to devices that are connected; return the answer to each.

        :raises BadAction: an ``action`` is none of those allowed; nothing was kept.
        :raises WrongValue: a ``source`` reads as another domain; nothing was kept.
        :raises SlowDown: the application sends too many; nothing was kept.
        """
        self._check_claims(application, items)
        grants = self._directory.grants_by_puid(application.id, [item.puid for item in items])
        self._charge(application.id, len(items))
        known = [item for item in items if item.puid in grants]
        posts = self._posts(application, [(grants[item.puid], item) for item in known])
        self._keep(application.id, posts)
        answers = iter(posts)
        return [self._answer(item, next(answers) if item.puid in grants else None) for item in items]

    def _check_claims(self, application: Application, items: Sequence[OutgoingNotification]) -> None:
        for index, item in enumerate(items):
            try:
                check_action(item.action, application.domain)
            except BadAction as error:
                raise BadAction(f"notifications[{index}].{error.error}") from None
            if item.source and names_another_domain(item.source, application.domain):
                raise WrongValue(f"notifications[{index}].source: no web address other than {application.domain}")

    def _charge(self, appid: str, count: int) -> None:
        wait = self._rates.take(appid, count, now=self._clock.monotonic())
        if wait:
            raise SlowDown("notifications: too many of this application", retry_after=ceil(wait))

    def _posts(self, application: Application, items: Sequence[tuple[Grant, OutgoingNotification]]) -> list[_Post]:
        passing = {grant.user for grant, item in items if not item.ttl and not grant.paused}
        here = {user for user in passing if any(device.connected for device in self._tracker.devices(user))}
        now = self._clock.now()
        return [
            _Post(grant, _notification(application, grant, item, now), bool(item.ttl) or (not grant.paused and grant.user in here))
            for grant, item in items
        ]

    def _keep(self, appid: str, posts: Sequence[_Post]) -> None:
        queued = [post for post in posts if post.queued]
        sizes = self._mailbox.push([(post.grant.user, post.notification) for post in queued], self._settings.waiting_notifications)
        for post, size in zip(queued, sizes, strict=True):
            post.queue_size = size
        for post in posts:
            if not post.queued:
                post.queue_size = self._mailbox.waiting(post.grant.user, post.grant.appid, post.notification.sent_at)
        if queued:
            self._retries.run(queued[0].notification.id, partial(self._drop_revoked, appid, queued))
        delivered = self._send_now(dict.fromkeys(post.grant.user for post in queued))
        for post in queued:
            post.delivered = post.notification.id in delivered

    def _drop_revoked(self, appid: str, posts: Sequence[_Post]) -> None:
        """Discard what was stored for a grant that has ended, and whose end discarded what waited, a moment before."""
        standing = self._directory.grants_by_puid(appid, [post.grant.puid for post in posts])
        gone = [post for post in posts if post.grant.puid not in standing]
        if gone:
            self._mailbox.purge_grants([post.grant for post in gone])
        for post in gone:
            post.revoked = True

    def _send_now(self, users: Iterable[str]) -> set[str]:
        """Send what waits for users to their devices here, wake those elsewhere; return the ids that were sent here.

        Once a backend does not answer, nobody is kept waiting for it again: whoever hears a wake-up goes on trying.
        """
        sent: set[str] = set()
        away = False
        for user in users:
            here = self._hub.devices_of(user)
            with suppress(BackendUnavailable):  # it is kept: it goes out with the next delivery
                if away or any(device.connected and device.name not in here for device in self._tracker.devices(user)):
                    self._tracker.wake("mail", user)  # first: what a plain device here was sent is soon discarded
            if here and not away:
                try:
                    sent |= self.deliver(user)
                except BackendUnavailable:
                    away = True
                    with suppress(BackendUnavailable):
                        self._tracker.wake("mail", user)
        return sent

    def _answer(self, item: OutgoingNotification, post: _Post | None) -> dict[str, Any]:
        if post is None or post.revoked:
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
        return self._turns.take(user)

    def _deliver(self, user: str) -> set[str]:
        self._settle_owed(user)
        waiting = self._mailbox.pending(user, self._clock.now())
        shown = {grant.puid for grant in self._grants.of(user).grants if not grant.paused}  # last: one may have ended meanwhile
        ready = [item for item in waiting if item.puid in shown]
        channels = self._hub.devices_of(user).values()
        for channel in channels:
            channel.sent &= {item.id for item in waiting}  # what waits no longer need not be remembered
            self._offer(user, channel, ready)
        with suppress(BackendUnavailable):
            self._settle_owed(user)
        return _ids_sent(ready, channels)

    def _offer(self, user: str, channel: DevicePort, ready: Sequence[Notification]) -> None:
        """Send a channel what it has not got. What a plain one was sent is to be discarded once it has left, and not before."""
        new = [item for item in ready if item.id not in channel.sent]
        for start in range(0, len(new), MOST_ITEMS):
            some = new[start : start + MOST_ITEMS]
            if not channel.deliver(some):
                return
            ids = {item.id for item in some}
            channel.sent |= ids
            if not channel.acknowledges:
                channel.when_sent(partial(self._left, user, ids))

    def _left(self, user: str, ids: set[str]) -> None:
        """Note what has left for a plain device; never waits."""
        self._owed.setdefault(user, set()).update(ids)
        if not self._turns.runs(user):  # else it is settled there
            gevent.spawn(self._settle_late, user)

    def _settle_late(self, user: str) -> None:
        with suppress(BackendUnavailable):
            self._settle_owed(user)

    def _settle_owed(self, user: str) -> None:
        """Discard what plain devices were sent; while the mailbox is away it is owed, and not sent again from here."""
        while owed := self._owed.get(user):
            ids = sorted(owed)
            self._mailbox.settle(user, ids)
            owed.difference_update(ids)
            if not owed and self._owed.get(user) is owed:  # another greenlet may have settled it, too
                del self._owed[user]

    def acknowledge(self, user: str, ids: Sequence[str]) -> None:
        """Discard notifications a device says it has; unknown ones are no error."""
        self._mailbox.settle(user, ids)

    def sweep(self) -> None:
        """Discard what has expired and settle what is owed."""
        self._mailbox.sweep(self._clock.now())
        for user in list(self._owed):
            self._settle_owed(user)


def _notification(application: Application, grant: Grant, item: OutgoingNotification, now: int) -> Notification:
    keep_ms = item.ttl * 1000 or _IN_PASSING_MS
    return Notification(
        id="n_" + secrets.token_urlsafe(12),
        appid=application.id,
        puid=grant.puid,
        source=item.source or application.name,
        message=item.message,
        action=item.action,
        sent_at=now,
        expires_at=now + keep_ms,
    )


def _ids_sent(ready: Sequence[Notification], channels: Collection[DevicePort]) -> set[str]:
    return {item.id for item in ready if any(item.id in channel.sent for channel in channels)}
