"""Sends the messages of webhooks: one process at a time for each application, in order, again after failures (decision 0038)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter

from gevent.lock import BoundedSemaphore

from ..backends.directory import Directory
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, DomainNotValidated, NotFound, SlowDown
from ..hub import Hub
from ..limits import RateLimit
from ..measures import Histogram
from ..metrics import Metrics
from ..model import Application
from ..model.webhooks import OffReason, Webhook, WebhookAttempt, WebhookEvent
from ..slots import Slots, run_until_slot_is_needed
from ..targets import Target
from ..webhook_requests import SECONDS, DeliveryResult, SignedMessage, WebhookRequests
from .coalescer import Coalescer
from .feeds import Feeds
from .looks import Looks
from .scheduling import yield_to_loop
from .webhook_messages import ENTRIES, Attempted, Changed, Message, SenderState, WebhookMessages, attempt_of
from .webhook_schedule import WebhookSchedule

log = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
RENEW_SECONDS = 25.0
"""Leases that end within this time are renewed; an attempt ends before."""
LEASE_CHECK_SECONDS, DUE_CHECK_SECONDS = 5, 0.25
IN_FLIGHT, FAILING_IN_FLIGHT = 100, 20
"""Maximum number of attempts at the same time: after a success or as the first one, and after a failure."""
MIN_SECONDS = 1.0
"""Seconds after which an attempt ends if another one waits for its slot."""
_PATIENCE_SECONDS, _NEW_LEASES = 30, 100
MORE_LEASES_SECONDS = 0.5
"""Seconds after which a process leases more webhooks if it has got as many as it may at once; others lease some meanwhile."""
_FAILING_MS = 5 * 86_400_000
"""Milliseconds of failures after which a webhook is turned off."""
_GONE, _TESTS_PER_MINUTE = 410, 10


class WebhookSender:
    """Sends the messages of the webhooks that this process has leased.

    :ivar seconds: durations of attempts.
    """

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        feeds: Feeds,
        looks: Looks,
        hub: Hub,
        requests: WebhookRequests,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._looks = looks
        self._directory = directory
        self._tracker = tracker
        self._hub = hub
        self._requests = requests
        self._metrics = metrics
        self._clock = clock
        self._messages = WebhookMessages(directory, feeds, clock)
        self._schedule = WebhookSchedule(self._messages, clock)
        self._id = secrets.token_urlsafe(12)
        self._leased: dict[str, SenderState] = {}
        self._may_send_until = float("-inf")  # monotonic
        self._work = Coalescer("the delivery to a webhook", self._send_all)
        self._leasing = Coalescer("the lease of webhooks", lambda _: self.lease())
        self._leasing_more = Coalescer("the lease of more webhooks", lambda _: self.lease(), lambda: MORE_LEASES_SECONDS)
        self._one_lease, self._ended = BoundedSemaphore(1), False
        self._slots = {False: Slots(IN_FLIGHT, 1), True: Slots(FAILING_IN_FLIGHT, 1)}  # by whether the last attempt failed
        self._tests = RateLimit("too many tests of this webhook", _TESTS_PER_MINUTE, 60, clock)
        self._sending = 0
        self.seconds = Histogram()

    # -- which webhooks this process sends

    def lease(self) -> None:
        """Renew the leases of this process, and lease webhooks that no process sends; nothing after ``release``.

        :raises BackendUnavailable: the directory is unavailable; nothing is sent until the next run succeeds.
        """
        with self._one_lease:  # of two at once, the one that began first may end last
            if self._ended:
                return
            began = self._clock.monotonic()
            leased = self._directory.lease_webhooks(self._id, LEASE_SECONDS, RENEW_SECONDS, _NEW_LEASES)
            self._may_send_until = began + RENEW_SECONDS
            for appid in self._leased.keys() - set(leased):
                self._forget(appid)
            new = [appid for appid in leased if appid not in self._leased]
            for appid in new:
                self._leased[appid] = SenderState()
                self._work.request(appid)
        if len(new) >= _NEW_LEASES:
            self._leasing_more.request()

    def check(self, appid: str) -> None:
        """Check a webhook that may have been changed, and lease it if no process has. Does not block."""
        if appid in self._leased:
            self._work.request(appid)
        self._leasing.request()

    def check_all(self) -> None:
        """Check all webhooks that this process sends, as signals of any of them may have been lost. Does not block."""
        for appid in self._leased:
            self._work.request(appid)

    def outcomes_changed(self, appid: str) -> None:
        """Send new outcomes of notifications, if this process sends a webhook that is sent them. Does not block."""
        if (state := self._leased.get(appid)) and state.outcomes:
            self._work.request(appid)

    def run_due(self) -> None:
        """Check the webhooks whose time has come."""
        now = self._clock.steady.now()
        for appid, state in list(self._leased.items()):
            if state.due_at is not None and state.due_at <= now:
                state.due_at = None
                self._work.request(appid)

    def release(self) -> None:
        """End all leases, at the end of this process.

        :raises BackendUnavailable: the directory is unavailable; the leases end by themselves.
        """
        self._ended = True
        with self._one_lease:  # what is being leased is released as well
            for appid in list(self._leased):
                self._forget(appid)
            self._directory.release_webhooks(self._id)

    def _forget(self, appid: str) -> None:
        if self._leased.pop(appid, None):
            self._hub.unwatch_feed(appid)

    def gauges(self) -> dict[str, float]:
        """Return the present numbers of webhooks of this process, by state."""
        failing = sum(state.failing for state in self._leased.values())
        waiting = max(0, sum(map(self._work.running, self._leased)) - self._sending)
        numbers = {"leased": len(self._leased), "failing": failing, "waiting": waiting, "sending": self._sending}
        return {f"webhooks {state}": number for state, number in numbers.items()}

    # -- sending

    def _send_all(self, appid: str) -> None:
        while (state := self._leased.get(appid)) and self._try_next(appid, state):
            yield_to_loop()

    def _try_next(self, appid: str, state: SenderState) -> bool:
        """Send the next message if there is one and it is time; return whether to check again at once."""
        if state.unstored:
            self._store(state.unstored, state)
        webhook = self._directory.leased_webhook(appid, self._id)
        if self._leased.get(appid) is not state:  # the lease ended during a call
            return False
        if webhook is None:
            self._forget(appid)
            return False
        self._follow(webhook, state)
        try:
            found = self._schedule.next(webhook, state)
            if found is None:
                return False
            event, wait = found
            if self._clock.monotonic() + SECONDS > self._may_send_until:
                wait = max(wait, 1.0)
            if event and wait <= 0:
                return self._send(webhook, state, event)
        except (Changed, SlowDown):
            wait = 1.0
        state.due_at = self._clock.steady.now() + int(wait * 1000)
        return False

    def _follow(self, webhook: Webhook, state: SenderState) -> None:
        """Have signals of the feed or of outcomes lead to a check, before what they are about is read."""
        state.failing = webhook.failures > 0
        state.outcomes = "outcome" in webhook.event_list
        if "presence" in webhook.event_list:
            self._hub.watch_feed(webhook.appid, partial(self._work.request, webhook.appid))
        else:
            self._hub.unwatch_feed(webhook.appid)

    def _send(self, webhook: Webhook, state: SenderState, event: WebhookEvent) -> bool:
        """Send the next message of an event, and store the result; return whether to check again at once.

        :raises Changed: nothing was sent.
        :raises SlowDown: no slot became free in time.
        """
        made: list[Message] = []

        def make() -> SignedMessage:
            if self._directory.leased_webhook(webhook.appid, self._id) != webhook:
                raise Changed
            made[:] = [self._messages.next(webhook, state, event)]
            return made[0].signed

        at = self._clock.steady.now()
        result = self._attempt(webhook, make, webhook.appid)
        state.sent, state.sent_at[event] = event, self._clock.monotonic()
        if made and event == "presence":
            self._looks.record(webhook.appid, "webhook")
        message = made[0] if made else self._messages.unmade(webhook, event)
        after = message.confirmed(webhook) if result.outcome == "delivered" else self._failed(webhook, result, at)
        repeated = state.attempted(message)
        confirmed = self._store(Attempted(message, attempt_of(webhook, message, result, at), webhook, after), state)
        more = message.entries >= ENTRIES or webhook.failures > 0 or message.type == "presence.snapshot" or state.outcomes
        return more or repeated or not confirmed

    def _store(self, attempted: Attempted, state: SenderState) -> bool:
        """Store the result of an attempt; return whether the message is confirmed.

        :raises BackendUnavailable: it is stored later, before anything else is sent.
        """
        state.unstored = None
        try:
            stored = self._directory.record_attempt(attempted.attempt, attempted.before, attempted.after, self._id)
        except BackendUnavailable:
            state.unstored = attempted
            raise
        if confirmed := stored and attempted.attempt.outcome == "delivered":
            state.confirmed(attempted.message)
        return confirmed

    def _attempt(self, webhook: Webhook, make: Callable[[], SignedMessage], owner: str) -> DeliveryResult:
        """Make an attempt in a slot.

        :param owner: owner of the slot, who has one at a time.
        """
        with self._slots[webhook.failures > 0].slot(owner, "messages to webhooks", _PATIENCE_SECONDS) as wanted:
            self._sending += 1
            began = perf_counter()
            try:
                result = run_until_slot_is_needed(lambda: self._requests.post(webhook.url, make), wanted, MIN_SECONDS)
            finally:
                self._sending -= 1
                self.seconds.observe(perf_counter() - began)
        if result is None:
            result = DeliveryResult(
                "timeout", None, f"no answer within {MIN_SECONDS:g} s, and another webhook waited", int(MIN_SECONDS * 1000)
            )
        self._metrics.counted[f"webhook_attempts {result.outcome}"] += 1
        return result

    def _failed(self, webhook: Webhook, result: DeliveryResult, at: int) -> Webhook:
        """Return a webhook after a failure: with the time of the next attempt, or turned off.

        :param at: when the attempt began. Nothing that the owner sees of a failed look-up has the time of its end.
        """
        if result.status == _GONE:
            return self._turned_off(webhook, "gone", at)
        if at - (webhook.failing_since or at) >= _FAILING_MS:
            return self._turned_off(webhook, "failing", at)
        ended_at = at if result.outcome == "dns" else self._clock.steady.now()
        return self._schedule.postponed(webhook, at, ended_at, result.retry_after)

    def _turned_off(self, webhook: Webhook, reason: OffReason, at: int) -> Webhook:
        host = Target.parse(webhook.url).host
        log.warning("the webhook of application %s at %s is turned off: %s", webhook.appid, host, reason)
        self._metrics.event(f"webhook turned off: {reason}", host)
        return replace(webhook, off_at=at, off_reason=reason, next_at=None)

    # -- tests

    def test(self, application: Application) -> WebhookAttempt:
        """Send a test message and return the attempt. After a success, what waits for its next attempt is sent at once.

        :raises NotFound: the application has no webhook.
        :raises DomainNotValidated: its domain is not validated.
        :raises SlowDown: too many tests of this webhook, or too many attempts of all.
        """
        webhook = self._directory.webhook(application.id)
        if webhook is None:
            raise NotFound()
        if not application.valid_domain:
            raise DomainNotValidated()
        self._tests.charge(application.id)
        message, at = self._messages.test(webhook), self._clock.steady.now()
        result = self._attempt(webhook, lambda: message.signed, f"test {webhook.appid}")
        attempt = attempt_of(webhook, message, result, at)
        self._directory.record_attempt(attempt)
        if webhook.failures and result.outcome == "delivered":
            self._directory.change_webhook(application.id, {"next_at": None})
            self._tracker.signal("application", application.id)
        return attempt
