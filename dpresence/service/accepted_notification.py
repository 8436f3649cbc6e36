"""Notifications that an application has sent and that were accepted, with their answers (docs/protocol.md, section 5)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ..backends.mailbox import SHOWN_NOW, TopicAndKey
from ..errors import NotFound
from ..messages import NewNotification, NotificationResult
from ..model import Application, Grant, Notification
from ..model.outcomes import FOLLOWED_PREFIX
from .notification_control import PUSHED


@dataclass(slots=True)
class Accepted:
    """An accepted notification with its grant and the values of its answer.

    :ivar shown_until: until when the feed last showed the user as reachable; see ``backends.mailbox.QueuedNotification``.
    :ivar ttl_ms: how long it is stored, milliseconds; 0 if it is not stored.
    :ivar position: position in the user's mailbox.
    :ivar repeated: id of the notification that it repeats; "" for a new one.
    :ivar replaced: id of the notification that it has replaced; "" for none.
    """

    grant: Grant
    notification: Notification
    shown_until: int
    ttl_ms: int
    control: TopicAndKey | None = None
    urgency: str = "normal"
    position: int = 0
    queue_size: int = 0
    delivered: bool = False
    revoked: bool = False
    repeated: str = ""
    replaced: str = ""

    @property
    def shown_now(self) -> bool:
        """True if the application's feed shows the user as reachable."""
        return self.shown_until == SHOWN_NOW

    @property
    def is_pushed(self) -> bool:
        """True if it is to be pushed while its user has no device."""
        return self.grant.push and not self.repeated and self.urgency in PUSHED


def answer(item: NewNotification, each: Accepted | None) -> NotificationResult:
    """Return the answer to a notification; None: its PUID does not exist."""
    if each is None or each.revoked:
        return NotificationResult.refused(item.puid, NotFound())
    id_ = each.repeated or each.notification.id
    return NotificationResult(puid=item.puid, id=id_, result="OK", queue_size=each.queue_size, delivered=each.delivered)


def notification_of(application: Application, grant: Grant, item: NewNotification, now: int) -> Notification:
    """Return a new notification with an id."""
    return Notification(
        id=(FOLLOWED_PREFIX if item.outcome else "n_") + secrets.token_urlsafe(12),
        appid=application.id,
        puid=grant.puid,
        source=item.source or application.name,
        message=item.message,
        action=item.action,
        sent_at=now,
    )
