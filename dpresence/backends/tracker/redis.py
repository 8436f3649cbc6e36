"""The tracker on a Redis, shared by any number of processes. What happens to devices and feeds happens in ``redis/*.lua``.

Every change, with the entries it adds to the feeds and the wake-ups they cause, is one step of one script. The operations
of a process travel in batches (``redis.line``), so that an update costs a round trip at most and less than one when busy.

No two clocks are ever compared to decide who is gone. The grace of a device runs by the monotonic clock of the process it
was connected to, and that process looks after it. Leases run by the server's own clock, without its jumps: a process whose
lease ran out is forgotten, and any other drops its devices. Only the times of entries are of the processes' time of day: their clocks
should agree to within a second, and where they do not, an entry is never dated before the last one of its PUID.

A process is unknown to the server when its lease ran out while it was stopped, or when the server lost its data. Then it
registers anew and its listeners are woken with ``("forgotten", "")``: its devices have to be connected again. A server that
came back without something it had acknowledged has all of it forgotten: the feeds get a new epoch, ``remembers_since`` is now.
"""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

import gevent
import msgspec

from ...clock import Clock
from ...errors import BackendUnavailable, TooMany
from ...model import ERASED, Device, DirectoryVersion, Grant, GrantSet, Status
from ...settings import PresenceSettings
from ..redis.line import Line, Operation, Run, Unanswered
from ..redis.server import Connection, Server, ask, info, load, script
from ..redis.wakes import Wakes
from . import Connected, Listener, StaleGrants, Topic
from .redis_feeds import RedisFeeds
from .redis_values import Known, brief, brief_set, weight

log = logging.getLogger(__name__)

_OPEN = script("clock", "open")
_BATCH = script("clock", "batch", "feed", "users", "rates", "devices", "leases", "end")
_STALE = "stale"
"""Result of an operation whose grants are older than what the server has seen; see ``users.lua``."""
_LOOKS = 4
"""Parts of the index of users that are looked at with each renewal of the lease, 50 users each."""


class _Unknown(Exception):
    """The server does not know this process any more."""


