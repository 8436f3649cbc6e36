"""Makes the next message of a webhook: updates, a page of a snapshot, or outcomes of notifications (docs/protocol.md, section 6)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

from ..backends.directory import Directory
from ..clock import Clock
from ..messages import (
    NoData,
    OutcomeFrame,
    OutcomesMessage,
    Snapshot,
    SnapshotMessage,
    Updates,
    UpdatesMessage,
    WebhookTestMessage,
    encode,
    or_unset,
)
from ..model import FeedEntry, Offset
from ..model.outcomes import PublishedOutcome
from ..model.webhooks import MessageType, Webhook, WebhookAttempt, WebhookEvent
from ..webhook_requests import DeliveryResult, SignedMessage, sign
from .feeds import Feeds

ENTRIES = 100
"""Maximum number of updates, of users in a snapshot, or of outcomes, in one message."""


class Changed(Exception):
    """The message cannot be sent: there is none any more, or what it was made from has changed."""


@dataclass(frozen=True, slots=True)
class SnapshotInProgress:
    """A snapshot whose pages are being sent.

    :param key: what it was begun for: with another URL or series, or a new webhook, the pages that were sent are of no use.
    :param cursor: cursor of the feed at its start, after which the updates follow it.
    """

    key: tuple[str, int, int]
    cursor: str


class SenderState:
    """The part of a webhook's position that only its sender has.

    :ivar snapshot: the snapshot in progress, None without one.
    :ivar after: the last PUID of it that was confirmed.
    :ivar batch_end: offset after the last update of the message that was attempted and is not confirmed; None without one.
    :ivar outcomes_end: the last position of the outcomes of such a message; None without one.
    :ivar unstored: the last attempt, if the directory was unavailable when its result was to be stored.
    :ivar due_at: time (ms) at which to check the webhook again; None without one.
    :ivar sent: event of the last message; None before the first.
    :ivar sent_at: monotonic time of the last message of each event, seconds.
    :ivar failing: the last attempt failed.
    :ivar outcomes: the webhook is sent outcomes.
    """

    __slots__ = ("after", "batch_end", "due_at", "failing", "outcomes", "outcomes_end", "sent", "sent_at", "snapshot", "unstored")

    def __init__(self) -> None:
        self.snapshot: SnapshotInProgress | None = None
        self.after = ""
        self.batch_end: Offset | None = None
        self.outcomes_end: int | None = None
        self.unstored: Attempted | None = None
        self.due_at: int | None = None
        self.sent: WebhookEvent | None = None
        self.sent_at: dict[WebhookEvent, float] = {}
        self.failing = self.outcomes = False

    def confirmed(self, message: Message) -> None:
        """Record that the endpoint has confirmed a message, and that this is stored."""
        if message.event == "outcome":
            self.outcomes_end = None
        else:
            self.after, self.batch_end = message.after or "", None

    def attempted(self, message: Message) -> bool:
        """Record that a message was attempted: unless it is confirmed, the next one has the same entries.

        :returns: whether this one had those of an earlier attempt, so that newer ones may wait.
        """
        repeated = (self.batch_end if message.event == "presence" else self.outcomes_end) is not None
        if message.event == "outcome":
            self.outcomes_end = message.outcome_position or self.outcomes_end
        elif message.offset is not None:
            self.batch_end = message.offset
        return repeated


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is ready to be sent.

    :param entries: number of its updates, users or outcomes.
    :param cursor: the cursor of the webhook once this message is confirmed; None if it stays.
    :param outcome_position: the position in the outcomes of the webhook once this message is confirmed; None if it stays.
    :param offset: offset after its last update, None for a snapshot.
    :param after: for a snapshot, the PUID after which the next page begins, None on the last page.
    """

    type: MessageType
    signed: SignedMessage
    entries: int = 0
    cursor: str | None = None
    outcome_position: int | None = None
    offset: Offset | None = None
    after: str | None = None

    @property
    def event(self) -> WebhookEvent:
        """The event that it is about."""
        return "outcome" if self.type == "notification.outcomes" else "presence"

    def confirmed(self, webhook: Webhook) -> Webhook:
        """Return a webhook after the endpoint has confirmed this message."""
        cursor = webhook.cursor if self.cursor is None else self.cursor
        position = webhook.outcome_position if self.outcome_position is None else self.outcome_position
        return replace(webhook, cursor=cursor, outcome_position=position, failures=0, failing_since=None, next_at=None)


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt to send a message, and the webhook before and after it."""

    message: Message
    attempt: WebhookAttempt
    before: Webhook
    after: Webhook


class WebhookMessages:
    """Makes the messages of webhooks. Nothing is stored between two attempts, so that what was revoked is not sent."""

    def __init__(self, directory: Directory, feeds: Feeds, clock: Clock) -> None:
        self._directory = directory
        self._feeds = feeds
        self._clock = clock

    def offset(self, webhook: Webhook) -> Offset | None:
        """Return the offset after which updates follow; None if a snapshot is due."""
        return self._feeds.offset(webhook.appid, webhook.cursor) if webhook.cursor else None

    def outcomes_waiting(self, webhook: Webhook) -> int:
        """Return how many outcomes wait, counted up to those of one message."""
        return len(self._outcomes(webhook))

    def _outcomes(self, webhook: Webhook) -> Sequence[PublishedOutcome]:
        return self._directory.outcomes(webhook.appid, webhook.outcome_position, ENTRIES, restart=False)

    def waiting(self, webhook: Webhook, offset: Offset) -> int:
        """Return how many updates wait, counted up to those of one message; one if only a read of them tells that they were deleted."""
        updates = self._feeds.read(webhook.appid, offset, ENTRIES)
        return 1 if updates is None else len(updates)

    def hold_seconds(self, webhook: Webhook) -> float:
        """Return for how many seconds a snapshot is delayed; see ``Feeds.hold_seconds``.

        :raises Changed: the application does not exist any more.
        """
        application = self._directory.application(webhook.appid)
        if application is None:
            raise Changed
        return self._feeds.hold_seconds(application)

    def unmade(self, webhook: Webhook, event: WebhookEvent) -> Message:
        """Return the message that would have been sent, without content."""
        presence: MessageType = "presence.updates" if webhook.cursor else "presence.snapshot"
        return Message("notification.outcomes" if event == "outcome" else presence, SignedMessage(b"", {}))

    def next(self, webhook: Webhook, state: SenderState, event: WebhookEvent) -> Message:
        """Return the next message of an event.

        :raises Changed: there is none.
        """
        if event == "outcome":
            return self.outcomes(webhook, state)
        offset = self.offset(webhook)
        return self.page(webhook, state) if offset is None else self.updates(webhook, state, offset)

    def outcomes(self, webhook: Webhook, state: SenderState) -> Message:
        """Return the message with the next outcomes; after a failure with the same ones, as far as they are still there.

        :raises Changed: there are none.
        """
        outcomes = self._outcomes(webhook)
        if state.outcomes_end is not None:
            outcomes = [each for each in outcomes if each.position <= state.outcomes_end] or outcomes
        if not outcomes:
            raise Changed
        data = OutcomeFrame.of(outcomes)
        made = OutcomesMessage(timestamp=_text(max(each.at for each in outcomes)), data=data)
        signed = self._sign(webhook, encode(data), encode(made))
        return Message("notification.outcomes", signed, len(outcomes), outcome_position=outcomes[-1].position)

    def updates(self, webhook: Webhook, state: SenderState, offset: Offset) -> Message:
        """Return the message with the updates after an offset; after a failure with the same ones, as far as they are still there.

        :raises Changed: there are none.
        """
        updates: Sequence[FeedEntry] = self._feeds.read(webhook.appid, offset, ENTRIES) or ()
        end = state.batch_end
        if end is not None:
            updates = [update for update in updates if self._feeds.reached(end, update)] or updates
        if not updates:
            raise Changed
        last = self._feeds.advance(offset, updates)
        data = Updates.of(updates, self._feeds.cursor(last))
        made = UpdatesMessage(timestamp=_text(max(update.at for update in updates)), data=data)
        signed = self._sign(webhook, encode(data), encode(made))
        return Message("presence.updates", signed, len(updates), data.cursor, offset=last)

    def page(self, webhook: Webhook, state: SenderState) -> Message:
        """Return the message with the next page of a snapshot.

        The statuses are the present ones. The updates since the snapshot began follow it.

        :raises Changed: the application does not exist any more.
        """
        application = self._directory.application(webhook.appid)
        if application is None:
            raise Changed
        cursor = self._snapshot(webhook, state).cursor
        entries, after = self._feeds.presence_page(application, state.after, ENTRIES)
        first = or_unset(None if state.after else True)
        data = Snapshot(entries, last=after is None, cursor=or_unset(cursor if after is None else None), first=first)
        made = SnapshotMessage(timestamp=_text(self._clock.now()), data=data)
        signed = self._sign(webhook, f"{cursor} {state.after} ".encode() + encode(data), encode(made))
        return Message("presence.snapshot", signed, len(entries), cursor if after is None else "", after=after)

    def _snapshot(self, webhook: Webhook, state: SenderState) -> SnapshotInProgress:
        """Return the snapshot in progress; begin anew if no updates can follow it any more, as after a long failure in the middle."""
        key, found = (webhook.url, webhook.created_at, webhook.series), state.snapshot
        if found is None or found.key != key or self._feeds.offset(webhook.appid, found.cursor) is None:
            found = SnapshotInProgress(key, self._feeds.cursor(self._feeds.head(webhook.appid)))
            state.snapshot, state.after = found, ""
        return found

    def test(self, webhook: Webhook) -> Message:
        """Return a test message."""
        now = self._clock.now()
        made = WebhookTestMessage(timestamp=_text(now), data=NoData())
        return Message("webhook.test", self._sign(webhook, str(now).encode(), encode(made)))

    def _sign(self, webhook: Webhook, content: bytes, body: bytes) -> SignedMessage:
        """Return a body with its headers.

        :param content: determines the id of the message.
        """
        digest = sha256(f"{webhook.appid} {webhook.series} ".encode() + content).digest()
        message_id = f"msg_{base64.urlsafe_b64encode(digest[:18]).decode()}"
        keys = [webhook.secret]
        if webhook.previous_secret and (webhook.previous_until or 0) > self._clock.steady.now():
            keys.append(webhook.previous_secret)
        return sign(message_id, self._clock.now() // 1000, body, keys)


def attempt_of(webhook: Webhook, message: Message, result: DeliveryResult, at: int) -> WebhookAttempt:
    """Return the entry of the log of an attempt that began at a time (ms)."""
    positions = {"presence.updates": webhook.cursor, "notification.outcomes": str(webhook.outcome_position)}
    return WebhookAttempt(
        *(webhook.appid, at, message.type, result.outcome, result.status, result.error, result.milliseconds),
        entries=message.entries,
        cursor=positions.get(message.type, ""),
    )


def _text(at: int) -> str:
    """Return a time (ms) as RFC 3339, in whole seconds."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
