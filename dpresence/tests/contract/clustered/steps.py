"""Changes of users in the partitions of a Redis Cluster."""

from __future__ import annotations

from contextlib import suppress

from dpresence.errors import BackendUnavailable
from dpresence.model import GrantSet

from ..tracker_values import grant

PARTITIONS = 8


def set_status(tracker, user, status):
    return tracker.update(user, "phone", "c1", status, GrantSet(0, (grant(user),)))


def is_set(tracker, user, status):
    """Return whether a status was set; repeats as a device does."""
    with suppress(BackendUnavailable):
        return set_status(tracker, user, status)
    return False
