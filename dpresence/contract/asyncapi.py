"""The AsyncAPI 3.0 document of the two channels: every frame in both directions, the close codes and the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import CloseCode
from ..messages import (
    Acknowledge,
    Authenticate,
    AuthReply,
    Cleared,
    KoReply,
    MarkRead,
    Notifications,
    Notify,
    NotifyReply,
    OkReply,
    OutcomeFrame,
    OverrideUpdate,
    Ping,
    PlainNotifications,
    ReportOutcome,
    Snapshot,
    StatusUpdate,
    Unread,
    Updates,
)
from ..settings import Settings
from . import limits
from .examples import EXAMPLES
from .openapi import LICENSE, TITLE, errnos
from .schemas import Schema, reference, schemas, summary_of
from .tables import CLOSE_CODES

_ABOUT = (
    "The two channels of a presence service: websockets (RFC 6455, version 13) whose text frames are one JSON object each. Sections are "
    "those of docs/protocol.md, which is the contract. A frame that is sent may get new fields: a client accepts fields that it does not "
    "know. Every frame that a client sends is answered, in order."
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A frame, and the frames that answer it.

    :param id: its name in generated clients.
    :param frames: the frame, in one form or another.
    :param replies: the frames that may answer it.
    """

    id: str
    summary: str
    frames: tuple[type, ...]
    replies: tuple[type, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel.

    :param received: frames of the client; ``sent`` are those that the service sends by itself.
    :param errnos: the errnos with which a frame may be refused, and ``handshake`` those of the handshake.
    """

    id: str
    address: str
    title: str
    description: str
    received: tuple[Exchange, ...]
    sent: tuple[Exchange, ...]
    errnos: tuple[int, ...]
    handshake: tuple[int, ...]
    limits: tuple[str, ...]
    security: str
    parameters: tuple[str, ...] = ()

    @property
    def frames_received(self) -> list[type]:
        """The structs that clients send."""
        return [frame for exchange in self.received for frame in exchange.frames]

    @property
    def frames_sent(self) -> list[type]:
        """The structs that the service sends."""
        answers = [frame for exchange in self.received for frame in exchange.replies]
        return list(dict.fromkeys([*answers, *(frame for exchange in self.sent for frame in exchange.frames)]))


_EVERY_FRAME = (106, 107, 108, 117, 122, 130, 201, 999)
_EVERY_HANDSHAKE = (107, 108, 113, 117, 121, 201, 999)

DEVICE = Channel(
    id="device",
    address="/presence",
    title="Device channel",
    description="A device of a user signs in with its first update, and sets the status of the user (section 3).",
    received=(
        Exchange("update", "A device signs in, sets its status, or renews its identity", (StatusUpdate,), (OkReply, KoReply)),
        Exchange("override", "A device sets a status above those of all devices of the user", (OverrideUpdate,), (OkReply, KoReply)),
        Exchange("acknowledge", "A device has shown notifications", (Acknowledge,), (OkReply, KoReply)),
        Exchange("report", "A device has shown notifications, or its user has opened them", (ReportOutcome,), (OkReply, KoReply)),
        Exchange("read", "The user of a device has read notifications", (MarkRead,), (OkReply, KoReply)),
    ),
    sent=(
        Exchange(
            "notifications", "Notifications of applications; the longer form is for devices with `ack`", (PlainNotifications, Notifications)
        ),
        Exchange("unread", "The number of unread notifications, for devices with `inbox`", (Unread,)),
        Exchange("cleared", "Notifications that are no longer unread, for devices with `clears`", (Cleared,)),
    ),
    errnos=(34, 104, 110, 114, 133, *_EVERY_FRAME),
    handshake=_EVERY_HANDSHAKE,
    limits=limits.DEVICE,
    security="assertion",
)
APP_SERVICE = Channel(
    id="appService",
    address="/myapps/{appid}",
    title="App service channel",
    description="The service of an application signs in, and follows the presence of those who granted it access (section 5).",
    received=(
        Exchange("auth", "An app service signs in, from a cursor or anew", (Authenticate,), (AuthReply, KoReply)),
        Exchange("notify", "An app service sends notifications", (Notify,), (NotifyReply, KoReply)),
        Exchange("ping", "An app service asks for an answer: the missed updates come before it", (Ping,), (OkReply, KoReply)),
    ),
    sent=(
        Exchange("snapshot", "The present status of everybody, in up to 500 entries a frame", (Snapshot,)),
        Exchange("updates", "Changes of status", (Updates,)),
        Exchange("outcomes", "What became of notifications, for channels that asked for it", (OutcomeFrame,)),
    ),
    errnos=(104, 105, 110, 140, 142, 151, 153, 156, *_EVERY_FRAME),
    handshake=(110, 140, 142, *_EVERY_HANDSHAKE),
    limits=limits.APP_SERVICE,
    security="apiKey",
    parameters=("appid",),
)
CHANNELS = (DEVICE, APP_SERVICE)


def document(settings: Settings, version: str) -> dict[str, Any]:
    """Return the document for a service with these settings and of this version."""
    home = urlsplit(settings.identity.home)
    server = {
        "host": home.netloc,
        "pathname": home.path or "/",
        "protocol": "wss" if home.scheme == "https" else "ws",
    }
    messages = {f"{channel.id}{kind.__name__}": _message(channel, kind) for channel in CHANNELS for kind in _kinds(channel)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": TITLE, "version": version, "license": {"name": LICENSE}, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {"service": server},
        "channels": {channel.id: _channel(channel, settings) for channel in CHANNELS},
        "operations": {f"{channel.id}.{name}": operation for channel in CHANNELS for name, operation in _operations(channel).items()},
        "components": {"schemas": schemas(), "messages": messages, "securitySchemes": _security_schemes()},
        "x-errnos": errnos(),
        "x-close-codes": close_codes(),
    }


def close_codes() -> list[dict[str, Any]]:
    """Return the table of close codes."""
    return [{"code": int(code), "meaning": CLOSE_CODES[code][0], "client": CLOSE_CODES[code][1]} for code in sorted(CloseCode)]


def payload(channel: Channel, kind: type) -> Schema:
    """Return the schema of a frame; that of a refusal names the errnos of its channel."""
    if kind is not KoReply:
        return reference(kind)
    return {"allOf": [reference(kind), {"type": "object", "properties": {"errno": {"enum": sorted(channel.errnos)}}}]}


def _kinds(channel: Channel) -> list[type]:
    return [*channel.frames_received, *channel.frames_sent]


def _message(channel: Channel, kind: type) -> dict[str, Any]:
    examples = [{"payload": example} for example in EXAMPLES[kind.__name__]]
    return {
        "name": kind.__name__,
        "title": kind.__name__,
        "summary": summary_of(kind),
        "payload": payload(channel, kind),
        "examples": examples,
    }


def _channel(channel: Channel, settings: Settings) -> dict[str, Any]:
    made: dict[str, Any] = {"address": channel.address, "title": channel.title, "description": channel.description}
    if channel.parameters:
        made["parameters"] = {name: {"description": "The application."} for name in channel.parameters}
    made["servers"] = [{"$ref": "#/servers/service"}]
    made["messages"] = {kind.__name__: {"$ref": f"#/components/messages/{channel.id}{kind.__name__}"} for kind in _kinds(channel)}
    made["bindings"] = {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}
    made["x-handshake-errnos"] = sorted(channel.handshake)
    made["x-limits"] = limits.limits(settings, channel.limits)
    return made


def _operations(channel: Channel) -> dict[str, Any]:
    place = f"#/channels/{channel.id}"

    def operation(exchange: Exchange, action: str) -> dict[str, Any]:
        made: dict[str, Any] = {"action": action, "channel": {"$ref": place}, "summary": exchange.summary}
        made["messages"] = _references(place, exchange.frames)
        if exchange.replies:
            made["reply"] = {"channel": {"$ref": place}, "messages": _references(place, exchange.replies)}
        if action == "receive":
            made["security"] = [{"$ref": f"#/components/securitySchemes/{channel.security}"}]
        return made

    return {
        **{exchange.id: operation(exchange, "receive") for exchange in channel.received},
        **{exchange.id: operation(exchange, "send") for exchange in channel.sent},
    }


def _references(place: str, kinds: tuple[type, ...]) -> list[dict[str, str]]:
    return [{"$ref": f"{place}/messages/{kind.__name__}"} for kind in kinds]


def _security_schemes() -> dict[str, Any]:
    return {
        "assertion": {
            **{"type": "apiKey", "in": "password"},
            "description": "The `assertion` of the first update: a BrowserID bundle, an ID token, or a ticket (section 2).",
        },
        "apiKey": {**{"type": "apiKey", "in": "password"}, "description": "The `key` of `auth`: the application's API key."},
    }
