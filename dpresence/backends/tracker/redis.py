"""The tracker in Redis, shared by any number of processes. ``lua/batch.lua`` executes the operations on devices and feeds.

Every change, including its feed entries and signals, is one atomic step of one script. The operations of a process are sent in
batches (``redis.client``), so that an update costs at most one round trip, and less under load.

No decision about expiry compares two clocks. The grace period of a device is measured by the monotonic clock of the process it
was connected to, and that process expires it. Leases are measured by the server's clock, corrected for jumps: a process whose
lease has expired is forgotten, and any other process expires its devices. Only the times of feed entries come from the processes'
wall clocks, which should agree to within a second; if they do not, an entry is still never earlier than the previous one of its PUID.

The server does not know a process whose lease expired while it was stopped, or after the server lost its data. The process
then registers again and calls its listeners with ``("forgotten", "")``: its devices must be connected again. If a server has lost
acknowledged writes, all data is deleted: the feeds get a new epoch, and ``remembers_since`` is the current time.
"""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, cast

import msgspec

from ...clock import Clock
from ...errors import BackendUnavailable, TooMany
from ...model import ERASED, Device, DirectoryVersion, FeedEntry, Grant, GrantSet, Status
from ...settings import PresenceSettings
from ..redis.client import Unanswered
from . import Connected, Listener, Lost, PublishedCounts, StaleGrants, Topic, Updated
from .redis_batches import Registration
from .redis_feeds import RedisFeeds
from .redis_server import TrackerServer
from .redis_signals import Signals
from .redis_values import EncodedGrant, fence_key, key_prefix, read_published

log = logging.getLogger(__name__)

_STALE = "stale"
"""Result of an operation whose grants are older than those the server has seen; see ``lua/batch_context.lua``."""
_PAGES = 4
"""Parts of the index of users, 50 users each, that are checked with each renewal of the lease."""


