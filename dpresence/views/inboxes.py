"""A user's inbox (docs/protocol.md, section 6)."""

from __future__ import annotations

from msgspec import UNSET
from pyramid.response import Response

from ..messages import InboxNotification, InboxPage, ReadNotifications, Unread
from ..request import Request
from . import cornice_service
from .validators import Body, no_body, paging, user

inbox = cornice_service("inbox", "/notifications")
notifications_read = cornice_service("notifications read", "/notifications/read")
one_notification = cornice_service("one notification", "/notifications/{notification}")  # a later name: routes are added in their order

reading = Body(ReadNotifications)


@inbox.get(validators=(user, paging))
def list_notifications(request: Request) -> InboxPage:
    """List the caller's notifications, newest first."""
    owner, inboxes = request.validated["account"].id, request.services.inboxes
    entries, following = inboxes.entries(owner, request.validated["after"], request.validated["limit"])
    shown = [InboxNotification.of(entry.notification, entry.domain, entry.read) for entry in entries]
    return InboxPage(shown, inboxes.unread(owner), following or UNSET)


@notifications_read.post(validators=(user, reading))
def mark_notifications_read(request: Request) -> Unread:
    """Mark notifications as read: those that are named, or all up to one of them."""
    owner, inboxes, body = request.validated["account"].id, request.services.inboxes, reading.of(request)
    if body.notifications is not UNSET:
        inboxes.mark_read(owner, body.notifications)
    elif body.until is not UNSET:
        inboxes.mark_read_until(owner, body.until)
    return Unread(inboxes.unread(owner))


@inbox.delete(validators=(user, no_body))
def clear_notifications(request: Request) -> Response:
    """Delete all notifications of the caller's inbox."""
    request.services.inboxes.clear(request.validated["account"].id)
    return Response(status=204)


@one_notification.delete(validators=(user, no_body))
def delete_notification(request: Request) -> Response:
    """Delete a notification of the caller's inbox."""
    request.services.inboxes.remove(request.validated["account"].id, request.matchdict["notification"])
    return Response(status=204)
