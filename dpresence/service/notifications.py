"""Notifications from an application to a user, kept until a device has them (docs/protocol.md, sections 3 and 5).

An application learns what becomes of a notification only while it is shown the user as reachable. While it is shown them as
offline, every answer is the same as for a user who has no device, and takes as long: what may be delivered is delivered later.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from random import SystemRandom
from typing import Any

import gevent

from ..backends.directory import Directory
from ..backends.mailbox import SHOWN_NOW, Mailbox, Push, Queue
from ..backends.tracker import Tracker
from ..clock import Clock
from ..domains import check_action
from ..errors import BackendUnavailable, BadAction, NotFound, SlowDown, WrongValue
from ..hub import Hub
from ..limits import Buckets
from ..lookalikes import names_another_domain
from ..messages import OutgoingNotification
from ..model import Application, Grant, Notification, Update
from ..settings import PresenceSettings
from .delivery import Delivery
from .retry import RetryQueue
from .turns import give_way

_IN_PASSING_MS = 5000
"""How long a notification with ``ttl`` 0 may wait for the devices that are connected to take it."""

_SWEEP_SECONDS = 50
"""How long after one process has looked for queues without a grant no other does: less than a sweep takes to come again."""
_PAGE, _SWEPT_PAGES = 500, 100
"""Queues asked for at once, and pages of one sweep; the next one goes on behind them."""
_START = Queue("", "")
_RANDOM = SystemRandom()


@dataclass(slots=True)
class _Post:
    """One accepted item on its way: where it goes and what is answered.

    :ivar shown_until: until when the application was last shown the user as reachable; see ``backends.mailbox.Push``.
    :ivar ttl_ms: how long it may wait; 0 when it is not kept.
    """

    grant: Grant
    notification: Notification
    shown_until: int
    ttl_ms: int
    position: int = 0
    queue_size: int = 0
    delivered: bool = False
    revoked: bool = False

    @property
    def seen(self) -> bool:
        """Whether the application is shown the user as reachable."""
        return self.shown_until == SHOWN_NOW


class Notifications:
    """The verbs of an application's notifications. Stored first, then sent.

    :cvar late_seconds: how much later, at least and at most, devices here are sent what the application must not notice.
    """

    late_seconds = (0.2, 2.0)

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        mailbox: Mailbox,
        delivery: Delivery,
        retries: RetryQueue,
        hub: Hub,
        settings: PresenceSettings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._delivery = delivery
        self._retries = retries
        self._hub = hub
        self._settings = settings
        self._clock = clock
        self._swept = _START
        self._late: set[str] = set()  # users who are sent what waits a random while later
        self._rates = Buckets(settings.notification_rate, settings.notification_burst)

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
        self._keep(application, posts)
        self._send(posts)
        answers = iter(posts)
        return [_answer(item, next(answers) if item.puid in grants else None) for item in items]

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
        now, view = self._clock.steady.now(), self._view(application.id, [grant.puid for grant, _ in items])
        posts = [
            _Post(grant, _notification(application, grant, item, now), _shown_until(grant, view.get(grant.puid), now), item.ttl * 1000)
            for grant, item in items
        ]
        passing = [post for post in posts if post.seen and not post.ttl_ms]
        connected = {user for user in {post.grant.user for post in passing} if self._connected(user)}
        for post in passing:
            post.ttl_ms = _IN_PASSING_MS if post.grant.user in connected else 0
        return posts

    def _view(self, appid: str, puids: Sequence[str]) -> Mapping[str, Update]:
        """Return what an application was last told of some PUIDs; nothing while the tracker is away."""
        try:
            return self._tracker.latest(appid, puids)
        except BackendUnavailable:
            return {}

    def _connected(self, user: str) -> bool:
        return any(device.connected for device in self._tracker.devices(user))

    def _keep(self, application: Application, posts: Sequence[_Post]) -> None:
        queued = [post for post in posts if post.ttl_ms]
        pushes = [Push(post.grant.user, post.notification, post.ttl_ms, post.shown_until) for post in queued]
        kept = self._mailbox.push(pushes, self._settings.waiting_notifications, application.owner)
        for post, stored in zip(queued, kept, strict=True):
            post.position, post.queue_size = stored
        for post in posts:
            if not post.ttl_ms:
                post.queue_size = self._mailbox.waiting(post.grant.user, post.grant.puid, post.shown_until)
        if queued:
            self._retries.run(queued[0].notification.id, partial(self._drop_revoked, application.id, queued))

    def _drop_revoked(self, appid: str, posts: Sequence[_Post]) -> None:
        """Discard what was stored for a grant that has ended, and whose end discarded what waited, a moment before."""
        standing = self._directory.grants_by_puid(appid, [post.grant.puid for post in posts])
        gone = [post for post in posts if post.grant.puid not in standing]
        if gone:
            self._mailbox.purge_grants([post.grant for post in gone])
        for post in gone:
            post.revoked = True

    def _send(self, posts: Sequence[_Post]) -> None:
        """Send what was kept: at once where the application may know whether it was, else after the answer."""
        queued = [post for post in posts if post.ttl_ms]
        seen = dict.fromkeys(post.grant.user for post in queued if post.seen)
        unseen = dict.fromkeys(post.grant.user for post in queued if not post.seen and post.grant.user not in seen)
        self._send_now(seen)
        for post in queued:
            channels = self._hub.devices_of(post.grant.user).values() if post.seen else ()
            post.delivered = any(channel.progress.position >= post.position for channel in channels)
        if unseen:
            gevent.spawn(self._send_late, unseen)

    def _send_late(self, users: Iterable[str]) -> None:
        """Send what waits for users whom the application is shown as offline.

        Processes elsewhere are woken at once: this one may end. What is sent here takes time from whoever is served next, perhaps from the
        next call of the application, and would tell it that somebody is there; so it is sent a random while later.
        """
        for user in users:
            with suppress(BackendUnavailable):
                self._wake_others(user)
            if user not in self._late and self._hub.devices_of(user):
                self._late.add(user)
                gevent.spawn_later(_RANDOM.uniform(*self.late_seconds), self._deliver_late, user)

    def _deliver_late(self, user: str) -> None:
        self._late.discard(user)
        self._delivery.again(user)

    def _wake_others(self, user: str) -> None:
        here = self._hub.devices_of(user)
        if any(device.connected and device.name not in here for device in self._tracker.devices(user)):
            self._tracker.wake("mail", user)

    def _send_now(self, users: Iterable[str]) -> None:
        """Send what waits for users to their devices here, and wake the processes of those elsewhere.

        Once a backend does not answer, nobody is kept waiting for it again: whoever hears a wake-up goes on trying.
        """
        away = False
        for user in users:
            here = self._hub.devices_of(user)
            with suppress(BackendUnavailable):  # it is kept: it goes out with the next delivery
                if away:
                    self._tracker.wake("mail", user)
                else:
                    self._wake_others(user)  # first: what a plain device here was sent is soon discarded
            if here and not away:
                try:
                    self._delivery.deliver(user)
                except BackendUnavailable:
                    away = True
                    with suppress(BackendUnavailable):
                        self._tracker.wake("mail", user)

    def sweep(self) -> None:
        """Discard what has expired and settle what is owed; one process at a time also discards what no grant stands for."""
        self._mailbox.sweep()
        self._delivery.sweep()
        if self._tracker.claim("sweep of queues", _SWEEP_SECONDS):
            self._drop_ended()

    def _drop_ended(self) -> None:
        """Discard queues whose grant is gone: a process may end between a push and noticing that the grant ended meanwhile."""
        for _ in range(_SWEPT_PAGES):
            queues = self._mailbox.queues(self._swept, _PAGE)
            standing = self._directory.standing([queue.puid for queue in queues])  # last: a grant is there before its queue is
            ended = [queue for queue in queues if queue.puid not in standing]
            if ended:
                self._mailbox.purge_grants(ended)
            if len(queues) < _PAGE:
                self._swept = _START
                return
            self._swept = queues[-1]
            give_way()


def _answer(item: OutgoingNotification, post: _Post | None) -> dict[str, Any]:
    if post is None or post.revoked:
        return {"puid": item.puid, **NotFound().body()}
    return {
        "puid": item.puid,
        "id": post.notification.id,
        "result": "OK",
        "queue_size": post.queue_size,
        "delivered": post.delivered,
    }


def _shown_until(grant: Grant, seen: Update | None, now: int) -> int:
    """Return until when an application was last shown a user as reachable, by the last it was told of them."""
    if seen is None:
        return 0
    if seen.status == "offline":
        return seen.at
    return now if grant.paused else SHOWN_NOW  # it is about to be told of the pause


def _notification(application: Application, grant: Grant, item: OutgoingNotification, now: int) -> Notification:
    return Notification(
        id="n_" + secrets.token_urlsafe(12),
        appid=application.id,
        puid=grant.puid,
        source=item.source or application.name,
        message=item.message,
        action=item.action,
        sent_at=now,
    )
