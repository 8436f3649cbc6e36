"""Every REST call and page: who may make it, what it takes, and what it is answered with (docs/protocol.md, sections 6 and 8).

Tests compare this table with the routes and views of the application.
"""

from __future__ import annotations

from typing import Any

from ..messages import (
    ActivatedApplication,
    Alive,
    ApplicationBody,
    ApplicationChange,
    ApplicationDetails,
    ApplicationPage,
    CurrentUsers,
    DevelopmentAssertion,
    Empty,
    Figures,
    FollowedNotification,
    Heartbeat,
    MintedAssertion,
    NewApplication,
    NewKey,
    NewNotifications,
    NotifyAnswer,
    OutcomeFrame,
    PresencePage,
    Snapshot,
    Updates,
    Version,
)
from .inbox_operations import NOTIFICATIONS
from .operation import Operation
from .personal_operations import DEVICES_AND_ACCOUNT, GRANTS
from .sign_in_operations import PAIRING, SIGNING_IN
from .webhook_operations import WEBHOOKS

_PAGED = ("after", "limit")
_NONE: dict[str, Any] = {"body": Empty, "optional": True}

OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "Signing in": SIGNING_IN,
    "Pairing": PAIRING,
    "Applications": (
        Operation(
            "GET /myapps",
            "listApplications",
            "List one's applications, in order of `appid`",
            "user",
            {200: ApplicationPage},
            query=_PAGED,
            page=True,
        ),
        Operation(
            "POST /myapps",
            "registerApplication",
            "Register an application",
            "user",
            {201: ApplicationBody},
            body=NewApplication,
            errnos=(110, 114),
        ),
        Operation(
            "GET /myapps/{appid}",
            "getApplication",
            "Read an application and its keys",
            "user",
            {101: None, 200: ApplicationDetails},
            errnos=(108, 110, 140, 142),
            page=True,
        ),
        Operation(
            "PATCH /myapps/{appid}",
            "changeApplication",
            "Change name, domain or description",
            "user",
            {200: ApplicationBody},
            body=ApplicationChange,
            errnos=(110,),
        ),
        Operation(
            "PUT /myapps/{appid}/icon",
            "putIcon",
            "Replace the icon",
            "user",
            {200: ApplicationBody},
            errnos=(110,),
            picture=True,
        ),
        Operation("DELETE /myapps/{appid}/icon", "deleteIcon", "Remove the icon", "user", {204: None}, errnos=(110,), **_NONE),
        Operation("GET /icons/{appid}/{version}", "getApplicationIcon", "The icon, WebP", "anybody", {200: bytes}, errnos=(110,)),
        Operation("DELETE /myapps/{appid}", "deleteApplication", "Delete an application", "user", {204: None}, errnos=(110,), **_NONE),
        Operation(
            "GET /myapps/{appid}/now",
            "getNow",
            "Count the users, by the status that the app service would be sent",
            "user",
            {200: CurrentUsers},
            errnos=(110, 142),
        ),
        Operation(
            "POST /myapps/{appid}/validate",
            "validateDomain",
            "Check the domain for its domain key",
            "user",
            {200: ApplicationBody},
            errnos=(110, 141),
            **_NONE,
        ),
        Operation(
            "POST /myapps/{appid}/activate",
            "activateApplication",
            "Activate an application",
            "user",
            {200: ActivatedApplication},
            errnos=(110, 140),
            **_NONE,
        ),
        Operation(
            "POST /myapps/{appid}/deactivate",
            "deactivateApplication",
            "Deactivate an application",
            "user",
            {200: ApplicationBody},
            errnos=(110,),
            **_NONE,
        ),
        Operation("POST /myapps/{appid}/key", "newKey", "Make a new API key", "user", {200: NewKey}, errnos=(110, 142), **_NONE),
    ),
    "Webhooks": WEBHOOKS,
    "App services": (
        Operation(
            "GET /myapps/{appid}/presence",
            "getPresence",
            "Read the presence of some users, or of all",
            "service",
            {200: PresencePage},
            errnos=(110,),
            query=("puid", *_PAGED),
        ),
        Operation(
            "GET /myapps/{appid}/feed",
            "getFeed",
            "Follow the feed without a websocket: as an event stream, or with `wait` by long poll",
            "service",
            {200: (Updates, Snapshot, OutcomeFrame)},
            errnos=(108, 122),
            query=("since", "outcomes", "wait", "page"),
            stream=True,
        ),
        Operation(
            "POST /myapps/{appid}/notifications",
            "postNotifications",
            "Send notifications",
            "service",
            {200: NotifyAnswer},
            body=NewNotifications,
            errnos=(122, 151, 153, 156),
        ),
        Operation(
            "DELETE /myapps/{appid}/notifications/{notification}",
            "cancelNotification",
            "Cancel a notification: it is no longer delivered or shown",
            "service",
            {204: None},
            errnos=(110,),
            body=Empty,
            optional=True,
            query=("puid:one",),
        ),
        Operation(
            "GET /myapps/{appid}/notifications/{notification}",
            "getNotification",
            "Outcomes of a notification",
            "service",
            {200: FollowedNotification},
            errnos=(110,),
        ),
    ),
    "Grants": GRANTS,
    "Inbox": NOTIFICATIONS,
    "Devices and account": DEVICES_AND_ACCOUNT,
    "Service": (
        Operation(
            "GET /",
            "getHome",
            "The home page; for programs, name and version",
            "anybody",
            {200: Version, 303: None},
            errnos=(111, 121),
            query=("token",),
            page=True,
        ),
        Operation("GET /__api__", "getOpenapi", "This document, OpenAPI", "anybody", {200: dict, 304: None}),
        Operation("GET /__api__/asyncapi", "getAsyncapi", "The frames of the channels, AsyncAPI", "anybody", {200: dict, 304: None}),
        Operation("GET /__api__/docs", "getDocs", "Both documents as a page", "anybody", {200: str}, errnos=(111,), page=True),
        Operation(
            "POST /language",
            "postLanguage",
            "Choose the language of the pages",
            "anybody",
            {303: None},
            errnos=(108, 121),
            form=("language",),
        ),
        Operation("GET /static/{file}", "getFile", "A file of the pages, and `presence.js`", "anybody", {200: bytes, 304: None}),
    ),
    "Operators": (
        Operation("GET /__heartbeat__", "getHeartbeat", "Health of each backend and provider", "anybody", {200: Heartbeat, 503: Heartbeat}),
        Operation("GET /__lbheartbeat__", "getLbheartbeat", "This process answers", "anybody", {200: Alive}),
        Operation("GET /__version__", "getVersion", "Name and version", "anybody", {200: Version}),
        Operation("GET /__metrics__", "getMetrics", "Metrics of all processes, OpenMetrics", "monitor", {200: bytes}),
        Operation("GET /admin", "getAdmin", "The operator's page; for programs, the figures", "operator", {200: Figures}, page=True),
        Operation("GET /admin/figures", "getFigures", "The figures of all processes", "operator", {200: Figures}),
    ),
    "Development": (
        Operation(
            "POST /__dev__/assertion",
            "mint",
            "Make an assertion for any e-mail",
            "development",
            {200: MintedAssertion},
            body=DevelopmentAssertion,
        ),
    ),
}
"""Every operation, by subject."""
