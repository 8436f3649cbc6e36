"""Requests of app services without a channel: read presence and send notifications (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any

from ..errors import WrongValue
from ..messages import MOST_ENTRIES, OutgoingNotifications
from ..request import Request
from . import service
from .validators import Body, appservice, list_page, paging

present = service("present", "/myapps/{appid}/presence")
notifications = service("notifications", "/myapps/{appid}/notifications")

outgoing = Body(OutgoingNotifications)


def _puids(request: Request, **_: Any) -> None:
    puids = request.GET.getall("puid")
    if len(puids) > MOST_ENTRIES:
        raise WrongValue(f"puid: up to {MOST_ENTRIES} of them")
    request.validated["puids"] = list(dict.fromkeys(puids))


@present.get(validators=(appservice, _puids, paging))
def get_presence(request: Request) -> dict[str, Any]:
    """Return the presence of some PUIDs, or of all of them in pages."""
    feeds, validated = request.presence.feeds, request.validated
    if validated["puids"]:
        return {"presence": feeds.presence(validated["application"], validated["puids"])}
    return list_page("presence", *feeds.presence_page(validated["application"], validated["after"], validated["limit"]))


@notifications.post(validators=(appservice, outgoing))
def post_notifications(request: Request) -> dict[str, Any]:
    """Send live notifications."""
    answers = request.presence.notifications.notify(request.validated["application"], outgoing.of(request))
    return {"result": "OK", "action": "notify", "notifications": answers}
