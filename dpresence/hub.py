"""The hub: a registry of the channels open in this process, by device and by application.

A channel is removed only if it is the registered one, so that a replaced channel never removes its successor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from .errors import CloseCode
from .model import Notification, Offset, Status

REPLACED = "replaced by a newer connection of this device"
PROOF_BYTES = 8
"""Size of ``DeviceSession.digest``. Another assertion with the same one would count as repeated, and renew nothing."""


class DeliveryProgress:
    """Delivery state of one channel: which of the user's notifications were sent. See ``DeviceSession.progress``.

    :ivar position: position of the last notification that was sent or skipped.
    :ivar sent: ids of notifications in flight: not acknowledged, or, for a plain device, not accepted by the kernel yet.
    :ivar skipped: position of the first skipped notification, by the PUID of a grant that is paused or whose application is not active.
    :ivar stalled: the next page waits until the send buffer is empty.
    """

    __slots__ = ("position", "sent", "skipped", "stalled")

    def __init__(self) -> None:
        self.position = 0
        self.sent: frozenset[str] = frozenset()
        self.skipped: dict[str, int] = {}
        self.stalled = False

    def has_sent(self, notification: Notification, position: int, repeated: str) -> bool:
        """Return whether a notification was sent on this channel.

        :param repeated: id of the stored notification that it repeats: it may have ended before this channel was opened, so it counts
            only while it is in flight.
        """
        if repeated:
            return repeated in self.sent
        return position <= self.position and position < self.skipped.get(notification.puid, position + 1)

    def rewind(self, shown: Collection[str]) -> None:
        """Move ``position`` back before the first skipped notification of the PUIDs ``shown``."""
        for puid in [puid for puid in self.skipped if puid in shown]:
            self.position = min(self.position, self.skipped.pop(puid) - 1)


_NOTHING_SENT = DeliveryProgress()


class DeviceSession(Struct, gc=False, eq=False):
    """State of the device of one channel. It is in no cycle, so it needs no header for the garbage collector.

    Only ``service.device_sessions`` and ``service.delivery`` change it, besides ``status``.

    :ivar user: id of the account; "" before the sign-in.
    :ivar email: the account's e-mail address.
    :ivar device: name of the device.
    :ivar status: the status that the tracker has confirmed last.
    :ivar acknowledges: the device acknowledges notifications.
    :ivar inbox: the device is sent the number of unread notifications.
    :ivar shown: ids of the latest notifications that the device was sent and that are unread, if it asked for those that are cleared.
    :ivar family: the ticket family that the sign-in belongs to, or None.
    :ivar provider_session: key of the identity provider's session that an assertion belongs to, or None. Only the hub changes it.
    :ivar began_at: when that sign-in began, in milliseconds since the epoch.
    :ivar revision: revision of the account at the sign-in.
    :ivar digest: first bytes of the digest of the last assertion or ticket; empty after a device credential.
    :ivar ends_at: ``Clock.monotonic()`` at which the session ends.
    """

    user: str = ""
    email: str = ""
    device: str = ""
    status: Status = "offline"
    acknowledges: bool = False
    inbox: bool = False
    family: str | None = None
    provider_session: str | None = None
    began_at: int = 0
    revision: int = 0
    digest: bytes = b""
    ends_at: float = 0.0
    shown: list[str] | None = None
    _progress: DeliveryProgress | None = None

    @property
    def progress(self) -> DeliveryProgress:
        """The delivery state, to be read; ``begin_progress`` returns it to be changed.

        Nearly all devices have no notifications and share one object, because its own one, with its containers, takes 350 bytes.
        """
        return self._progress or _NOTHING_SENT

    def begin_progress(self) -> DeliveryProgress:
        """Return the delivery state of this device alone."""
        if self._progress is None:
            self._progress = DeliveryProgress()
        return self._progress


class DevicePort(Protocol):
    """Interface of a device's channel for the hub and the service."""

    session: DeviceSession

    @property
    def idle(self) -> bool:
        """True if the kernel has accepted all sent frames."""

    @property
    def silent(self) -> bool:
        """True if nothing was received for longer than a ping and its pong may take: its process has stood still, or the peer is gone."""

    def room_for(self, notifications: Sequence[Notification]) -> int:
        """Return how many of ``notifications``, at least one, fit into the send buffer of an idle channel beside an answer."""

    @property
    def connection_id(self) -> str:
        """The id of its connection in the tracker."""

    def deliver(self, notifications: Sequence[Notification], domains: Mapping[str, str]) -> bool:
        """Send or queue notifications; return False if the channel is closing. Does not block.

        :param domains: the domains of their applications, by PUID.
        """

    def send_unread(self, count: int) -> None:
        """Send or queue the number of unread notifications. Does not block."""

    def send_cleared(self, ids: Sequence[str]) -> None:
        """Send or queue the ids of notifications that are no longer unread. Does not block."""

    def when_sent(self, function: Callable[[], None]) -> None:
        """Call ``function``, which neither blocks nor raises, once the kernel has accepted all sent frames; not if they are lost."""

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the channel. Does not block."""


class AppServicePort(Protocol):
    """Interface of an app service's channel for the hub and the service.

    :ivar following: all updates up to ``offset`` were sent, and the fan-out sends the next ones.
    :ivar offset: the feed offset up to which updates were sent.
    """

    following: bool
    offset: Offset

    def send_updates(self, payload: bytes, offset: Offset) -> None:
        """Send or queue a frame of updates up to ``offset``. Does not block."""

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the channel. Does not block."""

    def outcomes_changed(self) -> None:
        """Send new outcomes of notifications, if the channel asked for them. Does not block."""

    def check(self) -> None:
        """Check whether the channel may stay open, and close it if not. Does not block."""


