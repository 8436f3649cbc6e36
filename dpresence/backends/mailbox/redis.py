"""The mailbox on a Redis with an append-only file. What happens to notifications happens in ``redis/mailbox.lua``.

Whether an answer means that it is on the disk is up to the server: with ``appendfsync always`` it is; with ``everysec``, its
default, a crash may take back the last second or two, which the log says at the start.
"""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, cast

import msgspec

from ...errors import SettingError
from ...model import Grant, Notification
from ..redis.line import Line, Operation, Run
from ..redis.server import Connection, Server, ask, load, script
from . import Mailbox

log = logging.getLogger(__name__)

_SCRIPT = script("mailbox")
_keep, _kept = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
_SWEPT = 500
"""How many are discarded in one step."""


class RedisMailbox(Mailbox):
    """See ``Mailbox``.

    :param allow_volatile: take a server that may lose what it acknowledged.
    :raises SettingError: it is no Redis this works with, or one that may; names ``mailbox.redis.allow_volatile``.
    :raises BackendUnavailable: it does not answer.
    """

    def __init__(self, server: Server, allow_volatile: bool) -> None:
        server.check()
        reason = _volatile(server)
        if reason and not allow_volatile:
            allowed = f"true for {server.shown}, which loses acknowledged notifications: {reason}"
            raise SettingError(f"mailbox.redis.allow_volatile = false: must be {allowed}")
        reason = reason or _hasty(server)
        if reason:
            log.warning("acknowledged notifications may be lost at a crash: %s", reason)
        self._prefix = f"{server.prefix}m:"
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode
        self._line = Line(server, self._begin)

    def _begin(self, connection: Connection) -> Run:
        batch = load(connection, _SCRIPT)

        def run(operations: Sequence[Operation]) -> Sequence[Any]:
            reply = ask(connection, "EVALSHA", batch, 0, self._encode((self._prefix, operations)))
            return cast("Sequence[Any]", self._decode(reply))

        return run

    def push(self, items: Sequence[tuple[str, Notification]], limit: int) -> Sequence[int]:
        if not items:
            return []
        now = max(item.sent_at for _, item in items)  # it is as late as it can be now
        brief = [(user, item.id, item.appid, item.expires_at, _keep(astuple(item)).decode()) for user, item in items]
        return cast("list[int]", self._line.call("push", brief, now, limit))

    def pending(self, user: str, now: int) -> Sequence[Notification]:
        return [Notification(*_kept(kept)) for kept in self._line.call("pending", user, now)]

    def waiting(self, user: str, appid: str, now: int) -> int:
        return cast("int", self._line.call("waiting", user, appid, now))

    def settle(self, user: str, ids: Sequence[str]) -> int:
        return cast("int", self._line.call("settle", user, ids))

    def purge(self, user: str) -> int:
        return cast("int", self._line.call("purge", user))

    def purge_grants(self, grants: Sequence[Grant]) -> int:
        return cast("int", self._line.call("purge_grants", [(grant.user, grant.puid) for grant in grants]))

    def sweep(self, now: int) -> int:
        count = swept = self._line.call("sweep", now, _SWEPT)
        while swept == _SWEPT:
            swept = self._line.call("sweep", now, _SWEPT)
            count += swept
        return cast("int", count)

    def ping(self) -> None:
        self._line.call("ping")

    def close(self) -> None:
        self._line.close()


def _volatile(server: Server) -> str | None:
    """Return why a server may lose what it acknowledged, None if it does not."""
    if server.info("persistence").get("aof_enabled") != "1":
        return "it has no append-only file; set appendonly yes"
    memory = server.info("memory")
    if memory.get("maxmemory", "0") != "0" and memory.get("maxmemory_policy", "").startswith("allkeys"):
        return f"it drops keys when its memory is full; set maxmemory-policy noeviction, not {memory['maxmemory_policy']}"
    return None


def _hasty(server: Server) -> str | None:
    """Return why a server may lose what it acknowledged last; None if it does not, or does not tell."""
    fsync = server.option("appendfsync")
    return None if fsync in (None, "always") else f"those of the last two seconds; set appendfsync always, not {fsync}"
