"""Lets another server have all partitions of one that is gone, without copying (docs/decisions/0071-replaced-server.md)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BackendUnavailable
from .directory import Directory
from .partition_moves import MoveRefused, refuse_lost_lock, require_lock, unfinished
from .tracker.partition_keys import PartitionKeys
from .tracker.redis_server import signal_moved

if TYPE_CHECKING:
    from .redis.connections import ConnectionFactory


@dataclass(frozen=True)
class Replaced:
    """The result of a replacement.

    :ivar partitions: the partitions that are at the new server now.
    :ivar empty: those of them that have no data there, and start empty.
    """

    partitions: tuple[int, ...]
    empty: tuple[int, ...]


class Replacement:
    """Replaces one server.

    :param server_of: returns the connections to a server of this name.
    :param keys_of: see ``Mover``.
    """

    def __init__(
        self, directory: Directory, server_of: Callable[[str], ConnectionFactory], keys_of: Callable[[str, int, str], PartitionKeys]
    ) -> None:
        self._directory = directory
        self._server_of = server_of
        self._keys_of = keys_of
        self._id = secrets.token_hex(8)

    def replace(self, old: str, new: str, starts_empty: bool = False) -> Replaced:
        """Replace a server that does not answer any more, or is the new one under another name.

        :param starts_empty: partitions without data at the new server start empty.
        :raises MoveRefused: nothing was changed; the text says why.
        :raises SettingError: the new server is not supported.
        :raises BackendUnavailable: the new server or the database does not answer.
        """
        servers = self._directory.partitions()
        if len(servers) < 2:
            raise MoveRefused("the tracker has one partition: change redis.url instead")
        if move := self._directory.partition_move():
            raise unfinished(move, servers)
        there = tuple(number for number, server in enumerate(servers) if server == old)
        if not there:
            raise MoveRefused(f"{old}: no partition is there, see `dpresence partitions list`")
        with ExitStack() as opened, refuse_lost_lock():
            keys = {number: opened.enter_context(self._keys_of(new, number, self._id)) for number in there}
            for each in keys.values():
                require_lock(each, f"moves a partition to {new}")
            self._refuse_running(old, new)
            empty = tuple(number for number, each in keys.items() if not each.has_data())
            self._refuse_empty(new, () if starts_empty else empty)
            if not self._directory.replace_partition_server(old, new):
                raise MoveRefused("another call has moved a partition at the same time")
            for each in keys.values():
                each.step("open")
        self._signal()
        return Replaced(there, empty)

    def _refuse_running(self, old: str, new: str) -> None:
        """Refuse a server that is used and would be left with its changes; a replica refuses to be used."""
        with suppress(BackendUnavailable):
            run = self._server_of(old).facts()["run_id"]
            if run != self._server_of(new).facts()["run_id"]:
                raise MoveRefused(
                    f"{old} still runs: stop it first, or copy each partition with `dpresence partitions move P --to {new}`, "
                    "which loses nothing"
                )

    @staticmethod
    def _refuse_empty(new: str, empty: tuple[int, ...]) -> None:
        if empty:
            numbers = ", ".join(map(str, empty))
            raise MoveRefused(
                f"{new} has no data of partitions {numbers}: let it load the data first, or add --empty, which lets them start empty: "
                "devices are connected again, and app services get a snapshot"
            )

    def _signal(self) -> None:
        """Tell the processes at every server to read the directory."""
        for name, partition in {name: number for number, name in enumerate(self._directory.partitions())}.items():
            with suppress(BackendUnavailable):
                signal_moved(self._server_of(name), partition)
