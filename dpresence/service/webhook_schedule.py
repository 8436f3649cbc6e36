"""When the next message of a webhook is due, and of which event (docs/protocol.md, section 6)."""

from __future__ import annotations

import random
from dataclasses import replace

from ..clock import Clock
from ..model.webhooks import Webhook, WebhookEvent
from .webhook_messages import ENTRIES, SenderState, WebhookMessages

BATCH_SECONDS = 1.0
"""Minimum seconds between two messages of an event to a webhook, unless a full one waits."""
OUTCOMES_CHECK_SECONDS = 60.0
"""Seconds after which outcomes are looked for without a signal, as one may be lost."""
RETRY_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after each consecutive failure, the schedule of Standard Webhooks; the last one is repeated."""
_JITTER = 0.1


class WebhookSchedule:
    """Decides which message is sent next. The events of a webhook take turns; after a failure the same one is next."""

    def __init__(self, messages: WebhookMessages, clock: Clock) -> None:
        self._messages = messages
        self._clock = clock

    def next(self, webhook: Webhook, state: SenderState) -> tuple[WebhookEvent | None, float] | None:
        """Return the event of the next message and the seconds until it may be sent; None if a signal will tell.

        :returns: the event is None if there is none yet, and the webhook is to be checked again after the seconds.
        :raises Changed: the application does not exist any more.
        """
        waits = {event: wait for event in webhook.event_list if (wait := self._seconds(webhook, state, event)) is not None}
        if not waits:
            return (None, OUTCOMES_CHECK_SECONDS) if "outcome" in webhook.event_list else None
        # of two that are due, the one that was not sent last; but what failed comes before anything else
        event = min(waits, key=lambda each: (waits[each], (each == state.sent) != state.failing))
        return event, waits[event]

    def _seconds(self, webhook: Webhook, state: SenderState, event: WebhookEvent) -> float | None:
        """Return the seconds until the next message of an event may be sent; None if there is none."""
        waiting = self._waiting(webhook, state, event)
        if waiting == 0:
            return None
        if waiting is None:
            wait = self._messages.hold_seconds(webhook)
        elif waiting >= ENTRIES:
            wait = 0.0
        else:
            wait = max(0.0, state.sent_at.get(event, float("-inf")) + BATCH_SECONDS - self._clock.monotonic())
        return wait if webhook.next_at is None else max(wait, (webhook.next_at - self._clock.steady.now()) / 1000)

    def _waiting(self, webhook: Webhook, state: SenderState, event: WebhookEvent) -> int | None:
        """Return how many entries of an event wait, counted up to those of one message; None if a snapshot is due."""
        if event == "outcome":
            return self._messages.outcomes_waiting(webhook)
        offset = self._messages.offset(webhook)
        if offset is None:
            return None
        state.snapshot = None
        return self._messages.waiting(webhook, offset)

    def postponed(self, webhook: Webhook, at: int, ended_at: int, retry_after: float) -> Webhook:
        """Return a webhook after a failed attempt, with the time of the next one.

        :param at: when the attempt began, milliseconds since the epoch.
        :param ended_at: when the time until the next attempt begins, milliseconds since the epoch.
        :param retry_after: seconds that the endpoint asked for.
        """
        wait = RETRY_SECONDS[min(webhook.failures, len(RETRY_SECONDS) - 1)] * random.uniform(1, 1 + _JITTER)  # noqa: S311 a jitter
        next_at = ended_at + int(max(wait, retry_after) * 1000)
        return replace(webhook, failures=webhook.failures + 1, failing_since=webhook.failing_since or at, next_at=next_at)
