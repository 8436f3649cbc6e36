"""The hub: the channels open in this process, by device and by application. It removes by identity, so that an old
connection never removes its successor.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import gevent

from .errors import CloseCode
from .model import Notification, Status

log = logging.getLogger(__name__)


REPLACED = "replaced by a newer connection of this device"


class Progress:
    """How far the notifications of a user were sent on one channel.

    :ivar position: of the last that was sent or passed over.
    :ivar sent: ids that are on their way: not acknowledged, or, to a plain device, not taken by the network yet.
    :ivar skipped: where to go on when the pause of a grant ends, by PUID.
    :ivar stalled: whether the next page waits for the outbox to be empty.
    """

    __slots__ = ("position", "sent", "skipped", "stalled")

    def __init__(self) -> None:
        self.position = 0
        self.sent: set[str] = set()
        self.skipped: dict[str, int] = {}
        self.stalled = False

    def rewind(self, shown: Collection[str]) -> None:
        """Go back to the first that was passed over for one of some PUIDs."""
        for puid in [puid for puid in self.skipped if puid in shown]:
            self.position = min(self.position, self.skipped.pop(puid) - 1)


class DevicePort(Protocol):
    """What the hub and the service need of a device's channel."""

    acknowledges: bool
    family: str | None
    progress: Progress
    revision: int
    status: Status

    @property
    def idle(self) -> bool:
        """Whether all that was offered has left the service."""

    def room_for(self, notifications: Sequence[Notification]) -> int:
        """Return how many of some notifications an idle channel takes at once and has room for an answer beside: one at least."""

    @property
    def connection_id(self) -> str:
        """The name of its connection, as the tracker knows it."""

    def deliver(self, notifications: Sequence[Notification], domains: Mapping[str, str]) -> bool:
        """Offer notifications; False when the channel is closing. Never waits.

        :param domains: those of their applications, by PUID.
        """

    def when_sent(self, function: Callable[[], None]) -> None:
        """Call ``function``, which neither waits nor raises, once all that was offered has left; never if it is lost."""

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the channel; never waits."""


class ApplicationPort(Protocol):
    """What the hub needs of an app service's channel; ``offset`` is where in the feed it stands."""

    offset: int

    def check(self) -> None:
        """Look again whether the channel may stay open, and close it if not; never waits."""


Pump = Callable[[str, Collection[ApplicationPort]], None]


class Hub:
    """Who is connected here. Methods neither wait nor raise.

    :ivar sign_outs: grows with each sign-out, so that a sign-in can tell that one may have overtaken it.
    """

    def __init__(self) -> None:
        self.pump: Pump = lambda appid, channels: None
        self.sign_outs = 0
        self._devices: dict[str, dict[str, DevicePort]] = {}
        self._applications: defaultdict[str, set[ApplicationPort]] = defaultdict(set)
        self._news: dict[str, bool] = {}  # the applications whose pump runs, and whether it has to run again

    # -- devices

    def join_device(self, user: str, device: str, channel: DevicePort) -> DevicePort | None:
        """Make a channel the one of its device; return the one it replaces."""
        channels = self._devices.setdefault(user, {})
        previous = channels.get(device)
        channels[device] = channel
        return previous if previous is not channel else None

    def leave_device(self, user: str, device: str, channel: DevicePort) -> None:
        """Take a channel out, if it is still the one of its device."""
        channels = self._devices.get(user, {})
        if channels.get(device) is channel:
            del channels[device]
            if not channels:
                del self._devices[user]

    def devices_of(self, user: str) -> dict[str, DevicePort]:
        """Return a user's channels in this process by device."""
        return dict(self._devices.get(user, {}))

    def close_devices(self, user: str, reason: str, which: Callable[[str, DevicePort], bool] = lambda name, channel: True) -> None:
        """Sign out those channels of a user that ``which(device, channel)`` picks."""
        self.sign_outs += 1
        for name, channel in self.devices_of(user).items():
            if which(name, channel):
                channel.close(CloseCode.NOT_SIGNED_IN, reason)

    def close_replaced(self, user: str, device: str, connection: str) -> None:
        """Close the channel of a device whose connection was replaced by one elsewhere."""
        channel = self.devices_of(user).get(device)
        if channel is not None and channel.connection_id == connection:
            channel.close(CloseCode.REPLACED, REPLACED)

    def devices(self) -> list[tuple[str, str, DevicePort]]:
        """Return every user, device and channel in this process."""
        return [(user, device, channel) for user, channels in self._devices.items() for device, channel in channels.items()]

    # -- applications

    def join_application(self, appid: str, channel: ApplicationPort) -> None:
        """Let a channel hear its application's news."""
        self._applications[appid].add(channel)

    def leave_application(self, appid: str, channel: ApplicationPort) -> None:
        """Take a channel out."""
        self._applications[appid].discard(channel)
        if not self._applications[appid]:
            del self._applications[appid]

    def applications(self) -> list[str]:
        """Return every application with a channel in this process."""
        return list(self._applications)

    def channels_of(self, appid: str) -> Collection[ApplicationPort]:
        """Return the channels of an application in this process."""
        return tuple(self._applications.get(appid, ()))

    def check_application(self, appid: str) -> None:
        """Have every channel of an application look again whether it may stay open."""
        for channel in self.channels_of(appid):
            channel.check()

    def news(self, appid: str) -> None:
        """Have the pump bring an application's channels up to date, once for all that happens in this turn of the loop.

        It may wait. Of an application one runs at a time, or an update might overtake another; once more when there were
        news meanwhile.
        """
        if appid not in self._applications:
            return
        if appid not in self._news:
            gevent.spawn(self._flush, appid)
        self._news[appid] = True

    def _flush(self, appid: str) -> None:
        try:
            while self._news[appid]:
                self._news[appid] = False
                self.pump(appid, self.channels_of(appid))
        except Exception:  # ours: nobody else's news are lost by it
            log.exception("updates of application %s are not sent", appid)
        finally:
            del self._news[appid]

    def counts(self) -> dict[str, int]:
        """Return how many devices, users and application channels are connected here."""
        return {
            "devices": sum(len(channels) for channels in self._devices.values()),
            "users": len(self._devices),
            "applications": sum(len(channels) for channels in self._applications.values()),
        }
