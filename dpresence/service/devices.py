"""Devices of users: their status, their loss and sign-out (docs/protocol.md, sections 3 and 4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import ceil
from sys import intern

from ..backends.directory import Directory, OutboxEntry, Requester
from ..backends.tracker import Connected, StaleGrants, Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, NotFound, SlowDown
from ..limits import Buckets
from ..metrics import Metrics
from ..model import Account, Device, Status
from ..settings import PresenceSettings
from ..tasks import on_behalf_of
from .feeds import Feeds
from .grants import Grants
from .outbox import Outbox
from .retry import RetryQueue
from .scheduling import map_concurrently, yield_to_loop
from .signals import Signal

log = logging.getLogger(__name__)

_PAGE = 100
"""Users that a sweep processes before it yields to the event loop. They take a few milliseconds."""
_FAILURES = 3
"""Number of users for whom a backend is unavailable after which a sweep ends early."""


class Devices:
    """Operations on devices.

    :ivar is_remote: the tracker may wait for a store: see ``begin_update``.
    """

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        grants: Grants,
        feeds: Feeds,
        outbox: Outbox,
        retries: RetryQueue,
        metrics: Metrics,
        settings: PresenceSettings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self.is_remote = tracker.is_remote
        self._grants = grants
        self._cached_grants = grants.cached
        self._feeds = feeds
        self._outbox = outbox
        self._retries = retries
        self._metrics = metrics
        self._changes = metrics.changes
        self._clock = clock
        self._limit = settings.devices_per_user
        self._failed: dict[str, int] = {}  # users for whom the last sweeps failed, and how often
        self._replacements = Buckets(settings.replacements_per_minute / 60, settings.replacements_per_minute)

    def can_update_now(self, user: str) -> bool:
        """Return whether ``update_status`` of this user can complete without blocking."""
        return not self.is_remote and self._cached_grants(user) is not None

    def connect(self, account: Account, device: str | None, connection: str, status: Status, family: str | None = None) -> Connected:
        """Connect a device: the connection becomes the only one that may update it.

        :param account: the account as read at the sign-in of the connection.
        :param device: name of the device, None for a generated one.
        :param connection: id of the connection.
        :param family: the ticket family with which the connection signed in.
        :raises TooMany: the user has too many connected devices.
        :raises SlowDown: the connection of the device is replaced too often, as by two clients with the same device name.
        """
        user = account.id
        device = device and intern(device)  # many users' devices have the same name, which is then stored once
        if device and any(other.connected for other in self._tracker.devices(user) if other.name == device):
            wait = self._replacements.take(f"{user} {device}", now=self._clock.monotonic())
            if wait:
                raise SlowDown("device: its connection is replaced too often", retry_after=ceil(wait))
        connected = self._connect(user, device, connection, status, account.revision)
        how = "resumed" if connected.resumed else "replaced" if connected.replaced else "new"
        self._metrics.counted[f"connects {how}"] += 1
        self._feeds.count_connect()
        if family is not None and device is None:
            self._store_device(user, connected.device, connection, family)
        return connected

    def _connect(self, user: str, device: str | None, connection: str, status: Status, sign_in_revision: int) -> Connected:
        return self._grants.apply(
            user, lambda grants: self._tracker.connect(user, device, connection, status, grants, self._limit, sign_in_revision)
        )

    def _store_device(self, user: str, device: str, connection: str, family: str) -> None:
        """Store the device of a ticket family, so that signing the device out revokes its tickets."""
        try:
            with on_behalf_of(user):
                self._directory.set_family_device(family, device)
        except BackendUnavailable:
            self.leave(user, device, connection)  # the caller gets an error and will not call ``leave``
            raise

    def update_status(self, user: str, device: str, connection: str, status: Status) -> bool:
        """Update a device's status; return False without a change if it has another connection or none; see ``Tracker.update``."""
        done = self._grants.apply(user, lambda grants: self._tracker.update(user, device, connection, status, grants))
        self._changes[status] += done
        return done

    def can_begin_update(self, user: str) -> bool:
        """Return whether ``begin_update`` can be called for this user: the tracker waits for a store, and no grants have to be loaded."""
        return self.is_remote and self._cached_grants(user) is not None

    def begin_update(
        self, user: str, device: str, connection: str, status: Status, done: Callable[[bool | BackendUnavailable | None], None]
    ) -> None:
        """Update a device's status without waiting.

        :param done: called once, later, in the event loop, with the result or the error of ``update_status``, or with None if nothing was
            changed and ``update_status`` must be called, because newer grants have to be loaded.
        :raises BackendUnavailable: the tracker is unavailable; ``done`` is not called.
        """
        grants = self._cached_grants(user)
        assert grants is not None
        self._tracker.begin_update(user, device, connection, status, grants, partial(self._end_update, user, status, done))

    def _end_update(
        self,
        user: str,
        status: Status,
        done: Callable[[bool | BackendUnavailable | None], None],
        result: bool | BackendUnavailable | StaleGrants,
    ) -> None:
        if isinstance(result, StaleGrants):
            self._grants.invalidate(user)
            done(None)
        else:
            if result is True:
                self._changes[status] += 1
            done(result)

    def try_update_status(self, user: str, device: str, connection: str, status: Status) -> bool:
        """Update a device's status; return False, without any effect, if ``update_status`` must do it. The tracker must not wait."""
        if (grants := self._cached_grants(user)) is None:
            return False
        try:
            done = self._tracker.update(user, device, connection, status, grants)
        except (StaleGrants, BackendUnavailable):
            return False
        self._changes[status] += done
        return done

    def renew(self, account: Account, device: str, connection: str, status: Status) -> bool:
        """Record a repeated sign-in of a connection, so that sign-outs before the revision of ``account`` do not end it; see ``update``."""
        update = partial(self._tracker.update, account.id, device, connection, status, sign_in_revision=account.revision)
        return self._grants.apply(account.id, update)

    def connect_again(self, user: str, device: str, connection: str, sign_in_revision: int, status: Status) -> None:
        """Connect a device again that the tracker has lost, for the same connection.

        :param sign_in_revision: revision of the account at the sign-in of the connection.
        :raises TooMany: see ``connect``.
        """
        self._connect(user, device, connection, status, sign_in_revision)

    def signed_out(self, user: str, device: str, connection: str, sign_in_revision: int) -> bool:
        """Return whether a connection lost its device because the device was signed out; see ``Tracker.signed_out``."""
        return self._tracker.signed_out(user, device, connection, sign_in_revision)

    def signal_replaced(self, user: str, device: str, connection: str) -> None:
        """Signal the process of a replaced connection to close it. If this fails, the connection still cannot update the device."""
        with suppress(BackendUnavailable):
            self._signal(Signal("replaced", user, device=device, connection=connection))

    def leave(self, user: str, device: str, connection: str) -> None:
        """Disconnect a device; its grace begins. While the tracker is unavailable, this is retried."""
        self._retries.run((user, device, connection), partial(self._tracker.leave, user, device, connection))

    def sign_out_connection(self, user: str, device: str, connection: str) -> None:
        """Remove a device without grace, unless another connection owns it."""
        self._grants.apply(user, partial(self._tracker.remove, user, device, connection=connection))

    def list(self, user: str) -> Sequence[Device]:
        """Return a user's live devices."""
        return self._tracker.devices(user)

    def sign_out(self, user: str, device: str, requester: Requester | None = None) -> None:
        """Sign a device out: close its channel, revoke its tickets and remove it without grace.

        :raises NotFound: the user has no live, paired or known device of that name.
        """
        paired = self._is_paired(user, device)
        known = any(item.device == device for item in self._directory.known_devices(user))
        if not paired and not known and not self._is_known(user, device):  # a name that nobody uses must cost no write
            raise NotFound()
        self._directory.sign_out_device(user, device, requester)
        found = paired or known or self._is_known(user, device)  # its tickets are revoked now
        self._outbox.apply_now(user)
        if not found:
            raise NotFound()

    def _is_paired(self, user: str, device: str) -> bool:
        """Return whether a device has a credential, or can get one by a pairing that the user has allowed."""
        now = self._clock.steady.now()
        paired = any(item.device == device for item in self._directory.credentials(user, now))
        return paired or self._directory.has_allowed_pairing(user, device, now)

    def _is_known(self, user: str, device: str) -> bool:
        """Return whether a device is live or has a ticket; True while the tracker is unavailable, so that its sign-out is stored."""
        try:
            return any(item.name == device for item in self._tracker.devices(user)) or self._has_ticket(user, device)
        except BackendUnavailable:
            return True

    def _has_ticket(self, user: str, device: str) -> bool:
        return any(ticket.device == device for ticket in self._directory.tickets(user, self._clock.steady.now()))

    # -- handlers of the outbox. They signal first, so that channels are closed even if a later step fails

    def sign_out_accounts(self, entries: Sequence[OutboxEntry]) -> None:
        """Sign out all devices of accounts that signed in before the change."""
        for entry in entries:
            user, revision = entry.user, entry.revision
            if entry.detail:
                log.info("the operator has %s account %s; its devices are signed out", entry.detail, user)
            self._grants.invalidate(user)  # before the channels close, which publishes the status to all grants that are cached
            self._signal(Signal("account", user, revision=revision))
            self._grants.apply(user, partial(self._tracker.remove_all, user, before_revision=revision))

    def sign_out_devices(self, entries: Sequence[OutboxEntry]) -> None:
        """Sign out single devices."""
        for entry in entries:
            self._signal(Signal("device", entry.user, device=entry.detail, revision=entry.revision))
            self._remove(entry.user, entry.detail, entry.revision)

    def sign_out_families(self, entries: Sequence[OutboxEntry]) -> None:
        """Sign out the devices of ticket families."""
        for entry in entries:
            self._signal(Signal("ticket", entry.user, family=entry.ended_family[0]))
        for entry in entries:
            _, device = entry.ended_family
            if any(item.name == device and not item.connected for item in self._tracker.devices(entry.user)):
                self._remove(entry.user, device, entry.revision)

    def sign_out_provider_sessions(self, entries: Sequence[OutboxEntry]) -> None:
        """Sign out the devices that signed in with an assertion of a session that an identity provider has ended."""
        for entry in entries:
            self._signal(Signal("logout", entry.detail, revision=entry.revision))

    def _signal(self, signal: Signal) -> None:
        self._tracker.signal(signal.topic, signal.key)

    def _remove(self, user: str, device: str, before_revision: int) -> None:
        self._grants.invalidate(user)
        self._grants.apply(user, lambda grants: self._tracker.remove(user, device, grants, before_revision))

    def sweep(self) -> int:
        """Remove devices whose grace has expired; return the number of users who had one.

        :raises BackendUnavailable: a backend was unavailable for some of the users. Those after them are tried first next time.
        """
        users, failures = self._tracker.due(), list[BackendUnavailable]()
        failed = self._failed = {user: self._failed.get(user, 0) for user in users}
        for count, user in enumerate(sorted(users, key=failed.__getitem__), 1):
            failed[user] += 1
            try:
                self._expire(user)
                del failed[user]
            except BackendUnavailable as error:
                failures.append(error)
            if len(failures) >= _FAILURES:
                break
            if not count % _PAGE:
                yield_to_loop()
        if failures:
            raise failures[0]
        return len(users)

    def _expire(self, user: str) -> None:
        lost = self._grants.apply(user, partial(self._tracker.expire, user))
        self._metrics.counted["devices_lost grace"] += lost.grace
        self._metrics.counted["devices_lost process"] += lost.process

    def publish_postponed(self) -> None:
        """Publish the status of users whose changes were rate limited, as soon as their rate allows it.

        :raises BackendUnavailable: a backend is unavailable; the next call continues.
        """
        if users := self._tracker.postponed():  # usually there are none, for which no pool of greenlets is made
            map_concurrently(self._publish_postponed, users)

    def _publish_postponed(self, user: str) -> None:
        self._grants.apply(user, partial(self._tracker.append_postponed, user))
