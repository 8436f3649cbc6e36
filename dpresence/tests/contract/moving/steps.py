"""Changes while a partition moves, and movers that are killed."""

from __future__ import annotations

from dpresence.backends.tracker.partition_keys import PartitionKeys
from dpresence.model import GrantSet

from ..interrupted import Interrupted, interrupted
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


def move_until(mover_of, at, target):
    """Move until the mover is killed at a step; return whether it ended before."""
    try:
        mover_of(interrupted(PartitionKeys, at)).move(MOVED, target)
    except Interrupted:
        return False
    return True


def expire_locks(servers):
    """Let the locks of a dead mover expire."""
    for server in servers:
        server.client.delete(f"dpresence:{{{MOVED}}}move:lock")
