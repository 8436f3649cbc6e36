"""The keys of a tracker of one partition, and those of the partitions it is split into, as the command sees them that splits it."""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..redis.connection import ask
from ..redis.connections import ConnectionFactory
from .partition_calls import partition_of
from .partition_keys import PartitionKeys, batches
from .redis_values import key_prefix
from .registered import live_processes

_IN_ALL = frozenset({"dead", "out", "dropped"})
"""Kinds of keys that every partition needs; see ``lua/batch.lua``."""
_IN_FIRST = frozenset({"figures", "counts", "settled", "ended"})
"""Kinds of keys that belong to no user."""
_ENTRIES = 500
"""Entries of a view that are read and copied at once."""

UsersOf = Callable[[str, Sequence[str]], Mapping[str, str]]
"""Returns the user of each PUID of an application that has a grant."""
_pack = msgspec.msgpack.encode


class SplitKeys(PartitionKeys):
    """The keys of a tracker of one partition at its server, and those that it is split into; a context as ``PartitionKeys``."""

    def __init__(self, server: ConnectionFactory, mover: str) -> None:
        super().__init__(server, None, mover)
        self._root = server.prefix  # of the keys of all partitions

    def live_processes(self) -> set[str]:
        """Return the processes that use the tracker, see ``registered.live_processes``."""
        return live_processes(self._server, None)

    def split(self, count: int, users_of: UsersOf) -> int:
        """Copy all data, which is stopped, to so many partitions, without what an interrupted call left there; return the number of keys.

        :raises LockLost: the lock or the fence is lost.
        :raises BackendUnavailable: the server, or what ``users_of`` asks, does not answer.
        """
        self.delete_partitions()
        targets = [key_prefix(self._server, number) for number in range(count)]
        copied = 0
        for keys in batches(self.names()):
            names = [key.decode().removeprefix(self.prefix) for key in keys]
            self._copy_users(names, targets)
            self._copy_others(names, targets)
            for name in names:
                if name.startswith("feed:"):
                    self._copy_feed(name.removeprefix("feed:"), targets, users_of)
            copied += len(keys)
        self.step("copy_meta", _pack([(target, secrets.token_hex(8)) for target in targets]))
        self.step("check")
        return copied

    def delete_partitions(self) -> None:
        """Delete the keys of all partitions at this server."""
        pattern = re.compile(re.escape(self._root.encode()) + rb"\{\d+\}(t|move):")
        self.delete(key for key in self.scan("SCAN", match=f"{self._root}{{*") if pattern.match(key))

    def _copy_users(self, names: Sequence[str], targets: Sequence[str]) -> None:
        users = [name.removeprefix("user:") for name in names if name.startswith("user:")]
        if users:
            self.step("copy_users", _pack([(user, targets[partition_of(user, len(targets))]) for user in users]))

    def _copy_others(self, names: Sequence[str], targets: Sequence[str]) -> None:
        items: list[tuple[str, str]] = []
        for name in names:
            kind = name.partition(":")[0]
            items += [(name, target) for target in (targets if kind in _IN_ALL else targets[:1] if kind in _IN_FIRST else ())]
        for first in range(0, len(items), _ENTRIES):
            self.step("copy", _pack(items[first : first + _ENTRIES]))

    def _copy_feed(self, appid: str, targets: Sequence[str], users_of: UsersOf) -> None:
        with self._server.errors():
            is_damaged = ask(self._connection, "HEXISTS", f"{self.prefix}feed:{appid}", "damaged")
        if is_damaged:
            self.step("copy_damaged", appid.encode(), *(target.encode() for target in targets))
            return
        flat = self.scan("HSCAN", f"{self.prefix}view:{appid}", count=_ENTRIES)
        for part in batches(flat, 2 * _ENTRIES):
            texts = [text.decode(errors="replace") for text in part]
            entries = dict(zip(texts[::2], texts[1::2], strict=True))
            found = defaultdict[int, list[Any]](list)
            for puid, user in users_of(appid, list(entries)).items():
                found[partition_of(user, len(targets))] += [puid, entries[puid]]
            items = [(targets[number], flattened) for number, flattened in found.items()]
            if items:
                self.step("copy_view", appid.encode(), _pack(items))
