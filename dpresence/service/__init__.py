"""The service layer. Websocket frames, REST calls and pages call the same methods.

It depends on the abstract bases of the backends and of identity, not on their implementations, and not on web or sockets.
"""

from __future__ import annotations

import logging

import gevent

from ..backends import Backends
from ..backends.tracker import Topic
from ..clock import Clock
from ..errors import BackendUnavailable
from ..hub import Hub
from ..identity import Verifiers
from ..metrics import Metrics
from ..proofs import DomainProofs
from ..settings import Settings
from .accounts import Accounts
from .applications import Applications
from .comparison import Comparison
from .delivery import Delivery
from .devices import Devices
from .failures import Failures
from .feeds import Feeds
from .figures import Figures
from .grants import Grants
from .notifications import Notifications
from .outbox import Outbox
from .overview import Overview
from .personal import PersonalData
from .rebuilding import Rebuilding
from .recovery import Recovery
from .retry import RetryQueue

log = logging.getLogger(__name__)

_RETRY_SECONDS = 2.0


class Presence:
    """The services by subject, and the handling of signals from this and other processes."""

    def __init__(
        self,
        backends: Backends,
        verifiers: Verifiers,
        proofs: DomainProofs,
        hub: Hub,
        metrics: Metrics,
        settings: Settings,
        clock: Clock,
    ) -> None:
        directory, tracker, mailbox = backends.directory, backends.tracker, backends.mailbox
        failures = Failures(settings.channels.failures_per_minute, clock)
        self.hub, self.metrics = hub, metrics
        self.figures = Figures(metrics, backends, clock)
        self.outbox, self.retries = Outbox(directory), RetryQueue()
        self.grants = Grants(directory, tracker, mailbox, self.outbox, clock)
        self.devices = Devices(directory, tracker, self.grants, self.outbox, self.retries, metrics, settings.presence, clock)
        self.applications = Applications(directory, tracker, proofs, self.grants, self.outbox, failures, metrics, settings, clock)
        self.accounts = Accounts(
            directory, tracker, mailbox, verifiers, self.grants, self.devices, self.outbox, failures, metrics, settings.identity, clock
        )
        self.feeds = Feeds(directory, tracker, settings.presence, clock)
        self.devices.on_connect = self.feeds.count_connect
        self.overview = Overview(directory, tracker, self.feeds, hub, clock)
        self.delivery = Delivery(directory, tracker, mailbox, self.grants, hub, clock)
        self.delivery.schedule = self._schedule_delivery
        self.notifications = Notifications(directory, tracker, mailbox, self.delivery, self.retries, hub, settings.presence, clock)
        self.comparison = Comparison(directory, tracker, self.grants)
        self.recovery = Recovery(hub, self.devices, self.grants, self.accounts, self.outbox, self.retries, self.comparison, self.deliver)
        self.rebuilding = Rebuilding(directory, tracker, self.grants)
        self.personal = PersonalData(directory, tracker, mailbox, clock)
        self.renew_lease = tracker.renew
        self._scheduled: set[str] = set()
        self._retrying: set[str] = set()
        tracker.subscribe(self._on_signal)

    def _on_signal(self, topic: Topic, key: str) -> None:
        """Handle a signal. It is called by the tracker in every process and must not block.

        :param key: id of an account or application, which may be followed by details, separated by spaces.
        """
        owner, _, detail = key.partition(" ")
        if topic == "feed":
            self.hub.feed_changed(owner)
        elif topic == "mail":
            self._schedule_delivery(owner)
        elif topic == "grants":
            self.grants.invalidate(owner)
        elif topic == "account":
            self.hub.close_devices(owner, "signed out", lambda name, channel: channel.revision < int(detail))
        elif topic == "ticket":
            self.hub.close_devices(owner, "signed out", lambda name, channel: channel.family == detail)
        elif topic == "device":
            device, _, revision = detail.partition(" ")
            self.hub.close_devices(owner, "signed out", lambda name, channel: name == device and channel.revision < int(revision))
        elif topic == "replaced":
            self.hub.close_replaced(owner, *detail.split(" "))
        elif topic == "damaged":
            self.rebuilding.start(owner)
        elif topic == "forgotten" and owner:
            self.recovery.check_devices(owner)
        elif topic in ("missed", "forgotten"):
            self.recovery.start()
        elif topic == "application":
            self.hub.check_application(owner)
            self.delivery.resume(owner)

    def finish(self) -> None:
        """Apply pending retries and outbox entries at the end of this process. Other processes apply the entries that remain."""
        try:
            self.retries.flush()
            left = self.outbox.flush()
        except BackendUnavailable as error:
            log.warning("changes may be pending: %s; another process or the next start applies them", error.error)
        else:
            if left:
                log.warning("at least %d changes are pending; another process or the next start applies them", left)

    def deliver(self, user: str) -> None:
        """Send a user's waiting notifications to their devices at this process.

        While a backend is unavailable, the delivery is retried as long as the user has a device here.
        """
        try:
            self.delivery.deliver(user)
        except BackendUnavailable as error:
            log.warning("notifications not delivered yet: %s", error.error)
            if user not in self._retrying:
                self._retrying.add(user)
                gevent.spawn_later(_RETRY_SECONDS, self._retry_delivery, user)

    def _schedule_delivery(self, user: str) -> None:
        """Deliver in a new greenlet, unless the user has no device here or a delivery is already scheduled. Does not block."""
        if user not in self._scheduled and self.hub.devices_of(user) and not self.delivery.pending(user):
            self._scheduled.add(user)
            gevent.spawn(self._deliver_scheduled, user)

    def _deliver_scheduled(self, user: str) -> None:
        self._scheduled.discard(user)
        self.deliver(user)

    def _retry_delivery(self, user: str) -> None:
        self._retrying.discard(user)
        if self.hub.devices_of(user):
            self.deliver(user)