class RedisTracker(RedisFeeds):
    """See ``Tracker``; a device belongs to the process whose tracker connected it.

    :param server: the connections to the server, which other partitions may use too.
    :param partition: number of the partition, None in a tracker of one partition.
    :raises BackendUnavailable: the server does not answer.
    """

    is_remote = True

    def __init__(self, server: TrackerServer, settings: PresenceSettings, clock: Clock, partition: int | None = None) -> None:
        self._signals = Signals()
        self._partition = partition or 0
        self._server = server
        prefix = key_prefix(server.connections, partition)
        fence = fence_key(server.connections, partition)
        self._registration = Registration(server.process, partition, prefix, fence, self._signals, settings, clock)
        self._epochs = self._registration.epochs
        self._lost_cursor = "0"  # cursor of the search for users whose record is lost
        self._unanswered: dict[tuple[str, str], object] = {}  # (user, connection) that may own a device after an unanswered call
        self._client, self._pubsub = server.client, server.pubsub
        self.measures = [server.client.measures]
        server.join(self._registration)
        with ExitStack() as joined:  # leaves when the server does not answer
            joined.callback(server.leave, self._registration)
            self.ping()
            joined.pop_all()

    def use_server(self, server: TrackerServer) -> None:
        """Continue at another server, to which the partition was moved."""
        self._server.leave(self._registration)
        self._server = server
        self._client, self._pubsub = server.client, server.pubsub
        self.measures = [server.client.measures]
        server.join(self._registration)
        self._signals.schedule(["missed "])  # those at this server until now

    def detach(self) -> Sequence[tuple[str, str]]:
        """Leave the server, whose partition was split; return the (user, connection) of calls to ``connect`` that had no answer."""
        self._server.leave(self._registration)
        self._signals.unsubscribe_all()
        return list(self._unanswered)

    def adopt(self, user: str, connection: str) -> None:
        """Have the next ``due`` end a connection whose ``connect`` had no answer before the split."""
        self._unanswered[user, connection] = object()

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._client.call(name, self._partition, *arguments)

    @property
    def remembers_since(self) -> int:  # type: ignore[override]
        return self._registration.remembers_since

    # -- signals

    def subscribe(self, listener: Listener, reads: Callable[[str], bool] = lambda appid: False) -> None:
        self._signals.subscribe(listener, reads)

    def signal(self, topic: Topic, key: str) -> None:
        self._call("signal", f"{topic} {key}")

    def read_now(self, appid: str, offset: int, limit: int) -> Sequence[FeedEntry] | None:
        return self._signals.entries.after(appid, offset, limit)

    def _encode_grants(self, grants: GrantSet) -> tuple[list[EncodedGrant], int, str]:
        """Return the parts of a user's grants that a script needs, their revision, and the override, "" without one."""
        return [self._encode_grant(grant) for grant in grants.grants], grants.revision, grants.override or ""

    def _encode_grant(self, grant: Grant) -> EncodedGrant:
        read = self._signals.read_by_listener(grant.appid)
        return grant.appid, grant.puid, grant.since, grant.paused, read, grant.shows == "reachable"

    # -- devices

    def connect(
        self, user: str, device: str | None, connection: str, status: Status, grants: GrantSet, limit: int, sign_in_revision: int
    ) -> Connected:
        generated = "~" + secrets.token_urlsafe(6)
        self._unanswered.pop((user, connection), None)  # before the call: abandoning it later would end the new connection
        try:
            found = self._change(
                "connect", user, device or "", connection, status, *self._encode_grants(grants), limit, generated, sign_in_revision
            )
        except Unanswered:
            self._unanswered[user, connection] = object()
            raise
        if not found:
            raise TooMany(f"device: {limit} of this e-mail are connected already")
        return Connected(found[0], found[1] or None, found[2])

    def update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, sign_in_revision: int = 0) -> bool:
        unanswered = self._unanswered.pop((user, connection), None)  # before the call, as in ``connect``: it shows who owns the device
        try:
            return bool(self._change("update", user, device, connection, status, *self._encode_grants(grants), sign_in_revision))
        except BaseException:
            if unanswered is not None:
                self._unanswered[user, connection] = unanswered
            raise

    def begin_update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, done: Updated) -> None:
        operation = ("update", self._partition, user, device, connection, status, *self._encode_grants(grants), 0)
        self._client.submit(operation, lambda answer: done(StaleGrants() if answer == _STALE else answer))

    def apply_override(self, user: str, grants: GrantSet) -> None:
        self._change("apply_override", user, *self._encode_grants(grants))

    def leave(self, user: str, device: str, connection: str) -> None:
        self._call("leave", user, device, connection)

    def remove(self, user: str, device: str, grants: GrantSet, before_revision: int = ERASED, connection: str = "") -> bool:
        return bool(self._change("remove", user, device, *self._encode_grants(grants), before_revision, connection))

    def remove_all(self, user: str, grants: GrantSet, before_revision: int = ERASED) -> None:
        self._change("remove_all", user, *self._encode_grants(grants), before_revision)

    def signed_out(self, user: str, device: str, connection: str, sign_in_revision: int) -> bool:
        return bool(self._call("signed_out", user, device, connection, sign_in_revision))

    def due(self) -> Sequence[str]:
        for call, marker in list(self._unanswered.items()):
            if self._unanswered.get(call) is marker:
                self._call("abandon", *call)
            if self._unanswered.get(call) is marker:
                del self._unanswered[call]
        dead = self._call("due")
        return list(dict.fromkeys(user for users in (self._in_grace(), *map(self._left_by, dead)) for user in users))

    def _in_grace(self) -> Iterator[str]:
        """Yield the users of this process who have a device whose grace period has ended."""
        first, page = 0, [""]
        while page:
            page = self._call("ended_grace", first)
            first += len(page)
            yield from page

    def _left_by(self, process: str) -> Iterator[str]:
        """Yield the users who have a device at a process whose lease has expired."""
        cursor = ""
        while cursor != "0":
            cursor, users = self._call("users", process, cursor or "0")
            yield from users

    def expire(self, user: str, grants: GrantSet) -> Lost:
        return Lost(*self._change("expire", user, *self._encode_grants(grants)))

    def _change(self, *operation: Any) -> Any:
        """Execute an operation that takes grants.

        :raises StaleGrants: the grants are older than those the server has seen.
        """
        answer = self._call(*operation)
        if answer == _STALE:
            raise StaleGrants
        return answer

    def renew(self) -> None:
        self._call("renew")
        for _ in range(_PAGES):
            self._lost_cursor = self._call("find_lost", self._lost_cursor)

    def devices(self, user: str) -> Sequence[Device]:
        return sorted((Device(*values) for values in self._call("devices", user)), key=lambda item: item.name)

    def status(self, user: str) -> Status:
        return cast("Status", self._call("status", user))

    def sent_status(self, user: str) -> Status:
        return cast("Status", self._call("sent_status", user))

    # -- the rate of a user's changes

    def charge(self, user: str) -> float:
        return cast("float", self._call("charge", user)) / 1000

    def postponed(self) -> Sequence[str]:
        return cast("list[str]", self._call("postponed"))

    def append_postponed(self, user: str, grants: GrantSet) -> None:
        self._change("append_postponed", user, *self._encode_grants(grants))

    # -- feeds

    def append_grant(self, grant: Grant, revision: int) -> None:
        self._change("append_grant", grant.user, self._encode_grant(grant), revision)

    def append_revocation(self, grant: Grant, revision: int = 0) -> None:
        self._call("append_revocation", grant.user, self._encode_grant(grant), revision)

    def append_current_status(self, grant: Grant, revision: int) -> None:
        self._change("append_current_status", grant.user, self._encode_grant(grant), revision)

    def forget_revision(self, user: str) -> None:
        self._call("forget_revision", user)

    # -- between processes

    def publish(self, report: str, counts: Mapping[str, float]) -> None:
        self._call("publish", report, msgspec.json.encode(counts).decode())

    def published(self) -> PublishedCounts:
        return read_published(self._call("published"))

    def claim(self, task: str, seconds: float) -> bool:
        return bool(self._call("claim", task, seconds * 1000))

    # -- the tracker as a whole

    def record_version(self, version: DirectoryVersion) -> bool:
        return bool(self._call("record_version", *version))

    def reset(self) -> None:
        self._call("reset")

    def ping(self) -> None:
        self._call("ping")

    def close(self) -> None:
        """Unregister this process, so that its remaining devices expire without waiting for the end of the lease."""
        with suppress(BackendUnavailable):
            self._call("retire")
        self._server.leave(self._registration)
        self._signals.unsubscribe_all()
