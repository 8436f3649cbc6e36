"""Property: after any sequence of events, the tracker on Redis agrees with the model; see ``unit/test_tracker_properties.py``."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from dpresence.backends.tracker.redis import RedisTracker
from dpresence.tests.unit.test_tracker_properties import SETTINGS, TrackerMachine

from .partitioned import make_tracker


def one_tracker(server, clock):
    return RedisTracker(server.server(), SETTINGS, clock)


def partitions(server, clock):
    """The users of the events are in two of them."""
    return make_tracker([server], 5, SETTINGS, clock)


@pytest.mark.parametrize("examples", [8, pytest.param(50, marks=pytest.mark.faults)])
@pytest.mark.parametrize("make", [one_tracker, partitions])
def test_any_order_of_events_is_seen_as_the_merge_rule_says(redis_server, make, examples):
    class OnRedis(TrackerMachine):
        def make_tracker(self):
            redis_server.client.flushall()
            return make(redis_server, self.clock)

        def teardown(self):
            self.tracker.close()

    bounded = settings(
        max_examples=examples,
        stateful_step_count=40,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(OnRedis, settings=bounded)
