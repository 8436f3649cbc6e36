"""Descriptions of devices, beside their names: a label, a kind and the day of the last sign-in (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from ..backends.directory import Directory, Requester
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, NotFound
from ..messages import StatusUpdate
from ..model import KnownDevice

_GENERATED = "~"


class DeviceNames:
    """Labels, kinds and days of devices. A sign-in writes only if one of them has changed: at most once a day."""

    def __init__(self, directory: Directory, tracker: Tracker, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._clock = clock

    def list(self, user: str) -> Sequence[KnownDevice]:
        """Return the known devices of a user."""
        return self._directory.known_devices(user)

    def record(self, user: str, device: str, frame: StatusUpdate) -> None:
        """Store what a device has said of itself in its first frame; nothing if it has said nothing, or has no name of its own."""
        if (frame.label is None and frame.kind is None) or device.startswith(_GENERATED):
            return
        day = datetime.fromtimestamp(self._clock.steady.now() / 1000, UTC).date().isoformat()
        now = KnownDevice(user, device, given=frame.label or "", kind=frame.kind or "", seen_on=day)
        with suppress(BackendUnavailable):  # the next sign-in stores it
            stored = next((item for item in self._directory.known_devices(user) if item.device == device), None)
            if stored is None or replace(stored, label="") != now:
                self._directory.record_device(now)

    def rename(self, user: str, device: str, label: str, requester: Requester | None = None) -> KnownDevice:
        """Give a device another label, or its own one again.

        :param label: "" for its own one.
        :raises NotFound: the user has no live, paired or known device of that name.
        """
        names = {item.device for item in self._directory.known_devices(user)}
        names |= {item.device for item in self._directory.credentials(user, self._clock.steady.now())}
        if device not in names and all(item.name != device for item in self._tracker.devices(user)):
            raise NotFound()
        renamed = self._directory.rename_device(user, device, label, requester)
        if renamed is None:
            raise NotFound()
        return renamed
