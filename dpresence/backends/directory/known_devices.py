"""The part of the directory that stores what is known of users' devices: their labels, kinds and the day they were last seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ...model import KnownDevice
from .values import Requester


class KnownDeviceStore(ABC):
    """Known devices of users; a part of ``Directory``. A user has a limited number; the ones that were not seen for longest are deleted."""

    @abstractmethod
    def known_devices(self, user: str) -> Sequence[KnownDevice]:
        """Return the known devices of a user, in order of their names."""

    @abstractmethod
    def record_device(self, device: KnownDevice) -> None:
        """Store what a device has said of itself, and the day. Its ``label`` stays. Without the account, nothing is stored."""

    @abstractmethod
    def rename_device(self, user: str, device: str, label: str, requester: Requester | None = None) -> KnownDevice | None:
        """Store the label that a user gives a device, "" for none; return the device, None without the account.

        :raises SessionEnded: see ``Directory``.
        """
