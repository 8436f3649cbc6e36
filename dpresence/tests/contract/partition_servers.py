"""Partitions at three servers, for tests that lose one of them."""

from __future__ import annotations

import pytest

from dpresence.model import GrantSet
from dpresence.tests.support import FakeClock

from .partitioned import make_tracker, users_of
from .redis import running
from .tracker_values import connect, grant

PARTITIONS = 6
AWAY = 1
"""The server that a test loses, with the partitions 1 and 4."""


@pytest.fixture(scope="module")
def three(cooperative_redis):
    with running(fsync="always") as one, running(fsync="always") as two, running(fsync="always") as last:
        yield [one, two, last]


@pytest.fixture
def servers(three):
    for server in three:
        if server.process is None:
            server.start()
        server.client.flushall()
    return three


@pytest.fixture
def processes(servers):
    """Two processes with the same partitions."""
    clock = FakeClock()
    made = [make_tracker(servers, PARTITIONS, clock=clock) for _ in range(2)]
    yield made
    for tracker in made:
        tracker.close()


@pytest.fixture
def users():
    """One user of each partition."""
    return [some[0] for some in users_of(1, PARTITIONS)]


@pytest.fixture
def here(users):
    """Users whose server stays."""
    return [user for number, user in enumerate(users) if number % 3 != AWAY]


def puid(user: str) -> str:
    return f"{user}-in-chess"


def set_status(tracker, user, status, connection="c1"):
    return tracker.update(user, "phone", connection, status, GrantSet(0, (grant(user),)))


def bring(tracker, users):
    for user in users:
        connect(tracker, user=user, grants=(grant(user),))
