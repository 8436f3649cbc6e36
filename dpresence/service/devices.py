"""A user's devices: what they say, when they are lost, and signing them out (docs/protocol.md, sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from math import ceil

from ..backends.directory import Directory
from ..backends.tracker import Connected, Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, NotFound, SlowDown
from ..limits import Buckets
from ..metrics import Metrics
from ..model import Device, Status
from ..settings import PresenceSettings
from .grants import Grants
from .turns import give_way

_AT_ONCE = 100
"""Users swept in one go: a few milliseconds, then everybody else has a turn."""


class Devices:
    """The verbs of devices."""

    def __init__(
        self, directory: Directory, tracker: Tracker, grants: Grants, metrics: Metrics, settings: PresenceSettings, clock: Clock
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._grants = grants
        self._debts = grants.debts
        self._metrics = metrics
        self._clock = clock
        self._limit = settings.devices_per_user
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
        self._debts.settle(("signed out", user))  # before: it would end this connection, too
        if device and any(other.connected for other in self._tracker.devices(user) if other.name == device):
            wait = self._replacements.take(f"{user} {device}", now=self._clock.monotonic())
            if wait:
                raise SlowDown("device: its connection is replaced too often", retry_after=ceil(wait))
        connected = self._tracker.connect(user, device, connection, status, self._grants.of(user), self._limit)
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
        self._metrics.updates += 1
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
        """End a connection; the device is in grace. While the tracker is away that is owed."""
        self._debts.pay((user, device, connection), partial(self._tracker.leave, user, device, connection))

    def list(self, user: str) -> Sequence[Device]:
        """Return a user's live devices."""
        return self._tracker.devices(user)

    def sign_out(self, user: str, device: str) -> None:
        """Make a device disappear at once: its channel closes and its tickets are dead.

        :raises NotFound: no live device of that name.
        """
        self._directory.end_tickets(user, device)
        if not self._tracker.remove(user, device, self._grants.stored(user)):
            raise NotFound()
        self._debts.pay(("device", user, device), partial(self._tracker.wake, "device", f"{user} {device}"))

    def end_grace(self, user: str, device: str) -> None:
        """Make a device disappear that is lost already and only kept for its return; while a backend is away its grace goes on."""
        with suppress(BackendUnavailable):
            if any(item.name == device and not item.connected for item in self._tracker.devices(user)):
                self._tracker.remove(user, device, self._grants.of(user))

    def sign_out_all(self, user: str) -> None:
        """Make every device of a user disappear at once; while a backend is away that is owed."""
        self._debts.pay(("signed out", user), partial(self._sign_out_all, user))

    def _sign_out_all(self, user: str) -> None:
        self._tracker.wake("account", user)  # first: nothing may keep the channels open
        self._tracker.remove_all(user, self._grants.stored(user))

    def sweep(self) -> int:
        """Drop devices whose grace is over; return how many users had one."""
        users = self._tracker.due()
        for count, user in enumerate(users, 1):
            self._tracker.expire(user, self._grants.of(user))
            if not count % _AT_ONCE:
                give_way()
        return len(users)
