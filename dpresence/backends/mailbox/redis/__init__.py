"""The mailbox in a Redis server with an append-only file. ``lua/batch.lua`` executes its operations.

The server's configuration determines whether an acknowledged write is on disk: with ``appendfsync always`` it is; with ``everysec``, the
default of Redis, a crash may lose the last one or two seconds; the log contains a warning at startup.

The work of one script is bounded over all its queues, and so is the total weight of one batch (``_weight``). A larger call runs several
scripts: first those that discard entries that are due, in ``enqueue``, and then one for each ``_ENQUEUED`` notifications.

``inbox`` has the inboxes. Data of an earlier version is migrated when it is needed, and the rest by sweeps. Processes of that
version may run beside processes of this version: the data that they store is migrated in the same way, but they do not see the data of
this version.
"""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import msgspec
from redis.exceptions import ReadOnlyError, ResponseError

from ....errors import Conflict, SettingError
from ...redis.checks import check_server
from ...redis.client import BatchingClient, ExecuteBatch, Operation
from ...redis.connection import RedisConnection
from ...redis.connections import ConnectionFactory
from ...redis.scripts import Script, script
from ...redis.state import REPLICA, state_of
from .. import InboxLimits, Mailbox, Queue, QueuedNotification, QueueKey, Record, Stored, Waiting
from ..control import REUSED
from .inbox import MAX_PER_OPERATION, RedisInbox, notification_of, slices

log = logging.getLogger(__name__)

_SCRIPT = script(__package__.rpartition(".")[0], "batch")
_encode_json = msgspec.json.Encoder().encode
_ENQUEUED = 25
"""Maximum number of notifications that one script stores: with topic and key, in as many queues, a thousand commands."""
_ENQUEUE_WEIGHT = 12
_TIDY_WEIGHT = 5
"""Weight of the entries that storing or counting discards itself."""
_TIDY_FIRST = "untidy"
"""Result of an operation whose queues hold more discardable entries than it discards itself; see ``lua/delivery.lua``."""
_NO_LIMIT = 2**52
_MAY_LOSE = "acknowledged notifications may be lost at a crash: %s"
_DEFAULT_LIMITS = InboxLimits()


