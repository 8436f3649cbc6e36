"""The processes that are registered with a tracker in Redis."""

from __future__ import annotations

import secrets
from typing import cast

from ..redis.connections import ConnectionFactory
from .redis_values import key_prefix

_FOLLOWS = "+"
"""End of the id of a process that can follow a split. Processes of all versions take the ids of others as they are."""


def make_process_id() -> str:
    """Return the id of a process at the servers of its tracker."""
    return f"{secrets.token_hex(8)}{_FOLLOWS}"


def can_follow(process: str) -> bool:
    """Return whether a process can follow a split, by its id."""
    return process.endswith(_FOLLOWS)


def live_processes(server: ConnectionFactory, partition: int | None) -> set[str]:
    """Return the ids of the processes that use a partition at a server. One that has ended counts until its lease is over.

    No lease counts where no process has renewed one for as long: there the lease clock has stopped, see
    ``lua/clock.lua``.

    :param partition: None for a tracker of one partition.
    :raises BackendUnavailable: the server does not answer.
    """
    prefix = key_prefix(server, partition)
    found = cast("list[bytes]", server.command("HGETALL", f"{prefix}processes"))
    clock, time = server.command("HMGET", f"{prefix}meta", "clock", "time")
    seconds, microseconds = map(int, server.command("TIME"))
    now = 1000 * seconds + microseconds // 1000
    present = int(clock or 0) + (now - int(time) if time else 0)
    ends = {process.decode(): int(text.split()[-1]) for process, text in zip(found[::2], found[1::2], strict=True)}
    return {process for process, end in ends.items() if end > present}
