"""Notifications from applications to users, stored until they are delivered (docs/protocol.md, sections 3 and 5).

An application learns whether a notification was delivered only while its feed shows the user as reachable. While the feed shows the
user as offline, every answer is the same as for a user without devices, and takes equally long; a delivery follows later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import ceil

from ..backends.directory import Directory
from ..backends.mailbox import Mailbox, Queue, QueuedNotification
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, Conflict, NotFound, SlowDown
from ..hub import Hub
from ..limits import Buckets
from ..logs import spawn
from ..messages import NewNotification, NotificationResult
from ..metrics import Metrics
from ..model import ERASED, Application, FeedEntry, Grant
from ..settings import PresenceSettings
from ..tasks import on_behalf_of
from .accepted_notification import Accepted, answer, notification_of
from .coalescer import Coalescer
from .delivery import Delivery
from .feeds import shown_until
from .inboxes import Inboxes
from .notification_control import TextChecks, check_distinct, control_of
from .outcomes import Outcomes
from .pushes import Pushes
from .retry import RetryQueue
from .scheduling import yield_to_loop

_TRANSIENT_MS = 5000
"""Maximum milliseconds that a notification with ``ttl`` 0 is stored for delivery to connected devices."""

_SWEEP_SECONDS = 50
"""Minimum seconds between two sweeps of queues without a grant, over all processes. It is less than the interval of the sweep job."""
_PAGE, _SWEPT_PAGES = 500, 100
"""Queues per page, and pages per sweep. The next sweep continues after the last page."""
_START = Queue("", "")


class Notifications:
    """Operations on notifications. Notifications are stored first, then sent."""

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        mailbox: Mailbox,
        delivery: Delivery,
        inboxes: Inboxes,
        pushes: Pushes,
        outcomes: Outcomes,
        retries: RetryQueue,
        hub: Hub,
        metrics: Metrics,
        settings: PresenceSettings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._delivery = delivery
        self._pushes = pushes
        self._outcomes = outcomes
        self._retries = retries
        self._hub = hub
        self._metrics = metrics
        self._settings = settings
        self._clock = clock
        self._swept = _START
        self._queues_added_to: set[tuple[str, str]] = set()  # user and PUID of what was stored since inboxes were trimmed last
        self._delayed = Coalescer("a delayed delivery", self._deliver_delayed, delivery.random_delay)
        self._withdrawn = Coalescer("the change of an inbox by a sender", inboxes.changed, delivery.random_delay)
        self._texts = TextChecks()
        self._rates = Buckets(settings.notification_rate, settings.notification_burst)

    def notify(self, application: Application, items: Sequence[NewNotification]) -> list[NotificationResult]:
        """Store notifications and send them to connected devices; return the answer to each.

        :raises BadAction: an ``action`` is not allowed; nothing was stored.
        :raises WrongValue: a ``source`` looks like another domain; nothing was stored.
        :raises SlowDown: the application sends too many notifications; nothing was stored.
        :raises BackendUnavailable: also if too many calls of the application's owner wait.
        :raises Conflict: an idempotency key was used for another content; nothing was stored.
        """
        check_distinct(items)
        self._charge(application, len(items))
        self._texts.check(application, items)
        with on_behalf_of(application.owner):
            return self._notify(application, items)

    def _notify(self, application: Application, items: Sequence[NewNotification]) -> list[NotificationResult]:
        grants = self._directory.grants_by_puid(application.id, [item.puid for item in items])
        known = [item for item in items if item.puid in grants]
        accepted = self._accept(application, [(grants[item.puid], item) for item in known])
        followed = [each for each, item in zip(accepted, known, strict=True) if item.outcome]
        self._store_followed(application, accepted, followed)
        if replaced := [each.replaced for each in accepted if each.replaced]:
            self._retries.run(("replaced", replaced[0]), partial(self._outcomes.record_end, application.id, replaced, "replaced"))
        self._send(accepted)
        results = iter(accepted)
        return [answer(item, next(results) if item.puid in grants else None) for item in items]

    def _store_followed(self, application: Application, accepted: Sequence[Accepted], followed: Sequence[Accepted]) -> None:
        """Store notifications, and record those whose outcomes the sender asked for before they can have any."""
        if followed:
            self._outcomes.follow(application.id, followed, _TRANSIENT_MS)
        try:
            self._store(application, accepted)
        except Conflict:
            self._outcomes.unfollow(application.id, followed)
            raise
        if followed:
            key = ("positions", followed[0].notification.id)
            self._retries.run(key, partial(self._outcomes.record_positions, application.id, followed))

    def cancel(self, application: Application, puid: str, id_: str) -> None:
        """Cancel a notification. Nothing shows whether it waited, was delivered, or was never sent.

        :raises NotFound: no such PUID.
        :raises SlowDown: see ``notify``; ``BackendUnavailable`` likewise.
        """
        self._charge(application, 1)
        with on_behalf_of(application.owner):
            grant = self._directory.grants_by_puid(application.id, [puid]).get(puid)
            if grant is None:
                raise NotFound()
            if self._mailbox.cancel(grant.user, puid, id_):
                self._withdrawn.request(grant.user)  # not at once: the time of the sender's next calls must not show who has a device
            self._outcomes.cancel(application.id, puid, id_)

    def _charge(self, application: Application, count: int) -> None:
        wait = self._rates.take(application.id, count, now=self._clock.monotonic())
        if wait:
            raise SlowDown("notifications: too many of this application", retry_after=ceil(wait))
        if self._mailbox.refuses(application.owner):  # before anything is read: a refusal costs little, and is the same for all PUIDs
            raise BackendUnavailable

    def _accept(self, application: Application, items: Sequence[tuple[Grant, NewNotification]]) -> list[Accepted]:
        now, view = self._clock.steady.now(), self._view(application.id, [grant for grant, _ in items])
        accepted = [
            Accepted(
                grant,
                notification_of(application, grant, item, now),
                shown_until(grant, view.get(grant.puid), now),
                item.ttl * 1000,
                control_of(item),
                item.urgency,
            )
            for grant, item in items
        ]
        transient = [each for each in accepted if each.shown_now and not each.ttl_ms]
        connected = {user for user in {each.grant.user for each in transient} if self._connected(user)}
        for each in transient:
            each.ttl_ms = _TRANSIENT_MS if each.grant.user in connected else 0
        return accepted

    def _view(self, appid: str, grants: Sequence[Grant]) -> Mapping[str, FeedEntry]:
        """Return the latest updates of some grants in an application's feed, without those of users whose tracker is unavailable."""
        try:
            return self._tracker.latest_of_grants(appid, grants, allow_missing=True)
        except BackendUnavailable:
            return {}

    def _connected(self, user: str) -> bool:
        return any(device.connected for device in self._tracker.devices(user))

    def _store(self, application: Application, accepted: Sequence[Accepted]) -> None:
        queued = [each for each in accepted if each.ttl_ms]
        new = [
            QueuedNotification(
                each.grant.user, each.notification, each.ttl_ms, each.shown_until, application.domain, each.grant.paused, each.control
            )
            for each in queued
        ]
        results = self._mailbox.enqueue(new, self._settings.waiting_notifications)
        self._queues_added_to.update((each.grant.user, each.grant.puid) for each in queued)
        for each, stored in zip(queued, results, strict=True):
            each.position, each.queue_size, each.repeated, each.replaced = stored
            if each.queue_size >= self._settings.waiting_notifications:
                self._outcomes.check_full(each.grant)
        self._metrics.counted["notifications accepted"] += sum(not each.repeated for each in queued)
        wanted = [(item, each.position, each.urgency) for item, each in zip(new, queued, strict=True) if each.is_pushed]
        if wanted:
            self._retries.run(("push", wanted[0][0].notification.id), partial(self._pushes.add, application.id, wanted))
        for each in accepted:
            if not each.ttl_ms:
                each.queue_size = self._mailbox.queue_size(each.grant.user, each.grant.puid, each.shown_until)
        if queued:
            self._retries.run(queued[0].notification.id, partial(self._check_grants, application.id, queued))

    def _check_grants(self, appid: str, accepted: Sequence[Accepted]) -> None:
        """Delete notifications whose grant was revoked before they were stored, because the revoke has already purged the mailbox.

        Likewise, show in the inbox those whose grant was paused until then.
        """
        existing = self._directory.grants_by_puid(appid, [each.grant.puid for each in accepted])
        revoked = [each for each in accepted if each.grant.puid not in existing]
        if revoked:
            self._mailbox.purge_grants([each.grant for each in revoked])
        for each in revoked:
            self._mailbox.remove_entry(each.grant.user, each.notification.id)
            each.revoked = True
        self._outcomes.record_end(appid, [each.notification.id for each in revoked], "revoked")
        for each in accepted:
            if each.grant.paused and not each.revoked and not existing[each.grant.puid].paused:
                self._mailbox.release([(each.grant.user, each.grant.puid)])

    def _send(self, accepted: Sequence[Accepted]) -> None:
        """Send stored notifications: at once if the application may know whether they were delivered, else after the answer."""
        queued = [each for each in accepted if each.ttl_ms]
        visible = dict.fromkeys(each.grant.user for each in queued if each.shown_now)
        hidden = dict.fromkeys(each.grant.user for each in queued if not each.shown_now and each.grant.user not in visible)
        self._send_now(visible)
        for each in queued:
            channels = self._hub.devices_of(each.grant.user).values() if each.shown_now else ()
            each.delivered = any(channel.session.progress.has_sent(each.notification, each.position, each.repeated) for channel in channels)
        if hidden:
            spawn(self._send_delayed, hidden)

    def _send_delayed(self, users: Iterable[str]) -> None:
        """Send the waiting notifications of users whom the application's feed shows as offline.

        Other processes are signalled at once, because this one may end. A delivery at this process delays other requests, perhaps the
        next one of the application, which could then detect that the user has a device. Therefore it takes place after a random delay.
        """
        for user in users:
            self._retries.run(("mail", user), partial(self._signal_others, user))
            if self._hub.devices_of(user):
                self._delayed.request(user)

    def _deliver_delayed(self, user: str) -> None:
        self._delivery.schedule(user)

    def _signal_others(self, user: str) -> None:
        """Signal other processes if the user has a device at one of them."""
        here = self._hub.devices_of(user)
        if any(device.connected and device.name not in here for device in self._tracker.devices(user)):
            self._tracker.signal("mail", user)

    def _send_now(self, users: Iterable[str]) -> None:
        """Send the waiting notifications of users to their devices at this process, and signal the processes of their other devices.

        After the first timeout of a backend, the other users are only signalled, so that the answer does not wait for more timeouts.
        The processes that receive a signal retry the delivery, and so does this one.
        """
        unavailable = False
        for user in users:
            signal = partial(self._tracker.signal, "mail", user) if unavailable else partial(self._signal_others, user)
            self._retries.run(("mail", user), signal)  # before the delivery, after which notifications to a plain device are soon deleted
            if unavailable:
                self._delivery.schedule(user)
            elif self._hub.devices_of(user):
                try:
                    self._delivery.deliver(user)
                except BackendUnavailable:
                    unavailable = True
                    self._delivery.schedule(user)

    def sweep(self) -> None:
        """Delete what has expired or was delivered, and trim inboxes. One process at a time also deletes queues without a grant."""
        self._mailbox.sweep()
        trimmed = list(self._queues_added_to)
        self._mailbox.trim(trimmed)
        self._queues_added_to.difference_update(trimmed)
        self._delivery.sweep()
        if self._tracker.claim("sweep of queues", _SWEEP_SECONDS):
            self._purge_revoked()

    def _purge_revoked(self) -> None:
        """Delete queues whose grant was revoked. They remain when a process ends between storing and its check of the grant."""
        for _ in range(_SWEPT_PAGES):
            queues = self._mailbox.queues(self._swept, _PAGE)
            # read last, because a grant is created before its queue
            existing = self._directory.existing_puids([queue.puid for queue in queues])
            ended = [queue for queue in queues if queue.puid not in existing]
            if ended:
                self._mailbox.purge_grants(ended)
                self._purge_erased({queue.user for queue in ended})
            if len(queues) < _PAGE:
                self._swept = _START
                return
            self._swept = queues[-1]
            yield_to_loop()

    def _purge_erased(self, users: Iterable[str]) -> None:
        """Delete inboxes of erased accounts, for the same reason. Other users keep theirs when a grant ends."""
        for user in users:
            if self._directory.grants_of_user(user).revision == ERASED:
                self._mailbox.purge(user)
