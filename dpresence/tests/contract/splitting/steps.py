"""Changes while a tracker is split, and calls that are killed."""

from __future__ import annotations

from dpresence.backends.tracker.split_keys import SplitKeys
from dpresence.model import GrantSet
from dpresence.tests.waiting import eventually

from ..interrupted import Interrupted, interrupted
from ..tracker_values import connect, grant

PARTITIONS = 4
APPLICATIONS = ("chess", "go")


def grants(user, appids=APPLICATIONS):
    return tuple(grant(user, appid) for appid in appids)


def set_status(tracker, user, status, connection="c1"):
    return tracker.update(user, "phone", connection, status, GrantSet(0, grants(user)))


def bring(tracker, users):
    for user in users:
        connect(tracker, user=user, grants=grants(user))


def keys(server):
    """Return the keys of a tracker of one partition, and those of each partition."""
    found = [key.decode() for key in server.client.keys("dpresence:*")]
    former = {key for key in found if key.startswith("dpresence:t:")}
    return former, [{key for key in found if key.startswith(f"dpresence:{{{number}}}t:")} for number in range(PARTITIONS)]


def followed(*processes):
    """Wait until the processes use the partitions."""
    for tracker in processes:
        eventually(lambda tracker=tracker: len(tracker._parts) == PARTITIONS)


def split_until(splitter_of, at):
    """Split until the command is killed at a step; return whether it ended before."""
    try:
        splitter_of(interrupted(SplitKeys, at)).split(PARTITIONS)
    except Interrupted:
        return False
    return True


def expire_lock(server):
    """Let the lock of a dead command expire."""
    server.client.delete("dpresence:move:lock")
