"""The REST calls of a user: their grants, status, devices and account (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any

from ..messages import (
    AccountDocument,
    DeviceChange,
    DeviceHeartbeat,
    DeviceHeartbeatReply,
    DeviceList,
    Empty,
    GrantBody,
    GrantChange,
    GrantPage,
    GrantQuestion,
    GrantRequest,
    Hours,
    HoursBody,
    KnownDeviceBody,
    NewGrant,
    NewPushSubscription,
    PushState,
    PushSubscriptionBody,
    StatusBody,
    StatusChange,
)
from .operation import Operation

_PAGED = ("after", "limit")
_NONE: dict[str, Any] = {"body": Empty, "optional": True}

GRANTS = (
    Operation("GET /grants", "listGrants", "List one's grants, in order of `appid`", "user", {200: GrantPage}, query=_PAGED),
    Operation(
        "GET /grant/{appid}",
        "getGrant",
        "Read what a grant is asked for",
        "user",
        {200: GrantQuestion},
        errnos=(110, 140, 142),
        query=("redirect",),
        page=True,
    ),
    Operation(
        "POST /grant/{appid}",
        "postGrant",
        "Grant an application access",
        "user",
        {200: NewGrant, 303: None},
        errnos=(110, 140, 142),
        body=GrantRequest,
        optional=True,
    ),
    Operation(
        "PATCH /grant/{appid}",
        "patchGrant",
        "Change a grant: its pause, what it shows, when it ends, its quiet hours, its pushes",
        "user",
        {200: GrantBody},
        body=GrantChange,
        errnos=(110,),
    ),
    Operation("DELETE /grant/{appid}", "deleteGrant", "Revoke a grant", "user", {204: None}, errnos=(110,), **_NONE),
)
DEVICES_AND_ACCOUNT = (
    Operation("GET /status", "getStatus", "Read one's status and what it follows from", "user", {200: StatusBody}),
    Operation("PUT /status", "putStatus", "Set a status above those of one's devices", "user", {200: StatusBody}, body=StatusChange),
    Operation("DELETE /status", "deleteStatus", "Let one's devices determine the status again", "user", {204: None}, **_NONE),
    Operation("GET /hours", "getHours", "Read one's quiet hours", "user", {200: HoursBody}),
    Operation("PUT /hours", "putHours", "Set one's quiet hours", "user", {200: HoursBody}, body=Hours),
    Operation("DELETE /hours", "deleteHours", "Remove one's quiet hours", "user", {204: None}, **_NONE),
    Operation("GET /devices", "listDevices", "List one's live devices", "user", {200: DeviceList}),
    Operation(
        "PATCH /devices/{device}",
        "renameDevice",
        "Give a device another label",
        "user",
        {200: KnownDeviceBody},
        body=DeviceChange,
        errnos=(110,),
    ),
    Operation("DELETE /devices/{device}", "signOutDevice", "Sign a device out", "user", {204: None}, errnos=(110,), **_NONE),
    Operation("GET /push", "getPush", "List one's subscriptions to Web Push", "user", {200: PushState}),
    Operation(
        "PUT /push",
        "putPush",
        "Store a browser's subscription to Web Push",
        "user",
        {200: PushSubscriptionBody},
        body=NewPushSubscription,
        errnos=(122,),
    ),
    Operation("DELETE /push/{subscription}", "deletePush", "End a subscription", "user", {204: None}, errnos=(110,), **_NONE),
    Operation("GET /account", "getAccount", "Read all data stored about oneself", "user", {200: AccountDocument}),
    Operation("DELETE /account", "deleteAccount", "Erase one's account", "user", {204: None}, **_NONE),
    Operation(
        "GET /presence",
        "openDeviceChannel",
        "Open the device channel, a websocket",
        "anybody",
        {101: None},
        errnos=(108, 121),
        query=("origin",),
    ),
    Operation(
        "POST /presence",
        "sendHeartbeat",
        "Keep a device without a socket connected, for a lease",
        "anybody",
        {200: DeviceHeartbeatReply},
        body=DeviceHeartbeat,
        errnos=(34, 114, 121, 122, 130, 133),
    ),
)
