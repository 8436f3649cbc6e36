"""Webhooks of applications and the attempts to deliver their messages (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

WebhookEvent = Literal["presence", "outcome"]
EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
OffReason = Literal["gone", "failing"]
MessageType = Literal["presence.updates", "presence.snapshot", "notification.outcomes", "webhook.test"]
AttemptResult = Literal["delivered", "status", "timeout", "dns", "refused", "tls"]

MOST_ATTEMPTS = 500
"""Maximum number of attempts of a webhook that are stored; the oldest are deleted."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An application's webhook: a URL that is sent the application's updates, outcomes, or both. Times are milliseconds since the epoch.

    :param events: the events that it is sent, in the order of ``EVENTS``, separated by spaces.
    :param secret: text of the key that signs messages.
    :param previous_secret: the key before it, which signs as well until ``previous_until``; None without one.
    :param cursor: position in the feed up to which the endpoint has confirmed the updates; "" while a snapshot is due.
    :param series: raised when messages are sent again at the owner's request, so that they have other ids.
    :param failures: number of consecutive failed attempts.
    :param failing_since: time of the first of them; None without one.
    :param next_at: time of the next attempt after a failed one; None without one.
    :param outcome_position: position in the outcomes up to which the endpoint has confirmed them.
    :param off_at: when the webhook was turned off; None while it is on.
    """

    appid: str
    url: str
    events: str
    secret: str
    created_at: int
    previous_secret: str | None = None
    previous_until: int | None = None
    cursor: str = ""
    series: int = 0
    failures: int = 0
    failing_since: int | None = None
    next_at: int | None = None
    off_at: int | None = None
    off_reason: OffReason | None = None
    outcome_position: int = 0

    @property
    def event_list(self) -> Sequence[WebhookEvent]:
        """The events that it is sent."""
        return [event for event in EVENTS if event in self.events.split()]


@dataclass(frozen=True, slots=True)
class WebhookAttempt:
    """An attempt to deliver a message, or the successful attempts of one minute. It names no users.

    :param at: time of the first attempt, milliseconds since the epoch.
    :param status: HTTP status of the last answer; None without an answer.
    :param error: what went wrong; empty after a success.
    :param milliseconds: longest duration.
    :param attempts: number of attempts.
    :param entries: number of updates, of users in a snapshot, or of outcomes, of all of them.
    :param cursor: position in the feed, or in the outcomes, before the first of the entries; "" for a snapshot or a test.
    """

    appid: str
    at: int
    type: MessageType
    outcome: AttemptResult
    status: int | None
    error: str
    milliseconds: int
    attempts: int = 1
    entries: int = 0
    cursor: str = ""
