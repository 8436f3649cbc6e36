"""Frames of the device channel (docs/protocol.md, section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ..model import Notification, Status
from ..suffixes import site
from .base import Frame
from .fields import Assertion, DeviceName, Email, Flag
from .known_devices import Kind, Label


class StatusUpdate(Frame, kw_only=True):
    """A status update from a device (section 3).

    :param email: the address of the account, in every frame; an assertion must prove it.
    :param assertion: an assertion, a ticket or a device credential. The first frame needs it; later frames may omit or repeat it.
    :param device: name of the device, which the first frame fixes. Without it the device is nameless.
    :param ack: this device acknowledges notifications. Has effect in the first frame.
    :param inbox: asks for the number of unread notifications, now and after each change. Has effect in the first frame.
    :param clears: asks for the ids of notifications that are no longer unread; for devices with ``ack``. Has effect in the first frame.
    :param label: the name that the device gives itself, for its user. Has effect in the first frame.
    :param kind: what kind of device it is. Has effect in the first frame.
    :param ticket: asks for a ticket in the reply. Has effect in the first frame, and later together with a new assertion.
    """

    email: Email
    status: Annotated[Status, Meta(description="one of online, unavailable, offline")]
    assertion: Assertion | None = None
    device: DeviceName | None = None
    ack: Flag = False
    inbox: Flag = False
    clears: Flag = False
    label: Label = None
    kind: Kind = None
    ticket: Flag = False


class Acknowledge(Frame, kw_only=True):
    """An acknowledgement of notifications from a device (section 3).

    :param notifications: ids of notifications; those that no longer wait are no error.
    """

    action: Literal["ack"]
    notifications: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=10_000, description="a list of notification ids")]


class DeviceHeartbeat(Struct, forbid_unknown_fields=True, kw_only=True):
    """A heartbeat of a device that holds no socket (section 3).

    :param email: the address of the account, in every frame; an assertion must prove it.
    :param assertion: a ticket, a device credential, or an assertion.
    :param device: name of the device.
    :param lease: seconds for which the device is connected without another heartbeat.
    :param ack: ids of notifications of earlier answers; those that no longer wait are no error.
    :param label: the name that the device gives itself, for its user. Has effect in the first heartbeat.
    :param kind: what kind of device it is. Has effect in the first heartbeat.
    :param ticket: asks for the next ticket.
    """

    email: Email
    status: Annotated[Status, Meta(description="one of online, unavailable, offline")]
    assertion: Assertion
    device: DeviceName
    lease: Annotated[int, Meta(ge=1, le=86_400, description="whole seconds")] = 60
    ack: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=10_000, description="a list of notification ids")] = []
    label: Label = None
    kind: Kind = None
    ticket: Flag = False


class OkReply(Struct, kw_only=True):
    """The answer to a frame that was accepted (section 3).

    :param ticket: the next ticket. Only in the first answer after a sign-in that asked for it.
    :param id: the ``id`` of the frame. Omitted if the frame had none.
    """

    result: Literal["OK"] = "OK"
    ticket: str | UnsetType = UNSET
    id: str | int | UnsetType = UNSET


class PlainNotification(Struct, gc=False):
    """A notification for a device without ``ack`` (section 3).

    :param source: name of the sender.
    :param action: empty, a word, or an http(s) URL on the application's domain.
    """

    source: str
    message: str
    action: str


class AcknowledgedNotification(PlainNotification, gc=False):
    """A notification for a device with ``ack`` (section 3).

    :param domain: the validated domain of the application.
    :param site: the registrable domain of ``domain``.
    :param sent: when the application sent it, milliseconds since the epoch.
    """

    id: str
    appid: str
    domain: str
    site: str
    sent: int


class PlainNotifications(Struct):
    """A frame of notifications for a device without ``ack``, up to 100 (section 3)."""

    notifications: list[PlainNotification]


class Notifications(Struct):
    """A frame of notifications for a device with ``ack``, up to 100 (section 3)."""

    notifications: list[AcknowledgedNotification]


class DeviceHeartbeatReply(Struct, kw_only=True):
    """The answer to a heartbeat (section 3).

    :param ticket: the next ticket. Only if the heartbeat asked for it, and brought a ticket or an assertion.
    :param lease: seconds for which the device is connected without another heartbeat.
    :param notifications: those that wait, oldest first, up to 100. They come again until they are acknowledged.
    """

    result: Literal["OK"] = "OK"
    ticket: str | UnsetType = UNSET
    lease: int
    notifications: list[AcknowledgedNotification]


def notifications_frame(
    items: Iterable[Notification], acknowledged: bool, domains: Mapping[str, str]
) -> PlainNotifications | Notifications:
    """Return a frame of notifications.

    :param acknowledged: the device acknowledges notifications.
    :param domains: domains of the applications, by PUID.
    """
    if acknowledged:
        return Notifications(acknowledged_notifications(items, domains))
    return PlainNotifications([PlainNotification(item.source, item.message, item.action) for item in items])


def acknowledged_notifications(items: Iterable[Notification], domains: Mapping[str, str]) -> list[AcknowledgedNotification]:
    """Return notifications as devices with ``ack`` are sent them; for ``domains`` see ``notifications_frame``."""
    return [_acknowledged(item, domains.get(item.puid, "")) for item in items]


def _acknowledged(item: Notification, domain: str) -> AcknowledgedNotification:
    return AcknowledgedNotification(item.source, item.message, item.action, item.id, item.appid, domain, site(domain), item.sent_at)
