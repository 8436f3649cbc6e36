"""A user's devices: what they say, when they are lost, and signing them out (docs/protocol.md, sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import ceil

from gevent.pool import Pool

from ..backends.directory import Directory, Proven
from ..backends.tracker import Connected, Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, NotFound, SlowDown
from ..limits import Buckets
from ..metrics import Metrics
from ..model import Account, Device, OutboxEntry, Status
from ..settings import PresenceSettings
from .grants import Grants
from .outbox import Outbox
from .retry import RetryQueue
from .turns import give_way

_GREENLETS = 20
_AT_ONCE = 100
"""Users swept in one go: a few milliseconds, then everybody else has a turn."""


class Devices:
    """The verbs of devices."""

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        grants: Grants,
        outbox: Outbox,
        retries: RetryQueue,
        metrics: Metrics,
        settings: PresenceSettings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._grants = grants
        self._outbox = outbox
        self._retries = retries
        self._metrics = metrics
        self._clock = clock
        self._limit = settings.devices_per_user
        self.on_connect: Callable[[], None] = lambda: None  # told of each device that connects
        self._replacements = Buckets(settings.replacements_per_minute / 60, settings.replacements_per_minute)
        outbox.handlers |= {"account": self._sign_out_all, "device": self._sign_out, "ticket": self._end_family}

    def at_hand(self, user: str) -> bool:
        """Return whether an update of this user can be made without waiting."""
        return not self._tracker.waits and self._grants.known(user) is not None

    def connect(self, account: Account, device: str | None, connection: str, status: Status, family: str | None = None) -> Connected:
        """Let a connection speak for a device.

        :param account: as it was read when the connection signed in.
        :param family: the ticket family it signed in with.
        :raises TooMany: the user has too many connected.
        :raises SlowDown: it is taken over too often, as by two clients of one name that do it for ever.
        """
        user = account.id
        if device and any(other.connected for other in self._tracker.devices(user) if other.name == device):
            wait = self._replacements.take(f"{user} {device}", now=self._clock.monotonic())
            if wait:
                raise SlowDown("device: its connection is replaced too often", retry_after=ceil(wait))
        connected = self._connect(user, device, connection, status, account.revision)
        self.on_connect()
        if family is not None and device is None:
            self._note_device(user, connected.device, connection, family)
        return connected

    def _connect(self, user: str, device: str | None, connection: str, status: Status, signed: int) -> Connected:
        return self._grants.apply(user, lambda grants: self._tracker.connect(user, device, connection, status, grants, self._limit, signed))

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
        return self._grants.apply(user, lambda grants: self._tracker.update(user, device, connection, status, grants))

    def renew(self, account: Account, device: str, connection: str, status: Status) -> None:
        """Note that a connection has signed in again, with the account as it is now: earlier sign-outs do not end it."""
        update = partial(self._tracker.update, account.id, device, connection, status, signed=account.revision)
        self._grants.apply(account.id, update)

    def connect_again(self, user: str, device: str, connection: str, signed: int, status: Status) -> None:
        """Let a connection speak for its device as before, which the tracker has forgotten.

        :param signed: revision of the account when it signed in.
        :raises TooMany: see ``connect``.
        """
        self._connect(user, device, connection, status, signed)

    def signed_out(self, connection: str) -> bool:
        """Return whether the device of a connection that speaks for none any more was signed out."""
        return self._tracker.signed_out(connection)

    def tell_replaced(self, user: str, device: str, connection: str) -> None:
        """Have the process of a connection that was replaced close it. It changes nothing any more, whether or not this succeeds."""
        with suppress(BackendUnavailable):
            self._tracker.wake("replaced", f"{user} {device} {connection}")

    def leave(self, user: str, device: str, connection: str) -> None:
        """End a connection; the device is in grace. While the tracker is away this is retried."""
        self._retries.run((user, device, connection), partial(self._tracker.leave, user, device, connection))

    def list(self, user: str) -> Sequence[Device]:
        """Return a user's live devices."""
        return self._tracker.devices(user)

    def sign_out(self, user: str, device: str, proven: Proven | None = None) -> None:
        """Make a device disappear at once: its channel closes and its tickets are dead.

        :raises NotFound: no live device of that name.
        """
        self._directory.end_tickets(user, device, proven)
        live = any(item.name == device for item in self._tracker.devices(user))
        self._outbox.work(user)
        if not live:
            raise NotFound()

    # -- what follows from a sign-out: handlers of the outbox. First the channels: nothing may keep them open

    def _sign_out_all(self, entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            user, before = entry.user, entry.revision
            self._tracker.wake("account", f"{user} {before}")
            self._grants.invalidate(user)
            self._grants.apply(user, partial(self._tracker.remove_all, user, before=before))

    def _sign_out(self, entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            self._tracker.wake("device", f"{entry.user} {entry.detail} {entry.revision}")
            self._remove(entry.user, entry.detail, entry.revision)

    def _end_family(self, entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            self._tracker.wake("ticket", f"{entry.user} {entry.detail.partition(' ')[0]}")
        for entry in entries:
            device = entry.detail.partition(" ")[2]
            if any(item.name == device and not item.connected for item in self._tracker.devices(entry.user)):
                self._remove(entry.user, device, entry.revision)

    def _remove(self, user: str, device: str, before: int) -> None:
        self._grants.invalidate(user)
        self._grants.apply(user, lambda grants: self._tracker.remove(user, device, grants, before))

    def sweep(self) -> int:
        """Drop devices whose grace is over; return how many users had one."""
        users = self._tracker.due()
        for count, user in enumerate(users, 1):
            self._grants.apply(user, partial(self._tracker.expire, user))
            if not count % _AT_ONCE:
                give_way()
        return len(users)

    def tell_postponed(self) -> None:
        """Tell applications the status of users whose changes came too quickly, as soon as their rate allows it.

        :raises BackendUnavailable: a backend is away; the next call goes on.
        """
        for _ in Pool(_GREENLETS).imap_unordered(self._tell_postponed, self._tracker.postponed()):
            pass

    def _tell_postponed(self, user: str) -> None:
        self._grants.apply(user, partial(self._tracker.tell_postponed, user))
