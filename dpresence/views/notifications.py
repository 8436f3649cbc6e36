"""Requests of app services without a channel: read presence and send notifications (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from pyramid.response import Response

from ..errors import WrongValue
from ..messages import MAX_ENTRIES, FollowedNotification, NewNotifications, NotifyAnswer, PresencePage
from ..request import Request
from . import cornice_service
from .validators import Body, appservice, no_body, paging

present = cornice_service("present", "/myapps/{appid}/presence")
notifications = cornice_service("notifications", "/myapps/{appid}/notifications")

sent_notification = cornice_service("sent notification", "/myapps/{appid}/notifications/{notification}")

outgoing = Body(NewNotifications)


def _puids(request: Request, **_: Any) -> None:
    puids = request.GET.getall("puid")
    if len(puids) > MAX_ENTRIES:
        raise WrongValue(f"puid: up to {MAX_ENTRIES} of them")
    request.validated["puids"] = list(dict.fromkeys(puids))


def _puid(request: Request, **_: Any) -> None:
    puids = request.GET.getall("puid")
    if len(puids) != 1 or "\0" in puids[0]:
        raise WrongValue("puid: one, that of the notification")
    request.validated["puid"] = puids[0]


@present.get(validators=(appservice, _puids, paging))
def get_presence(request: Request) -> PresencePage:
    """Return the presence of some PUIDs, or of all of them in pages."""
    feeds, validated = request.services.feeds, request.validated
    application, puids = validated["application"], validated["puids"]
    if puids:
        entries, following = feeds.presence(application, puids), None
    else:
        entries, following = feeds.presence_page(application, validated["after"], validated["limit"])
    request.services.looks.record(application.id, "rest", puids)
    return PresencePage(entries, following or UNSET)


@notifications.post(validators=(appservice, outgoing))
def post_notifications(request: Request) -> NotifyAnswer:
    """Send live notifications."""
    results = request.services.notifications.notify(request.validated["application"], outgoing.of(request))
    return NotifyAnswer(notifications=results)


@sent_notification.delete(validators=(appservice, _puid, no_body))
def cancel_notification(request: Request) -> Response:
    """Cancel a notification."""
    validated = request.validated
    request.services.notifications.cancel(validated["application"], validated["puid"], request.matchdict["notification"])
    return Response(status=204)


@sent_notification.get(validators=(appservice,))
def get_notification(request: Request) -> FollowedNotification:
    """Return a notification with its outcomes."""
    return FollowedNotification.of(*request.services.outcomes.find(request.validated["application"], request.matchdict["notification"]))
