"""Property: after any sequence of events, the tracker on Redis agrees with the model; see ``unit/test_tracker_properties.py``."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from dpresence.tests.hypothesis_settings import UNTIMED
from dpresence.tests.unit.test_tracker_properties import SETTINGS, TrackerMachine

from .partitioned import make_tracker
from .redis_fixtures import make_redis_tracker

pytestmark = pytest.mark.slow


def one_tracker(servers, clock):
    return make_redis_tracker(servers(1)[0].server(), SETTINGS, clock)


def in_partitions(partitions, count):
    """Return a function that makes a tracker in partitions on so many servers."""
    return lambda servers, clock: make_tracker(servers(count), partitions, SETTINGS, clock)


def in_cluster(partitions):
    """Return a function that makes a tracker whose partitions are in a Redis Cluster."""
    return lambda nodes, clock: make_tracker(nodes(partitions), partitions, SETTINGS, clock)


def of(name, make, examples, *marks):
    return pytest.param(make, examples, id=f"{name}-{examples}", marks=marks)


@pytest.mark.parametrize(
    ("make", "examples"),
    [
        of("one tracker", one_tracker, 8),
        of("one tracker", one_tracker, 50, pytest.mark.slow),
        of("5 on 1", in_partitions(5, 1), 8),
        *(
            of(f"{partitions} on {servers}", in_partitions(partitions, servers), 25, pytest.mark.slow)
            for partitions, servers in ((1, 1), (8, 1), (8, 3))  # the users of the events are in two partitions where there are several
        ),
        of("8 in a cluster", in_cluster(8), 10, pytest.mark.slow),
    ],
)
def test_any_order_of_events_is_seen_as_the_merge_rule_says(request, make, examples):
    started = request.getfixturevalue("redis_nodes" if "cluster" in request.node.name else "redis_servers")

    class OnRedis(TrackerMachine):
        def make_tracker(self):
            return make(started, self.clock)

        def teardown(self):
            self.tracker.close()

    bounded = settings(UNTIMED, max_examples=examples, stateful_step_count=40, derandomize=True)
    run_state_machine_as_test(OnRedis, settings=bounded)
