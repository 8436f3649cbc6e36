"""The REST calls of a user's inbox; see ``operations``."""

from __future__ import annotations

from ..messages import Empty, InboxPage, ReadNotifications, Unread
from .operation import Operation

NOTIFICATIONS = (
    Operation(
        "GET /notifications",
        "listNotifications",
        "List one's notifications, newest first",
        "user",
        {200: InboxPage},
        query=("after", "limit"),
    ),
    Operation(
        "POST /notifications/read",
        "markNotificationsRead",
        "Mark notifications as read: some, or all up to one",
        "user",
        {200: Unread},
        body=ReadNotifications,
    ),
    Operation(
        "DELETE /notifications",
        "clearNotifications",
        "Delete all notifications of one's inbox",
        "user",
        {204: None},
        body=Empty,
        optional=True,
    ),
    Operation(
        "DELETE /notifications/{notification}",
        "deleteNotification",
        "Delete a notification of one's inbox",
        "user",
        {204: None},
        errnos=(110,),
        body=Empty,
        optional=True,
    ),
)
