"""Devices and users as the in-memory tracker stores them. A process has thousands of them, so they are small."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from ...limits import RateRule
from ...model import Status, merge


class LiveDevice(Struct, gc=False):
    """A live device; a device without a connection is in grace.

    :ivar since: when its current connection was opened, milliseconds.
    :ivar sign_in_revision: revision of the account at the newest sign-in.
    """

    name: str
    status: Status = "offline"
    connection: str | None = None
    since: int = 0
    sign_in_revision: int = 0


class LiveUser(Struct, gc=False):
    """A user with at least one live device, their status, and the status that applications were last sent.

    :ivar rate_full_at: the state of the rate of their changes (``limits.RateRule``).
    """

    _devices: LiveDevice | dict[str, LiveDevice] | None = None  # a dict takes 184 bytes: most users have one device
    status: Status = "offline"
    sent_status: Status = "offline"
    rate_full_at: float = 0.0

    @property
    def devices(self) -> Collection[LiveDevice]:
        """The live devices."""
        stored = self._devices
        return tuple(stored.values()) if isinstance(stored, dict) else (stored,) if stored else ()

    @property
    def empty(self) -> bool:
        """True if no device is live."""
        return self._devices is None

    @property
    def merged(self) -> Status:
        """The merged status of the live devices. The tracker stores it in ``status``, or the override."""
        stored = self._devices
        if isinstance(stored, dict):
            return merge([device.status for device in stored.values()])
        return stored.status if stored else "offline"

    def device(self, name: str) -> LiveDevice | None:
        """Return a device by its name."""
        stored = self._devices
        if isinstance(stored, dict):
            return stored.get(name)
        return stored if stored and stored.name == name else None

    def set_status(self, name: str, connection: str, status: Status, sign_in_revision: int) -> Status | None:
        """Set the status of a device whose connection this is; return the merged status, None if there is no such device.

        :param sign_in_revision: revision of the account at a sign-in; a lower one than before has no effect.
        """
        stored = self._devices
        found = self.device(name) if isinstance(stored, dict) else stored
        if found is None or found.connection != connection or found.name != name:
            return None
        found.status = status
        if sign_in_revision:
            found.sign_in_revision = max(found.sign_in_revision, sign_in_revision)
        return status if found is stored else self.merged

    def take_token(self, rule: RateRule, now: float) -> float:
        """Take a token for a change; return 0.0, or the seconds until there is one.

        :param now: monotonic seconds.
        """
        before = self.rate_full_at
        full_at = now + rule.interval if before <= now else rule.take(before, now)
        if not full_at:
            return rule.wait(before, now)
        self.rate_full_at = full_at
        return 0.0

    def add(self, device: LiveDevice) -> None:
        """Add a device with a new name."""
        if self._devices is None:
            self._devices = device
        elif isinstance(self._devices, dict):
            self._devices[device.name] = device
        else:
            self._devices = {each.name: each for each in (self._devices, device)}

    def remove(self, device: LiveDevice) -> None:
        """Remove a device."""
        if isinstance(self._devices, dict):
            del self._devices[device.name]
            if len(self._devices) == 1:
                self._devices = next(iter(self._devices.values()))
        else:
            self._devices = None
