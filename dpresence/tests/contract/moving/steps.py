"""Changes while a partition moves, and movers that are killed."""

from __future__ import annotations

from dpresence.backends.tracker.partition_keys import PartitionKeys
from dpresence.model import GrantSet

from ..tracker_values import connect, grant

PARTITIONS = 4
MOVED = 1
"""The partition that moves; it is at the second server."""


def set_status(tracker, user, status):
    return tracker.update(user, "phone", "c1", status, GrantSet(0, (grant(user),)))


def keys(server, partition=MOVED):
    return {key.decode() for key in server.client.keys(f"dpresence:{{{partition}}}t:*")}


def bring(tracker, users):
    for user in users:
        connect(tracker, user=user, grants=(grant(user),))


class Interrupted(BaseException):
    """The mover is killed."""


def interrupted(at: int) -> type[PartitionKeys]:
    """Return places that execute so many steps and then no further one, as if their process was killed."""
    left = at

    class Killed(PartitionKeys):
        def step(self, name, *arguments):
            nonlocal left
            left -= 1
            if left < 0:
                raise Interrupted
            return super().step(name, *arguments)

        def signal(self):
            self.step("hold")
            super().signal()

    return Killed


def move_until(mover_of, at, target):
    """Move until the mover is killed at a step; return whether it ended before."""
    try:
        mover_of(interrupted(at)).move(MOVED, target)
    except Interrupted:
        return False
    return True


def expire_locks(servers):
    """Let the locks of a dead mover expire."""
    for server in servers:
        server.client.delete(f"dpresence:{{{MOVED}}}move:lock")
