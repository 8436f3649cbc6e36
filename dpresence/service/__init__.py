"""The service layer. Websocket frames, REST calls and pages call the same methods.

It depends on the abstract bases of the backends and of identity, not on their implementations, and not on web or sockets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..backends import Backends
from ..backends.directory import OutboxEntry, OutboxKind
from ..backends.tracker import Topic
from ..clock import Clock
from ..errors import BackendUnavailable
from ..hub import Hub
from ..identity import Verifiers
from ..mail import MailServer
from ..metrics import Metrics
from ..proofs import DomainProofs
from ..push import PushServices
from ..settings import Settings
from ..webhook_requests import WebhookRequests
from .accounts import Accounts
from .administration import log_notes
from .api_keys import ApiKeys
from .app_sessions import AppSessions
from .applications import Applications
from .coalescer import Coalescer
from .delivery import Delivery
from .device_names import DeviceNames
from .device_sessions import DeviceSessions
from .devices import Devices
from .domain_checks import DomainChecks
from .explanations import Explanations
from .failed_sign_ins import FailedSignIns
from .fan_out import FanOut
from .feeds import Feeds
from .grants import Grants
from .icons import Icons
from .inboxes import Inboxes
from .looks import Looks
from .notifications import Notifications
from .operator_metrics import OperatorMetrics
from .outbox import EntryHandler, Outbox
from .outcomes import Outcomes
from .overrides import Overrides
from .overview import Overview
from .owner_mails import OwnerMails
from .pairing import Pairings
from .personal import PersonalData
from .provider_logouts import ProviderLogouts
from .push_subscriptions import PushSubscriptions
from .pushes import Pushes
from .quiet_hours import QuietHours
from .rebuilding import Rebuilding
from .reconciliation import Reconciliation
from .recovery import Recovery
from .retry import RetryQueue
from .schedule import Schedule
from .signals import Signal
from .snapshots import Snapshots
from .webhook_sender import WebhookSender
from .webhooks import Webhooks

log = logging.getLogger(__name__)

_CLAIM_SECONDS = 60


class Services:
    """The services by subject, and the handling of signals from this and other processes."""

    def __init__(
        self,
        backends: Backends,
        verifiers: Verifiers,
        proofs: DomainProofs,
        push_services: PushServices,
        requests: WebhookRequests,
        hub: Hub,
        metrics: Metrics,
        settings: Settings,
        clock: Clock,
    ) -> None:
        failures = FailedSignIns(settings.channels.failures_per_minute, clock)
        self.hub, self.metrics = hub, metrics
        self.operator_metrics = OperatorMetrics(metrics, backends, clock)
        self.outbox, self.retries = Outbox(backends.directory), RetryQueue()
        self._assemble_presence(backends, settings, clock)
        self._assemble_applications(backends, proofs, failures, settings, clock)
        self._assemble_accounts(backends, verifiers, failures, settings, clock)
        self.outbox.handlers = self._outbox_handlers()
        self._assemble_notifications(backends, push_services, settings, clock)
        self._assemble_channels(backends, requests, settings, clock)
        self._assemble_repairs(backends, clock)
        self._tracker = backends.tracker
        self._changes_of_operator = Coalescer("the application of the operator's changes", self._apply_once)
        self._handlers: dict[Topic, Callable[[str], object]] = {
            "mail": self.delivery.schedule,
            "inbox": self.inboxes.schedule,
            "grants": self.grants.invalidate,
            "damaged": self.rebuilding.start,
            "changes": self.apply_changes,
        }
        self._tracker.subscribe(self._on_signal, self.hub.has_application)

    def _assemble_presence(self, backends: Backends, settings: Settings, clock: Clock) -> None:
        directory, tracker = backends.directory, backends.tracker
        self.grants = Grants(directory, tracker, backends.mailbox, self.outbox, clock)
        self.overrides = Overrides(directory, tracker, self.grants, clock)
        self.quiet_hours = QuietHours(directory, self.grants, clock)
        self.schedule = Schedule(directory, tracker, self.outbox)
        self.looks, self.explanations = Looks(directory, clock), Explanations(tracker)
        self.feeds = Feeds(directory, tracker, settings.presence, clock)
        self.snapshots = Snapshots(self.feeds)
        self.devices = Devices(
            directory, tracker, self.grants, self.feeds, self.outbox, self.retries, self.metrics, settings.presence, clock
        )
        self.device_names = DeviceNames(directory, tracker, clock)

    def _assemble_applications(
        self, backends: Backends, proofs: DomainProofs, failures: FailedSignIns, settings: Settings, clock: Clock
    ) -> None:
        directory, tracker = backends.directory, backends.tracker
        self.applications = Applications(directory, tracker, self.outbox, self.metrics, settings, clock)
        self.icons = Icons(directory, clock)
        self.domain_checks = DomainChecks(directory, proofs, self.outbox, self.metrics, settings.outbound, clock)
        self.api_keys = ApiKeys(directory, self.grants, failures, self.metrics, settings.presence, clock)
        self.overview = Overview(directory, tracker, self.feeds, self.looks, self.hub, clock)

    def _assemble_accounts(
        self, backends: Backends, verifiers: Verifiers, failures: FailedSignIns, settings: Settings, clock: Clock
    ) -> None:
        directory, identity = backends.directory, settings.identity
        self.accounts = Accounts(directory, backends.mailbox, verifiers, self.grants, self.outbox, failures, self.metrics, identity, clock)
        self.provider_logouts = ProviderLogouts(directory, self.accounts, self.outbox, self.metrics)
        self.pairings = Pairings(directory, self.accounts, self.outbox, self.metrics, identity, clock)
        self.personal = PersonalData(directory, backends.tracker, backends.mailbox, clock)

    def _outbox_handlers(self) -> dict[OutboxKind, EntryHandler]:
        """Return what applies the effects of stored changes, by kind (docs/architecture.md, Effects of other changes)."""
        return {
            "account": self.devices.sign_out_accounts,
            "device": self.devices.sign_out_devices,
            "ticket": self.devices.sign_out_families,
            "application": self.applications.check_channels,
            "dropped": self.applications.drop_feeds,
            "granted": self.grants.publish_granted,
            "changed": self.grants.publish_changed,
            "revoked": self._publish_revoked,
            "override": self.grants.publish_override,
            "erased": self.accounts.purge_erased,
            "note": log_notes,
            "logout": self.devices.sign_out_provider_sessions,
        }

    def _publish_revoked(self, entries: Sequence[OutboxEntry]) -> None:
        self.outcomes.revoke(entries)
        self.grants.publish_revoked(entries)

    def _assemble_notifications(self, backends: Backends, push_services: PushServices, settings: Settings, clock: Clock) -> None:
        directory, tracker, mailbox = backends.directory, backends.tracker, backends.mailbox
        self.inboxes = Inboxes(mailbox, tracker, self.hub)
        self.outcomes = Outcomes(directory, tracker, mailbox, self.grants, settings.presence, clock, Delivery.random_delay)
        self.delivery = Delivery(directory, tracker, mailbox, self.grants, self.inboxes, self.outcomes, self.hub, self.metrics, clock)
        self.push_subscriptions = PushSubscriptions(directory, push_services, settings, clock)
        self.pushes = Pushes(directory, tracker, mailbox, push_services, self.outcomes, self.retries, self.metrics, settings.push, clock)
        self.notifications = Notifications(
            directory,
            tracker,
            mailbox,
            self.delivery,
            self.inboxes,
            self.pushes,
            self.outcomes,
            self.retries,
            self.hub,
            self.metrics,
            settings.presence,
            clock,
        )

    def _assemble_channels(self, backends: Backends, requests: WebhookRequests, settings: Settings, clock: Clock) -> None:
        directory, tracker = backends.directory, backends.tracker
        self.fan_out = FanOut(self.feeds, self.hub, self.metrics, clock)
        self.device_sessions = DeviceSessions(
            self.accounts, self.pairings, self.devices, self.delivery, self.inboxes, self.hub, settings.identity, clock
        )
        self.app_sessions = AppSessions(self.api_keys, self.snapshots, self.looks, self.hub, self.metrics, settings.presence)
        self.webhooks = Webhooks(directory, tracker, clock)
        self.owner_mails = OwnerMails(directory, MailServer(settings.mail, clock), settings.identity.home, clock)
        self.webhook_sender = WebhookSender(directory, tracker, self.feeds, self.looks, self.hub, requests, self.metrics, clock)

    def _assemble_repairs(self, backends: Backends, clock: Clock) -> None:
        directory, tracker = backends.directory, backends.tracker
        self.reconciliation = Reconciliation(directory, tracker, self.grants)
        self.recovery = Recovery(
            self.hub,
            self.devices,
            self.grants,
            self.accounts,
            self.outbox,
            self.retries,
            self.reconciliation,
            self.fan_out,
            self.delivery,
        )
        self.rebuilding = Rebuilding(directory, tracker, self.grants)

    def renew_lease(self) -> None:
        """Renew the lease of this process, by which others know that it is alive."""
        self._tracker.renew()

    def apply_changes(self, change: str = "") -> None:
        """Apply what the operator's command has changed, in a greenlet. Does not block.

        :param change: identifies the change if several processes are asked; one of them applies it.
        """
        self._changes_of_operator.request(change)

    def _apply_once(self, change: str) -> None:
        if not change or self._tracker.claim(f"changes {change}", _CLAIM_SECONDS):
            self.outbox.apply_all()

    def _on_signal(self, topic: Topic, key: str) -> None:
        """Handle a signal. It is called by the tracker in every process and must not block.

        :param key: see ``Signal.key``.
        """
        if topic == "feed":  # by far the most frequent one
            if key not in self.fan_out.scheduled:  # as ``request_signalled``, without the call
                self.fan_out.request_signalled(key)
            return
        signal = Signal.parse(topic, key)
        owner, device, before = signal.owner, signal.device, signal.revision
        if handler := self._handlers.get(topic):
            handler(owner)
        elif topic == "outcomes":
            self._on_outcomes(owner)
        elif topic == "account":
            self.hub.close_devices(owner, "signed out", lambda name, channel: channel.session.revision < before)
        elif topic == "ticket":
            self.hub.close_devices(owner, "signed out", lambda name, channel: channel.session.family == signal.family)
        elif topic == "device":
            self.hub.close_devices(owner, "signed out", lambda name, channel: name == device and channel.session.revision < before)
        elif topic == "logout":
            self.hub.close_provider_session(owner, before)
        elif topic == "replaced":
            self.hub.close_replaced(owner, device, signal.connection)
        elif topic == "forgotten" and owner:
            self.recovery.check_devices(owner)
        elif topic in ("missed", "forgotten"):
            self.recovery.start()
            self._check_outcomes_and_webhooks()
        elif topic == "application":
            self.hub.check_application(owner)
            self.delivery.resume(owner)
            self.webhook_sender.check(owner)

    def _check_outcomes_and_webhooks(self) -> None:
        """Have everything read that signals ``outcomes`` and ``application`` may have been about."""
        for appid in self.hub.applications():
            self._on_outcomes(appid)
        self.webhook_sender.check_all()

    def _on_outcomes(self, appid: str) -> None:
        for channel in self.hub.channels_of(appid):
            channel.outcomes_changed()
        self.webhook_sender.outcomes_changed(appid)

    def finish(self) -> None:
        """Apply pending retries and outbox entries at the end of this process. Other processes apply the entries that remain."""
        failures: list[BackendUnavailable] = []
        for step in (self.retries.flush, self.looks.store, self._flush_outbox, self.webhook_sender.release):
            try:  # a backend that one of them needs keeps no other from it
                step()
            except BackendUnavailable as error:
                failures.append(error)
        if failures:
            log.warning("changes may be pending: %s; another process or the next start applies them", failures[0].error)
        with suppress(BackendUnavailable):
            self.operator_metrics.publish()  # the counts since the last sample

    def _flush_outbox(self) -> None:
        if left := self.outbox.flush():
            log.warning("at least %d changes are pending; another process or the next start applies them", left)
