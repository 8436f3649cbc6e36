"""Webhooks: bodies of REST, and the messages that are sent to applications (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from msgspec import UNSET, Meta, Struct, UnsetType, field

from ..model.webhooks import EVENTS, AttemptResult, OffReason, Webhook, WebhookAttempt, WebhookEvent
from ..model.webhooks import MessageType as Type
from .appservice import Snapshot, Updates
from .fields import Cursor
from .outcomes import OutcomeFrame

_Events = Annotated[list[WebhookEvent], Meta(min_length=1, max_length=len(EVENTS), description='one or both of "presence" and "outcome"')]


class WebhookChange(Struct, forbid_unknown_fields=True):
    """``PUT /myapps/<appid>/webhook``.

    :param url: https, on the application's validated domain or below it.
    """

    url: Annotated[str, Meta(max_length=512, description="a URL of up to 512 characters")]
    events: _Events = field(default_factory=lambda: ["presence"])


class WebhookReplay(Struct, forbid_unknown_fields=True):
    """``POST /myapps/<appid>/webhook/replay``. Both fields may be given, one must be.

    :param since: the cursor after which updates are sent again. Null: a snapshot.
    :param outcomes: the cursor after which outcomes are sent again. "": all that are stored.
    """

    since: Cursor | UnsetType | None = UNSET
    outcomes: Cursor | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.since is UNSET and self.outcomes is UNSET:
            raise ValueError("since, outcomes: one of the two at least")


class WebhookBody(Struct, kw_only=True):
    """A webhook as its owner sees it (section 6). Times are milliseconds since the epoch.

    :param reason: why this service has turned it off; null while it is on.
    :param cursor: position up to which the endpoint has confirmed the updates; null while a snapshot is due.
    :param outcomes: position up to which the endpoint has confirmed the outcomes.
    :param failures: number of consecutive failed attempts.
    :param failing_since: time of the first of them; null without one.
    :param next_attempt_at: null unless the last attempt failed.
    """

    url: str
    events: list[WebhookEvent]
    state: Literal["on", "off"]
    reason: OffReason | None
    created_at: int
    cursor: str | None
    outcomes: str
    failures: int
    failing_since: int | None
    next_attempt_at: int | None

    @classmethod
    def of(cls, item: Webhook, **more: Any) -> Self:
        """Return a webhook.

        :param more: fields of the subclass.
        """
        fields: dict[str, Any] = {
            "url": item.url,
            "events": list(item.event_list),
            "state": "on" if item.off_at is None else "off",
            "reason": item.off_reason,
            "created_at": item.created_at,
            "cursor": item.cursor or None,
            "outcomes": str(item.outcome_position) if item.outcome_position else "",
            "failures": item.failures,
            "failing_since": item.failing_since,
            "next_attempt_at": item.next_at,
        }
        return cls(**fields, **more)


class OwnedWebhook(WebhookBody, kw_only=True):
    """A webhook among the data of its owner (section 6).

    :param appid: its application.
    """

    appid: str


class WebhookWithSecret(WebhookBody, kw_only=True):
    """The answer that has a new secret (section 6).

    :param secret: the key that signs messages; no other answer contains it.
    """

    secret: str


class AttemptBody(Struct, kw_only=True):
    """An attempt to deliver a message, or the successful attempts of one minute (section 6).

    :param at: time of the first attempt, milliseconds since the epoch.
    :param status: HTTP status of the answer; null without one.
    :param error: what went wrong; empty after a success.
    :param milliseconds: longest duration.
    :param entries: number of updates, of users in a snapshot, or of outcomes, of all attempts.
    :param since: cursor before the first of the entries; null for a snapshot and a test.
    """

    at: int
    type: Type
    outcome: AttemptResult
    status: int | None
    error: str
    milliseconds: int
    attempts: int
    entries: int
    since: str | None

    @classmethod
    def of(cls, item: WebhookAttempt) -> Self:
        """Return an attempt."""
        return cls(
            at=item.at,
            type=item.type,
            outcome=item.outcome,
            status=item.status,
            error=item.error,
            milliseconds=item.milliseconds,
            attempts=item.attempts,
            entries=item.entries,
            since=item.cursor or None,
        )


class WebhookDetails(WebhookBody, kw_only=True):
    """The answer to ``GET /myapps/<appid>/webhook`` (section 6).

    :param log: the attempts of the last 7 days, newest first, at most 500.
    """

    log: list[AttemptBody]


class UpdatesMessage(Struct, kw_only=True):
    """A message with updates (section 6).

    :param timestamp: when the last of them happened, RFC 3339.
    """

    type: Literal["presence.updates"] = "presence.updates"
    timestamp: str
    data: Updates


class SnapshotMessage(Struct, kw_only=True):
    """A message with a page of a snapshot (section 6).

    :param timestamp: when it was made, RFC 3339.
    """

    type: Literal["presence.snapshot"] = "presence.snapshot"
    timestamp: str
    data: Snapshot


class OutcomesMessage(Struct, kw_only=True):
    """A message with outcomes of notifications (section 6).

    :param timestamp: when the last of them could first be known, RFC 3339.
    """

    type: Literal["notification.outcomes"] = "notification.outcomes"
    timestamp: str
    data: OutcomeFrame


class NoData(Struct):
    """An empty object."""


class WebhookTestMessage(Struct, kw_only=True):
    """A message that the owner has requested to try the webhook (section 6).

    :param timestamp: when it was made, RFC 3339.
    """

    type: Literal["webhook.test"] = "webhook.test"
    timestamp: str
    data: NoData