class Hub:
    """Registry of open channels. Its methods neither block nor raise.

    :ivar sign_outs: count of sign-outs, by which a sign-in detects that a sign-out may have overtaken it.
    """

    def __init__(self) -> None:
        self.sign_outs = 0
        self._device_count = 0
        self._devices: dict[str, DevicePort | dict[str, DevicePort]] = {}  # no dict for a user's only channel: it takes 184 bytes
        self._of_provider_sessions: defaultdict[str, set[DevicePort]] = defaultdict(set)
        self._applications: defaultdict[str, set[AppServicePort]] = defaultdict(set)
        self._watchers: dict[str, Callable[[], None]] = {}

    # -- devices

    def join_device(self, user: str, device: str, channel: DevicePort) -> DevicePort | None:
        """Register the channel of a device; return the channel that it replaces."""
        if user not in self._devices:  # nearly always
            self._device_count += 1
            self._devices[user] = channel
            return None
        channels = self.devices_of(user)
        previous = channels.get(device)
        self._device_count += previous is None
        channels[device] = channel
        self._store(user, channels)
        return previous if previous is not channel else None

    def set_provider_session(self, channel: DevicePort, key: str | None, began_at: int = 0) -> None:
        """Record the identity provider's session that a channel's sign-in belongs to, None for no session, and when the sign-in began."""
        if channel.session.provider_session is not None:
            channels = self._of_provider_sessions[channel.session.provider_session]
            channels.discard(channel)
            if not channels:
                del self._of_provider_sessions[channel.session.provider_session]
        if key is not None:
            self._of_provider_sessions[key].add(channel)
        channel.session.provider_session, channel.session.began_at = key, began_at

    def leave_device(self, user: str, device: str, channel: DevicePort) -> None:
        """Remove a channel if it is the registered one of its device."""
        self.set_provider_session(channel, None)
        channels = self.devices_of(user)
        if channels.get(device) is channel:
            del channels[device]
            self._device_count -= 1
            self._store(user, channels)

    def _store(self, user: str, channels: dict[str, DevicePort]) -> None:
        if channels:
            self._devices[user] = channels if len(channels) > 1 else next(iter(channels.values()))
        else:
            del self._devices[user]

    def devices_of(self, user: str) -> dict[str, DevicePort]:
        """Return a user's channels in this process by device, as a new dict."""
        channels = self._devices.get(user, {})
        return channels.copy() if isinstance(channels, dict) else {channels.session.device: channels}

    def close_devices(self, user: str, reason: str, which: Callable[[str, DevicePort], bool] = lambda name, channel: True) -> None:
        """Close a user's channels for which ``which(device, channel)`` is true, as signed out."""
        self.sign_outs += 1
        for name, channel in self.devices_of(user).items():
            if which(name, channel):
                channel.close(CloseCode.NOT_SIGNED_IN, reason)

    def close_provider_session(self, key: str, at: int) -> None:
        """Close the channels whose sign-in belongs to a session that an identity provider has ended, and began until ``at``."""
        self.sign_outs += 1
        for channel in [each for each in self._of_provider_sessions.get(key, ()) if each.session.began_at <= at]:
            channel.close(CloseCode.NOT_SIGNED_IN, "signed out")

    def close_replaced(self, user: str, device: str, connection: str) -> None:
        """Close the channel of a device if its connection is ``connection``, which another process has replaced."""
        if (channel := self.devices_of(user).get(device)) is not None and channel.connection_id == connection:
            channel.close(CloseCode.REPLACED, REPLACED)

    def devices(self) -> list[tuple[str, str, DevicePort]]:
        """Return every user, device and channel in this process."""
        return [(user, device, channel) for user in self._devices for device, channel in self.devices_of(user).items()]

    # -- applications

    def join_application(self, appid: str, channel: AppServicePort) -> None:
        """Register a channel of an application."""
        self._applications[appid].add(channel)

    def leave_application(self, appid: str, channel: AppServicePort) -> None:
        """Remove a channel. Idempotent."""
        self._applications[appid].discard(channel)
        if not self._applications[appid]:
            del self._applications[appid]

    def watch_feed(self, appid: str, changed: Callable[[], None]) -> None:
        """Have ``changed``, which neither blocks nor raises, called when an application's feed may have new updates; one for each."""
        self._watchers[appid] = changed

    def unwatch_feed(self, appid: str) -> None:
        """End ``watch_feed``. Idempotent."""
        self._watchers.pop(appid, None)

    def notify_watcher(self, appid: str) -> None:
        """Call the function that watches the feed of an application, if there is one."""
        if changed := self._watchers.get(appid):
            changed()

    def applications(self) -> list[str]:
        """Return every application with a channel, or whose feed is watched, in this process."""
        return list({**dict.fromkeys(self._applications), **dict.fromkeys(self._watchers)})

    def has_application(self, appid: str) -> bool:
        """Return whether an application has a channel in this process, or its feed is watched."""
        return appid in self._applications or appid in self._watchers

    def channels_of(self, appid: str) -> Sequence[AppServicePort]:
        """Return the channels of an application in this process."""
        return tuple(self._applications.get(appid, ()))

    def check_application(self, appid: str) -> None:
        """Have every channel of an application check whether it may stay open."""
        for channel in self.channels_of(appid):
            channel.check()

    def counts(self) -> dict[str, int]:
        """Return how many devices, users and application channels are connected here."""
        return {
            "devices": self._device_count,
            "users": len(self._devices),
            "applications": sum(len(channels) for channels in self._applications.values()),
        }
