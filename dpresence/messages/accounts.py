"""Bodies of a user's devices and of the data stored about the user (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from msgspec import UNSET, Struct, UnsetType

from ..model import Account, Device, Grant, Notification, Shows, Status
from ..model.looks import Looks
from .applications import ApplicationBody
from .grants import LooksBody
from .inboxes import InboxNotification
from .known_devices import KnownDeviceBody
from .pairing import PairedDeviceBody
from .push_subscriptions import PushSubscriptionBody
from .quiet_hours import ShownHours, shown_hours
from .webhooks import OwnedWebhook


class DeviceBody(Struct):
    """A live device (section 6).

    :param connected: false in grace.
    :param since: when its connection was made, milliseconds since the epoch.
    """

    device: str
    status: Status
    connected: bool
    since: int

    @classmethod
    def of(cls, item: Device) -> Self:
        """Return a device."""
        return cls(item.name, item.status, item.connected, item.since)


class DeviceList(Struct):
    """The answer to ``GET /devices`` (section 6).

    :param devices: the live devices.
    :param paired: the devices with a credential.
    :param known: labels and kinds of devices, connected or not.
    """

    devices: list[DeviceBody]
    paired: list[PairedDeviceBody]
    known: list[KnownDeviceBody]


class AccountBody(Struct):
    """An account and its pin (section 6).

    :param created_at: milliseconds since the epoch.
    :param override: the status that the user has set above those of their devices, or null.
    :param override_until: when it ends by itself, milliseconds since the epoch, or null.
    :param hours: the quiet hours of the user, or null.
    """

    email: str
    issuer: str
    subject: str
    created_at: int
    override: Status | None
    override_until: int | None
    hours: ShownHours | None

    @classmethod
    def of(cls, item: Account) -> Self:
        """Return an account."""
        hours = shown_hours(item.hours)
        return cls(item.email, item.issuer, item.subject, item.created_at, item.override, item.override_until, hours)


class SessionBody(Struct):
    """A browser session (section 6). Times are milliseconds since the epoch."""

    created_at: int
    expires_at: int


class TicketBody(Struct):
    """A ticket without its secret (section 6).

    :param device: the device that used the previous ticket of the same sign-in, or null.
    :param expires_at: milliseconds since the epoch.
    """

    device: str | None
    expires_at: int


class StoredGrant(Struct):
    """A grant in ``GET /account`` (section 6).

    :param granted_at: milliseconds since the epoch.
    :param since: when the grant was given or its last pause ended, milliseconds since the epoch.
    :param quiet: see ``GrantBody``, as for ``shows``, ``until``, ``hours`` and ``push``.
    :param last_looked: see ``ListedGrant``, as for ``looks``.
    """

    appid: str
    puid: str
    granted_at: int
    since: int
    paused: bool
    quiet: bool
    shows: Shows
    until: int | None
    hours: ShownHours | None
    push: bool
    last_looked: str | None
    looks: list[LooksBody]

    @classmethod
    def of(cls, item: Grant, last_looked: str | None, looks: Sequence[Looks]) -> Self:
        """Return a grant."""
        hours = shown_hours(item.hours)
        pause = item.own_pause, item.quiet
        shown = [LooksBody.of(look) for look in looks]
        looked = last_looked, shown
        return cls(item.appid, item.puid, item.granted_at, item.since, *pause, item.shows, item.until, hours, item.push, *looked)


class StoredNotification(Struct):
    """A waiting notification in ``GET /account`` (section 6).

    :param sent: when the application sent it, milliseconds since the epoch.
    """

    appid: str
    source: str
    message: str
    action: str
    sent: int

    @classmethod
    def of(cls, item: Notification) -> Self:
        """Return a notification."""
        return cls(item.appid, item.source, item.message, item.action, item.sent_at)


class AccountDocument(Struct, kw_only=True):
    """The answer to ``GET /account``: all data stored about the user (section 6). It is sent in parts, field by field.

    :param status: the user's status; see ``StatusBody``.
    :param applications: the user's own applications. Omitted if a backend failed before, as are ``notifications`` and ``inbox``.
    :param webhooks: those of the user's applications.
    :param notifications: the notifications that wait for the user.
    :param inbox: the notifications of the last days.
    :param complete: false if a backend failed during the answer, which then lacks the rest.
    """

    account: AccountBody
    sessions: list[SessionBody]
    tickets: list[TicketBody]
    paired: list[PairedDeviceBody]
    devices: list[DeviceBody]
    known_devices: list[KnownDeviceBody]
    push_subscriptions: list[PushSubscriptionBody]
    status: Status
    grants: list[StoredGrant]
    applications: list[ApplicationBody] | UnsetType = UNSET
    webhooks: list[OwnedWebhook] | UnsetType = UNSET
    notifications: list[StoredNotification] | UnsetType = UNSET
    inbox: list[InboxNotification] | UnsetType = UNSET
    complete: bool
