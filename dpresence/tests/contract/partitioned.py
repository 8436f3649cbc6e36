"""Trackers in partitions, and a reader of their feeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import pytest

from dpresence.backends import load
from dpresence.backends.tracker.partitions import PartitionedTracker
from dpresence.backends.tracker.redis import RedisTracker
from dpresence.backends.tracker.redis_server import TrackerServer
from dpresence.backends.tracker.redis_values import Epochs
from dpresence.model import FeedEntry
from dpresence.settings import PresenceSettings
from dpresence.settings.allowed import redis_name
from dpresence.tests.support import FakeClock, view_and_head

from .tracker_values import SETTINGS

CLUSTER = "a cluster"
SHAPES = [
    (3, 1),
    *(pytest.param(shape, marks=pytest.mark.slow) for shape in ((1, 1), (8, 3), (8, CLUSTER))),
]
"""Numbers of partitions, and of their servers or ``CLUSTER``, for the suites; the first one is the shape in the ordinary tests."""


def make_tracker(
    servers: Sequence[Any],
    partitions: int,
    settings: PresenceSettings = SETTINGS,
    clock: FakeClock | None = None,
    kind: type[PartitionedTracker] = PartitionedTracker,
) -> PartitionedTracker:
    """Return a tracker of a process, whose partitions are at the servers in turn."""
    clock = clock or FakeClock()
    shared = {server: TrackerServer(server.server(name=redis_name(server.url)), settings, clock) for server in dict.fromkeys(servers)}
    parts = [RedisTracker(shared[servers[number % len(servers)]], settings, clock, number) for number in range(partitions)]
    return kind(parts, Epochs.partition_of_offset)


@pytest.fixture
def processes(settings):
    """The trackers of two processes."""
    clock = FakeClock()
    opened = [load(settings, clock) for _ in range(2)]
    yield [backends.tracker for backends in opened]
    for backends in opened:
        backends.close()


def users_of(count: int, partitions: int) -> list[list[str]]:
    """Return so many users of each partition."""
    found: list[list[str]] = [[] for _ in range(partitions)]
    number = 0
    while min(map(len, found)) < count:
        user = f"user-{number}"
        found[crc32(user.encode()) % partitions].append(user)
        number += 1
    return [users[:count] for users in found]


class Reader:
    """An app service that reads a feed page by page, and knows the last status of each user."""

    def __init__(self, tracker: PartitionedTracker, appid: str = "chess") -> None:
        self.tracker, self.appid = tracker, appid
        view, self.offset = view_and_head(tracker, appid)
        self.statuses = {puid: entry.status for puid, entry in view.items()}
        self.entries: list[FeedEntry] = []

    def read(self, limit: int = 500) -> int:
        """Read a page; return the number of its entries."""
        entries = self.tracker.read(self.appid, self.offset, limit)
        assert entries is not None
        if entries:
            self.offset = self.tracker.advance(self.offset, entries)
        self.entries += entries
        self.statuses |= {entry.puid: entry.status for entry in entries}
        return len(entries)
