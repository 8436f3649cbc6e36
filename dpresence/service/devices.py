"""A user's devices: what they say, when they are lost, and signing them out (docs/protocol.md, sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import ceil

from ..backends.directory import Directory
from ..backends.tracker import Connected, Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, NotFound, SlowDown
from ..limits import Buckets
from ..model import Device, Status
from ..settings import PresenceSettings
from .grants import Grants


class Devices:
    """The verbs of devices."""

    def __init__(self, directory: Directory, tracker: Tracker, grants: Grants, settings: PresenceSettings, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._grants = grants
        self._clock = clock
        self._limit = settings.devices_per_user
        self._left: set[tuple[str, str, str]] = set()  # ended while the tracker was away
        self._replacements = Buckets(settings.replacements_per_minute / 60, settings.replacements_per_minute)

    def at_hand(self, user: str) -> bool:
        """Return whether an update of this user can be made without waiting."""
        return not self._tracker.waits and self._grants.known(user) is not None

    def connect(self, user: str, device: str | None, connection: str, status: Status, family: str | None = None) -> Connected:
        """Let a connection speak for a device.

        :param family: the ticket family it signed in with.
        :raises TooMany: the user has too many connected.
        :raises SlowDown: it is taken over too often, as by two clients of one name that do it for ever.
        """
        if device and any(other.connected for other in self._tracker.devices(user) if other.name == device):
            wait = self._replacements.take(f"{user} {device}", now=self._clock.monotonic())
            if wait:
                raise SlowDown("device: its connection is replaced too often", retry_after=ceil(wait))
        grants = self._grants.of(user)
        try:
            connected = self._tracker.connect(user, device, connection, status, grants, self._limit)
        except BackendUnavailable:
            if device:  # it may have happened all the same
                self._left.add((user, device, connection))
            raise
        self._left.discard((user, connected.device, connection))
        if family is not None and device is None:
            self._note_device(user, connected.device, connection, family)
        return connected

    def _note_device(self, user: str, device: str, connection: str, family: str) -> None:
        """Note whose ticket family it is, or signing the device out would leave it a ticket."""
        try:
            self._directory.note_device(family, device)
        except BackendUnavailable:
            self.leave(user, device, connection)  # refused: nobody else would
            raise

    def update_status(self, user: str, device: str, connection: str, status: Status) -> bool:
        """Change a device's status; False, and nothing happens, when another connection speaks for it by now."""
        return self._tracker.update(user, device, connection, status, self._grants.of(user))

    def connect_again(self, user: str, device: str, connection: str, status: Status) -> None:
        """Let a connection speak for its device as before, which the tracker has forgotten.

        :raises TooMany: see ``connect``.
        """
        self._tracker.connect(user, device, connection, status, self._grants.of(user), self._limit)

    def tell_replaced(self, user: str, device: str, connection: str) -> None:
        """Have the process of a connection that was replaced close it. It changes nothing any more, whether or not this succeeds."""
        with suppress(BackendUnavailable):
            self._tracker.wake("replaced", f"{user} {device} {connection}")

    def leave(self, user: str, device: str, connection: str) -> None:
        """End a connection; the device is in grace. While the tracker is away that is owed to it, until a ``sweep``."""
        try:
            self._tracker.leave(user, device, connection)
        except BackendUnavailable:
            self._left.add((user, device, connection))

    def list(self, user: str) -> Sequence[Device]:
        """Return a user's live devices."""
        return self._tracker.devices(user)

    def sign_out(self, user: str, device: str) -> None:
        """Make a device disappear at once: its channel closes and its tickets are dead.

        :raises NotFound: no live device of that name.
        """
        self._directory.end_tickets(user, device)
        if not self._tracker.remove(user, device, self._grants.of(user)):
            raise NotFound()
        self._tracker.wake("device", f"{user} {device}")

    def end_grace(self, user: str, device: str) -> None:
        """Make a device disappear that is lost already and only kept for its return."""
        if any(item.name == device and not item.connected for item in self._tracker.devices(user)):
            self._tracker.remove(user, device, self._grants.of(user))

    def sign_out_all(self, user: str) -> None:
        """Make every device of a user disappear at once."""
        self._tracker.wake("account", user)  # first: nothing may keep the channels open
        self._tracker.remove_all(user, self._grants.of(user))

    def sweep(self) -> int:
        """Drop devices whose grace is over; return how many users had one."""
        for left in list(self._left):
            self._tracker.leave(*left)
            self._left.discard(left)
        users = self._tracker.due()
        for user in users:
            self._tracker.expire(user, self._grants.of(user))
        return len(users)
