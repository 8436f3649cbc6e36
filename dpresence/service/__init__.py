"""The service: every verb in one place. A websocket frame, a REST call and a page end in the same method.

It knows the abstract bases of the backends and of identity, never an implementation, and neither web nor socket.
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
from ..outbound import Outbound
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
    """The verbs, by what they are about, and what is done when another part or process wakes this one."""

    def __init__(
        self,
        backends: Backends,
        verifiers: Verifiers,
        outbound: Outbound,
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
        self.applications = Applications(directory, tracker, outbound, self.grants, self.outbox, failures, metrics, settings, clock)
        self.accounts = Accounts(
            directory, tracker, mailbox, verifiers, self.grants, self.devices, self.outbox, failures, metrics, settings.identity, clock
        )
        self.feeds = Feeds(directory, tracker, settings.presence, clock)
        self.devices.on_connect = self.feeds.connected
        self.overview = Overview(directory, tracker, self.feeds, hub, clock)
        self.delivery = Delivery(directory, tracker, mailbox, self.grants, hub, clock)
        self.delivery.again = self._deliver_soon
        self.notifications = Notifications(directory, tracker, mailbox, self.delivery, self.retries, hub, settings.presence, clock)
        self.comparison = Comparison(directory, tracker, self.grants)
        self.recovery = Recovery(hub, self.devices, self.grants, self.accounts, self.outbox, self.retries, self.comparison, self.deliver)
        self.rebuilding = Rebuilding(directory, tracker, self.grants)
        self.personal = PersonalData(directory, tracker, mailbox, clock)
        self.renew_lease = tracker.renew
        self._soon: set[str] = set()
        self._late: set[str] = set()
        tracker.listen(self._woken)

    def _woken(self, topic: Topic, key: str) -> None:
        """Act on a wake-up; ``key`` is an account, an application, or an account or application and a word."""
        owner, _, detail = key.partition(" ")
        if topic == "feed":
            self.hub.news(owner)
        elif topic == "mail":
            self._deliver_soon(owner)
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
            self.rebuilding.begin(owner)
        elif topic == "forgotten" and owner:
            self.recovery.look_at(owner)
        elif topic in ("missed", "forgotten"):
            self.recovery.begin()
        elif topic == "application":
            self.hub.check_application(owner)
            self.delivery.resume(owner)

    def finish(self) -> None:
        """Tell the backends what they were not told so far, at the end of this process; what is left others carry out."""
        try:
            self.retries.flush()
            left = self.outbox.flush()
        except BackendUnavailable as error:
            log.warning("changes may be left to tell: %s; another process or the next start does it", error.error)
        else:
            if left:
                log.warning("%d changes or more are left to tell; another process or the next start does it", left)

    def deliver(self, user: str) -> None:
        """Send what waits for a user to her devices here; when a backend is away, again until it is back or she is gone."""
        try:
            self.delivery.deliver(user)
        except BackendUnavailable as error:
            log.warning("notifications not delivered yet: %s", error.error)
            if user not in self._late:
                self._late.add(user)
                gevent.spawn_later(_RETRY_SECONDS, self._deliver_late, user)

    def _deliver_soon(self, user: str) -> None:
        """Deliver in a greenlet, unless nobody is here or somebody is about to do it anyway; never waits."""
        if user not in self._soon and self.hub.devices_of(user) and not self.delivery.awaited(user):
            self._soon.add(user)
            gevent.spawn(self._deliver_now, user)

    def _deliver_now(self, user: str) -> None:
        self._soon.discard(user)
        self.deliver(user)

    def _deliver_late(self, user: str) -> None:
        self._late.discard(user)
        if self.hub.devices_of(user):
            self.deliver(user)
