"""Bodies of a user's inbox, and the frames with which devices follow it (docs/protocol.md, sections 3 and 6)."""

from __future__ import annotations

from typing import Literal, Self

from msgspec import UNSET, Struct, UnsetType

from ..model import Notification
from ..suffixes import site
from .base import Frame
from .fields import NotificationId, NotificationIds


class MarkRead(Frame, kw_only=True):
    """A device's user has read notifications (section 3).

    :param notifications: ids of notifications; those that are not in the inbox are no error.
    """

    action: Literal["read"]
    notifications: NotificationIds


class Unread(Struct):
    """The number of unread notifications: a frame for devices with ``inbox`` (section 3), and an answer (section 6)."""

    unread: int


class Cleared(Struct):
    """A frame for devices with ``clears`` (section 3).

    :param cleared: ids of notifications that this connection was sent, and that were read, deleted, cancelled or replaced since.
    """

    cleared: list[str]


class ReadNotifications(Struct, forbid_unknown_fields=True):
    """``POST /notifications/read``: one of the two fields (section 6).

    :param notifications: ids of notifications; those that are not in the inbox are no error.
    :param until: id of a notification: it and all older ones are read.
    """

    notifications: NotificationIds | UnsetType = UNSET
    until: NotificationId | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.notifications is UNSET) == (self.until is UNSET):
            raise ValueError("notifications, until: one of the two")


class InboxNotification(Struct):
    """A notification in the inbox (section 6).

    :param domain: the application's validated domain when it sent the notification.
    :param site: the registrable domain of ``domain``.
    :param sent: when the application sent it, milliseconds since the epoch.
    """

    id: str
    appid: str
    domain: str
    site: str
    source: str
    message: str
    action: str
    sent: int
    read: bool

    @classmethod
    def of(cls, item: Notification, domain: str, read: bool) -> Self:
        """Return a notification."""
        return cls(item.id, item.appid, domain, site(domain), item.source, item.message, item.action, item.sent_at, read)


class InboxPage(Struct):
    """The answer to ``GET /notifications`` (section 6).

    :param notifications: newest first.
    :param unread: the number of unread ones in the whole inbox.
    :param next: the ``after`` of the next page. Omitted if there is none.
    """

    notifications: list[InboxNotification]
    unread: int
    next: str | UnsetType = UNSET
