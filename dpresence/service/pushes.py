"""Pushes notifications to users without a device, by Web Push (docs/protocol.md, section 6; docs/decisions/0037-web-push.md).

A push is stored with its notification, attempted by the one process that has claimed it, and attempted again by any other if that ends.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from gevent.pool import Pool

from ..backends.directory import Directory
from ..backends.mailbox import Mailbox, QueuedNotification
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable
from ..messages import encode
from ..messages.push_subscriptions import PushMessage
from ..metrics import Metrics
from ..model import DuePush, Notification, PendingPush, PushSubscription
from ..push import PushServices, Sent
from ..settings import PushSettings
from ..tasks import on_behalf_of
from .notification_control import push_topic
from .outcomes import Outcomes, Received
from .retry import RetryQueue
from .scheduling import map_concurrently

log = logging.getLogger(__name__)

SECONDS = 1.0
"""Seconds between two checks for pushes that are due."""
MAX_BYTES = 3072
"""Maximum size of the content of a push; a larger one only says that there is a notification."""
_DELAY_MS = 2000
"""Milliseconds in which a connected device receives and acknowledges a notification, so that nothing is to be pushed."""
_LIVE_MS = 20_000
"""Milliseconds between two checks of a user with a live device that has not acknowledged a notification."""
_LEAST_MS = 5000
"""Notifications that expire within these milliseconds are not pushed."""
_LEASE_MS = 60_000
"""Milliseconds after which a push is attempted again whose process has ended; more than an attempt takes."""
_CONCURRENT = 100
_MAX_ATTEMPTS = 8
_FIRST_WAIT_SECONDS, _LAST_WAIT_SECONDS = 15.0, 3600.0
_PADDED_TO = 512


class Pushes:
    """Stores pushes and sends them. Sending neither blocks the caller of ``run`` nor delays pushes to other services."""

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        mailbox: Mailbox,
        services: PushServices,
        outcomes: Outcomes,
        retries: RetryQueue,
        metrics: Metrics,
        settings: PushSettings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._services = services
        self._outcomes = outcomes
        self._retries = retries
        self._metrics = metrics
        self._per_hour = settings.pushes_per_hour
        self._clock = clock
        self._pool = Pool(_CONCURRENT)
        self._after: str | None = None  # the application after which the next claim continues

    def add(self, appid: str, stored: Sequence[tuple[QueuedNotification, int, str]]) -> None:
        """Store pushes of an application's notifications, whether or not their users have devices or a pause.

        A call may be repeated. A notification that expires very soon is not pushed.

        :param stored: notifications with their positions in the mailbox and their urgencies.
        """
        now = self._clock.steady.now()
        new = [_pending(item, position, now, urgency) for item, position, urgency in stored if item.ttl_ms > _LEAST_MS]
        if new and self._services.keys:
            self._directory.add_pushes(appid, new, _DELAY_MS, self._per_hour)

    def run(self) -> None:
        """Begin the attempts of pushes that are due, as many as this process has room for."""
        room = self._pool.free_count()
        more = bool(self._services.keys and room and self._directory.pushes_due())
        claimed: Sequence[DuePush] = ()
        while more and not claimed:
            claimed, self._after = self._directory.claim_pushes(room, _LEASE_MS, self._per_hour, self._after)
            more = self._after is not None
        for due in claimed:
            self._pool.spawn(self._attempt, due)

    def _attempt(self, due: DuePush) -> None:
        try:
            with on_behalf_of(due.user):
                self._push(due)
        except BackendUnavailable:
            with suppress(BackendUnavailable):  # it is due again at the end of its lease
                self._put_off(due.push, _LEASE_MS)
        except Exception:
            log.exception("a push failed")

    def _put_off(self, push: PendingPush, delay_ms: int) -> None:
        """Have a push looked at later that was not attempted."""
        self._directory.record_push_attempt(replace(push, attempts=push.attempts - 1), delay_ms, pushed=False)

    def _push(self, due: DuePush) -> None:
        """Attempt a push, unless the notification was received.

        :raises BackendUnavailable: nothing was sent.
        """
        push, user = due.push, due.user
        waiting = self._mailbox.pending(user, push.position - 1, 1)
        waits = waiting and waiting[0].notification.id == push.id
        if not waits or push.attempts > _MAX_ATTEMPTS:  # received, or no process could store what became of the attempts
            self._directory.record_push_attempt(push, None, pushed=False)
            return
        if self._tracker.devices(user):
            self._put_off(push, _LIVE_MS)
            return
        domain = self._directory.active([due.appid]).get(due.appid)
        subscriptions = [one for one in self._directory.push_subscriptions(user) if one.id not in push.done.split()]
        if domain and subscriptions:
            self._send(due, payload(waiting[0].notification, domain), subscriptions)
        else:
            self._directory.record_push_attempt(push, None, pushed=False)

    def _send(self, due: DuePush, content: bytes, subscriptions: Sequence[PushSubscription]) -> None:
        """Send a push, and store the results, later if the directory is unavailable: what was accepted is not sent again."""
        push, now = due.push, self._clock.steady.now()
        ttl_seconds = max(0, push.expires_at - now) // 1000

        def send(one: PushSubscription) -> tuple[PushSubscription, Sent]:
            sent = self._services.send(one, content, push.topic or push.id, ttl_seconds, push.urgency)
            self._metrics.counted[f"pushes {sent.outcome}"] += 1
            if sent.outcome == "gone":
                with suppress(BackendUnavailable):  # the next push is answered the same
                    self._directory.remove_push_subscription(one.user, one.id)
            return one, sent

        results = map_concurrently(send, subscriptions)
        self._retries.run(("pushed", push.id), partial(self._record_outcome, due, results, now))

    def _record_outcome(self, due: DuePush, results: Sequence[tuple[PushSubscription, Sent]], at: int) -> None:
        """Store the outcome of an attempt. Here it is known whether a notification was pushed, and whether it may still be.

        :param at: when the attempt began, milliseconds since the epoch.
        """
        push, accepted = due.push, any(sent.outcome == "accepted" for _, sent in results)
        if accepted:
            self._outcomes.record(due.user, Received([push.id], None, at), "pushed")
        again = [sent for _, sent in results if sent.outcome in ("later", "busy")]
        done = "".join(f"{one.id} " for one, sent in results if sent.outcome in ("accepted", "refused"))
        busy_only = bool(again) and all(sent.outcome == "busy" for sent in again)
        recorded = replace(push, done=push.done + done, attempts=push.attempts - busy_only)
        delay_ms = None
        if again and recorded.attempts < _MAX_ATTEMPTS:
            wait_seconds = max(sent.wait_seconds for sent in again)
            delay_ms = int(1000 * max(wait_seconds, 0 if busy_only else _backoff_seconds(push.attempts)))
        self._directory.record_push_attempt(recorded, delay_ms, pushed=accepted)


def _pending(item: QueuedNotification, position: int, now: int, urgency: str) -> PendingPush:
    puid, topic = item.notification.puid, item.control.topic if item.control else ""
    return PendingPush(
        item.notification.id, puid, position, now + item.ttl_ms, urgency=urgency, topic=push_topic(puid, topic) if topic else ""
    )


def payload(item: Notification, domain: str) -> bytes:
    """Return the content of a push; spaces hide its exact length. One that would be too large has only the id."""
    content = encode(PushMessage.of(item, domain))
    if len(content) > MAX_BYTES:
        content = encode(PushMessage(item.id))
    return content + b" " * (-len(content) % _PADDED_TO)


def _backoff_seconds(attempts: int) -> float:
    """Return the seconds after an attempt until the next one, with a random part."""
    longest = min(_FIRST_WAIT_SECONDS * 2**attempts, _LAST_WAIT_SECONDS)
    return random.uniform(longest / 2, longest)  # noqa: S311 a jitter, not a secret
