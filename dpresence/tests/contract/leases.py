"""Leases of trackers on Redis that end soon, and time by the lease clock, which stands still while the machine does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dpresence.backends.tracker.redis import RedisTracker
from dpresence.settings import PresenceSettings
from dpresence.tests.waiting import eventually

from .redis import RedisServer

QUICK = PresenceSettings(grace_seconds=15, lease_seconds=0.4, refresh_seconds=0, feed_seconds=60, feed_entries=100)
SLOW = replace(QUICK, lease_seconds=60)


def lose(tracker: RedisTracker) -> None:
    """Let a process die without a word."""
    tracker._client.close()
    tracker._pubsub.close()


def leased(server: RedisServer, check: Callable[[], object]) -> float:
    """Wait until a check holds; return how many seconds passed by the lease clock, which stands still while the machine does."""
    began = lease_clock(server)
    eventually(check)
    return lease_clock(server) - began


def lease_clock(server: RedisServer) -> float:
    """Return the lease clock in seconds."""
    return int(server.client.hget("dpresence:t:meta", "clock")) / 1000