class RedisMailbox(RedisInbox, Mailbox):
    """See ``Mailbox``.

    :param allow_volatile: accept a server that may lose acknowledged writes.
    :raises SettingError: the server is not supported, or may lose acknowledged writes; names ``mailbox.redis.allow_volatile``.
    :raises BackendUnavailable: the server does not answer.
    """

    def __init__(self, server: ConnectionFactory, allow_volatile: bool, limits: InboxLimits = _DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        check_server(server)
        reason = _why_volatile(server.facts())
        if reason and not allow_volatile:
            choice = "or accept the loss with mailbox.redis.allow_volatile = true"
            raise SettingError(f"redis.url: this Redis loses acknowledged notifications: {reason}; {choice}")
        reason = reason or _why_not_durable(server)
        if reason:
            log.warning(_MAY_LOSE, reason)
        server.on_switch(_warn_of_volatile)
        self._server = server
        self._prefix = f"{server.prefix}m:"
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode
        self._client = BatchingClient(server, self._begin, "mailbox", weigh=_weight)
        self.measures = self._client.measures

    def _begin(self, connection: RedisConnection) -> ExecuteBatch:
        batch = Script(connection, _SCRIPT)

        def execute(operations: Sequence[Operation]) -> Sequence[Any]:
            results, discarded, failed = self._decode(batch.execute(self._encode((self._prefix, operations))))
            for reason, count in discarded.items():
                self.discarded[reason] += count
            for position, reason in failed:
                if state_of(ResponseError(reason)) == REPLICA:
                    raise ReadOnlyError(reason)
                results[position - 1] = self._server.refused(operations[position - 1][0], reason)
            return cast("Sequence[Any]", results)

        return execute

    def _call(self, name: str, users: Collection[str], *arguments: Any) -> Any:
        """Run an operation for some users, after data that an earlier version stored for them has been migrated."""
        while (result := self._client.call(name, list(users), *arguments)) is False:
            for user in users:
                while self._client.call("migrate", (), user):
                    pass
        return result

    def _repeat(self, name: str, users: Collection[str], *arguments: Any) -> int:
        """Run an operation until it has nothing left to do; return the sum of its counts."""
        total, more = 0, True
        while more:
            count, more = self._call(name, users, *arguments)
            total += count
        return total

    def enqueue(self, items: Sequence[QueuedNotification], limit: int) -> Sequence[Stored]:
        if len(items) > _ENQUEUED:
            self._claim_keys(items)
        return [stored for some in slices(items, _ENQUEUED) for stored in self._enqueue(some, limit)]

    def _claim_keys(self, items: Sequence[QueuedNotification]) -> None:
        """Refuse what takes several steps before its first one, or keep other contents from being stored with its keys meanwhile."""
        grants: dict[str, tuple[list[str], list[str]]] = {}
        for one in items:
            if one.control and one.control.key:
                keys, digests = grants.setdefault(one.notification.puid, ([], []))
                keys.append(one.control.key)
                digests.append(one.control.digest)
        reused = self._call("claim", (), [(puid, *lists) for puid, lists in grants.items()]) if grants else ""
        if reused:
            raise Conflict(REUSED.format(reused))

    def _enqueue(self, items: Sequence[QueuedNotification], limit: int) -> Sequence[Stored]:
        brief = [_brief(one) for one in items]
        queues = {(one.user, one.notification.puid): one.shown_until for one in items}
        controlled = any(one.control for one in items)
        stored = self._tidied("enqueue", queues, limit, brief, limit, bool(self.limits.days), *[True] * controlled)
        if len(stored) == 1 and isinstance(stored[0], str):
            raise Conflict(REUSED.format(stored[0]))
        return [Stored(*each) for each in stored]

    def _tidied(self, name: str, queues: Mapping[tuple[str, str], int], limit: int, *arguments: Any) -> Any:
        """Run an operation on some queues, after entries that have expired, are no longer counted or exceed the limit are discarded.

        :param queues: user and PUID of each queue, with ``shown_until`` as in ``QueuedNotification``.
        """
        while (result := self._call(name, {user for user, _ in queues}, *arguments)) == _TIDY_FIRST:
            left = [(*queue, shown_until) for queue, shown_until in queues.items()]
            while left:
                left = left[self._call("tidy", {user for user, _, _ in left}, left, limit) :]
        return result

    def pending(self, user: str, after: int, limit: int) -> Sequence[Waiting]:
        found: list[Waiting] = []
        while len(found) < limit:
            after, page = self._call("pending", (user,), user, after, min(limit - len(found), MAX_PER_OPERATION))
            found += [Waiting(position, notification_of(text)) for position, text in page]
            if not after:
                break
        return found

    def undelivered_ids(self, user: str, ids: Collection[str]) -> set[str]:
        return {name for some in slices(list(ids)) for name in self._call("undelivered_ids", (user,), user, some)}

    def queue_size(self, user: str, puid: str, shown_until: int) -> int:
        return cast("int", self._tidied("queue_size", {(user, puid): 0}, _NO_LIMIT, user, puid, shown_until))

    def count_undelivered(self, after: Queue, limit: int) -> tuple[int, Queue | None]:
        count, last = self._call("count_undelivered", (), f"{after.user} {after.puid}", min(limit, MAX_PER_OPERATION))
        return count, Queue(*last.split(" ")) if last else None

    def first_position(self, user: str, puid: str) -> int | None:
        return self._call("first_position", (user,), puid) or None

    def discard_received(self, user: str, ids: Sequence[str], offline_to: Collection[str] | None, at: int) -> int:
        hidden = None if offline_to is None else set(offline_to)
        return sum(self._call("discard_received", (user,), user, some, self._hidden(user, some, hidden), at) for some in slices(ids))

    def _hidden(self, user: str, ids: Sequence[str], offline_to: set[str] | None) -> Any:
        """Return the PUIDs whose notifications remain counted, in the form the script takes; a large set is reduced to those of ``ids``."""
        if offline_to is None:
            return "all"
        return list(
            offline_to if len(offline_to) <= MAX_PER_OPERATION else offline_to.intersection(self._call("puids", (user,), user, ids))
        )

    def cancel(self, user: str, puid: str, id_: str) -> bool:
        return bool(self._call("cancel", (user,), user, puid, id_))

    def purge(self, user: str) -> int:
        self._repeat("purge_inbox", (), user)
        return self._repeat("purge", (user,), user)

    def purge_grants(self, grants: Sequence[QueueKey]) -> int:
        queues, total = [(grant.user, grant.puid) for grant in grants], 0
        while queues:
            some = queues[:MAX_PER_OPERATION]
            count, done = self._call("purge_queues", {user for user, _ in some}, some)
            total, queues = total + count, queues[done:]
        return total

    def queues(self, after: Queue, limit: int) -> Sequence[Queue]:
        found = self._call("queues", (), f"{after.user} {after.puid}", limit)
        return [Queue(*name.split(" ")) for name in found]

    def records(self) -> Iterator[Record]:
        while self._client.call("migrate_some", ()):
            pass
        after = Queue("", "")
        while page := self.queues(after, MAX_PER_OPERATION):
            for user, puid in page:
                for name, position, ends, text, taken_at in self._call("records", (user,), user, puid):
                    content = asdict(notification_of(text)) if text else None
                    yield Record(
                        user=user, puid=puid, id=name, position=position, expires_at=ends, notification=content, taken_at=taken_at or None
                    )
            after = page[-1]

    def restore(self, records: Sequence[Record]) -> None:
        for some in slices(records):
            items = [
                (one["user"], one["puid"], one["id"], one["position"], one["expires_at"], _text(one), one["taken_at"] or False)
                for one in some
            ]
            self._call("restore", {one["user"] for one in some}, items)

    def sweep(self) -> int:
        while self._client.call("migrate_some", ()):
            pass
        self._repeat("sweep_inboxes", (), self.limits.age_ms)
        return self._repeat("sweep", ())

    def ping(self) -> None:
        self._call("ping", ())

    def close(self) -> None:
        self._client.close()


def _brief(one: QueuedNotification) -> tuple[Any, ...]:
    item, text = one.notification, _encode_json(one.notification).decode()
    brief = (one.user, item.puid, item.id, one.ttl_ms, one.shown_until, text, one.domain, one.held)
    return (*brief, one.control.topic, one.control.key, one.control.digest) if one.control else brief


def _weight(operation: Operation) -> int:
    """Return the approximate weight of an operation in a batch: the notifications it reads or discards; adding one weighs more."""
    name, _, *arguments = operation
    if name == "enqueue":
        return _TIDY_WEIGHT + _ENQUEUE_WEIGHT * len(arguments[0]) * (2 if len(arguments) > 3 else 1)
    if name == "pending":
        return 2 * cast("int", arguments[2])
    if name in ("tidy", "purge_queues"):
        return MAX_PER_OPERATION + len(arguments[0])
    light = {"ping": 1, "first_position": 1, "queue_size": _TIDY_WEIGHT, "unread": _TIDY_WEIGHT, "cancel": _ENQUEUE_WEIGHT}
    return light.get(name, MAX_PER_OPERATION)


def _text(record: Record) -> str:
    return _encode_json(record["notification"]).decode() if record["notification"] else ""


def _why_volatile(facts: Mapping[str, str]) -> str | None:
    """Return why a server may lose acknowledged writes, None if it does not.

    :param facts: its INFO.
    """
    if facts.get("aof_enabled") != "1":
        return "it has no append-only file; set appendonly yes"
    if facts.get("maxmemory", "0") != "0" and facts.get("maxmemory_policy", "").startswith("allkeys"):
        return f"it drops keys when its memory is full; set maxmemory-policy noeviction, not {facts['maxmemory_policy']}"
    return None


def _warn_of_volatile(facts: Mapping[str, str]) -> None:
    """Log a warning about another server that may lose acknowledged writes: a replica may have other settings than its primary."""
    reason = _why_volatile(facts)
    if reason:
        log.warning(_MAY_LOSE, reason)


def _why_not_durable(server: ConnectionFactory) -> str | None:
    """Return why a server may lose the latest acknowledged writes; None if it does not, or if its configuration is not readable."""
    fsync = server.option("appendfsync")
    return None if fsync in (None, "always") else f"those of the last two seconds; set appendfsync always, not {fsync}"