class RedisTracker(RedisFeeds):
    """See ``Tracker``; devices belong to the process whose tracker connected them.

    :raises SettingError: it is no Redis this works with.
    :raises BackendUnavailable: it does not answer.
    """

    waits = True

    def __init__(self, server: Server, settings: PresenceSettings, clock: Clock) -> None:
        server.check()
        server.refuse_eviction()
        self._server = server
        self._prefix = f"{server.prefix}t:"
        self._settings = settings
        self._clock = clock
        self._process = secrets.token_hex(8)
        self._generation = 0
        self._known = Known()
        self._listeners: list[Listener] = []
        self._looked = "0"  # where to go on looking for users whose record is lost
        self._owed: dict[tuple[str, str], object] = {}  # user, connection: it may speak for a device, and nobody was told
        self.remembers_since = clock.now()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode
        self._line = Line(server, self._begin, weigh=weight)
        self._wakes = Wakes(server, f"{self._prefix}wakes", self._heard, lambda: self._alarm("missed"))
        self.ping()

    # -- batches

    def _begin(self, connection: Connection) -> Run:
        """Register this process on a new connection; what it sent on an older one is not carried out any more."""
        run_id = info(connection, "server")["run_id"]
        registration, batch = load(connection, _OPEN), load(connection, _BATCH)
        self._register(connection, registration, run_id)

        def run(operations: Sequence[Operation]) -> Sequence[Any]:
            try:
                return self._carry(connection, batch, operations)
            except _Unknown:
                self._register(connection, registration, run_id)
                return self._carry(connection, batch, operations)

        return run

    def _register(self, connection: Connection, registration: bytes, run_id: str) -> None:
        self._generation += 1
        known, now, lease = self._known, self._clock.now(), self._settings.lease_seconds * 1000
        seen = (known.epoch, known.run, known.batches)
        request = (self._prefix, self._process, self._generation, lease, now, run_id, seen, secrets.token_hex(8))
        epoch, since, was_known = self._evaluate(connection, registration, request)
        self._known = Known(epoch, run_id, known.batches if epoch == known.epoch else 0)
        self.remembers_since = since
        if not known.epoch:
            return
        self._alarm("missed")  # an answer that did not arrive had wake-ups, too
        if epoch != known.epoch or not was_known:
            log.warning("redis: this process was forgotten; its devices connect again")
            self._alarm("forgotten")

    def _carry(self, connection: Connection, batch: bytes, operations: Sequence[Operation]) -> Sequence[Any]:
        settings, now, ticks = self._settings, self._clock.steady.now(), round(self._clock.monotonic() * 1000)
        interval = 1000 / settings.status_rate
        rate = (interval, interval * settings.status_burst)
        bounds = (settings.grace_seconds * 1000, settings.lease_seconds * 1000, settings.feed_seconds, settings.feed_entries, *rate)
        answer = self._evaluate(connection, batch, (self._prefix, self._process, self._generation, now, ticks, bounds, operations))
        if answer is None:
            raise _Unknown
        self._known.batches, wakes, results, alarms, failed = answer
        if wakes or alarms:
            gevent.spawn(self._tell_all, [wake for wake in (*wakes.split("\n"), *alarms.split("\n")) if wake], tuple(self._listeners))
        for position, reason in failed:
            log.warning("redis: %s failed: %s", operations[position - 1][0], reason)
            results[position - 1] = BackendUnavailable()
        return cast("Sequence[Any]", results)

    def _evaluate(self, connection: Connection, name: bytes, request: tuple[Any, ...]) -> Any:
        reply = ask(connection, "EVALSHA", name, 0, self._encode(request))
        return None if reply is None else self._decode(reply)

    # -- wake-ups

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def wake(self, topic: Topic, key: str) -> None:
        self._line.call("wake", f"{topic} {key}")

    def _heard(self, message: bytes) -> None:
        process, *wakes = message.decode().split("\n")
        if process != self._process:  # what this one did its listeners know from the answer
            self._tell_all(wakes, tuple(self._listeners))

    def _alarm(self, topic: Topic) -> None:
        gevent.spawn(self._tell_all, [f"{topic} "], tuple(self._listeners))

    def _tell_all(self, wakes: Sequence[str], listeners: Sequence[Listener]) -> None:
        for wake in wakes:
            topic, _, key = wake.partition(" ")
            for listener in listeners:
                try:
                    listener(cast("Topic", topic), key)
                except Exception:  # theirs: the next wake-up is heard all the same
                    log.exception("redis: a listener failed")

    # -- devices

    def connect(
        self, user: str, device: str | None, connection: str, status: Status, grants: GrantSet, limit: int, signed: int
    ) -> Connected:
        fresh = "~" + secrets.token_urlsafe(6)
        self._owed.pop((user, connection), None)  # before: what is abandoned after this would be the new one
        try:
            found = self._change("connect", user, device or "", connection, status, *brief_set(grants), limit, fresh, signed)
        except Unanswered:
            self._owed[user, connection] = object()
            raise
        if not found:
            raise TooMany(f"device: {limit} of this e-mail are connected already")
        return Connected(found[0], found[1] or None)

    def update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, signed: int = 0) -> bool:
        return bool(self._change("update", user, device, connection, status, *brief_set(grants), signed))

    def leave(self, user: str, device: str, connection: str) -> None:
        self._line.call("leave", user, device, connection)

    def remove(self, user: str, device: str, grants: GrantSet, before: int = ERASED) -> bool:
        return bool(self._change("remove", user, device, *brief_set(grants), before))

    def remove_all(self, user: str, grants: GrantSet, before: int = ERASED) -> None:
        self._change("remove_all", user, *brief_set(grants), before)

    def signed_out(self, connection: str) -> bool:
        return bool(self._line.call("signed_out", connection))

    def due(self) -> Sequence[str]:
        for who, debt in list(self._owed.items()):
            if self._owed.get(who) is debt:
                self._line.call("abandon", *who)
            if self._owed.get(who) is debt:
                del self._owed[who]
        dead = self._line.call("due")
        return list(dict.fromkeys(user for users in (self._in_grace(), *map(self._left_by, dead)) for user in users))

    def _in_grace(self) -> Iterator[str]:
        """Yield the users of this process with a device whose grace is over."""
        first, page = 0, [""]
        while page:
            page = self._line.call("over", first)
            first += len(page)
            yield from page

    def _left_by(self, process: str) -> Iterator[str]:
        """Yield the users with a device at a process that is dead."""
        cursor = ""
        while cursor != "0":
            cursor, users = self._line.call("users", process, cursor or "0")
            yield from users

    def expire(self, user: str, grants: GrantSet) -> None:
        self._change("expire", user, *brief_set(grants))

    def _change(self, *operation: Any) -> Any:
        """Carry out an operation that takes grants.

        :raises StaleGrants: they are older than what the server has seen.
        """
        answer = self._line.call(*operation)
        if answer == _STALE:
            raise StaleGrants
        return answer

    def renew(self) -> None:
        self._line.call("renew")
        for _ in range(_LOOKS):
            self._looked = self._line.call("look", self._looked)

    def devices(self, user: str) -> Sequence[Device]:
        return sorted((Device(*values) for values in self._line.call("devices", user)), key=lambda item: item.name)

    def status(self, user: str) -> Status:
        return cast("Status", self._line.call("status", user))

    def told_status(self, user: str) -> Status:
        return cast("Status", self._line.call("told_status", user))

    # -- the rate of a user's changes

    def charge(self, user: str) -> float:
        return cast("float", self._line.call("charge", user)) / 1000

    def postponed(self) -> Sequence[str]:
        return cast("list[str]", self._line.call("postponed"))

    def tell_postponed(self, user: str, grants: GrantSet) -> None:
        self._change("tell_postponed", user, *brief_set(grants))

    # -- feeds

    def granted(self, grant: Grant, revision: int) -> None:
        self._change("granted", grant.user, *brief((grant,)), revision)

    def revoked(self, grant: Grant, revision: int = 0) -> None:
        self._line.call("revoked", grant.user, *brief((grant,)), revision)

    def refresh(self, grant: Grant, revision: int) -> None:
        self._change("refresh", grant.user, *brief((grant,)), revision)

    def forget_revision(self, user: str) -> None:
        self._line.call("forget_revision", user)

    # -- between processes

    def publish(self, figures: str) -> None:
        self._line.call("publish", figures)

    def published(self) -> Sequence[str]:
        return cast("list[str]", self._line.call("published"))

    def claim(self, task: str, seconds: float) -> bool:
        return bool(self._line.call("claim", task, seconds * 1000))

    # -- the whole

    def follows(self, version: DirectoryVersion) -> bool:
        return bool(self._line.call("follows", *version))

    def begin_anew(self) -> None:
        self._line.call("begin_anew")

    def ping(self) -> None:
        self._line.call("ping")

    def close(self) -> None:
        """Say good-bye, so that a device that is still connected does not wait for the end of the lease."""
        with suppress(BackendUnavailable):
            self._line.call("retire")
        self._wakes.close()
        self._line.close()
        self._listeners.clear()
