"""A worker that does nothing any more, real ones: stopped by a signal, or in an endless loop."""

from __future__ import annotations

import os
import signal
import time

import pytest

from dpresence.tests.waiting import eventually

from ..live.cluster import Cluster, answers, stores

pytestmark = pytest.mark.faults

LEASE = 20
REPLACED_SECONDS = LEASE + 10
"""The lease, a look every 5 s, a second for the stack trace, the start of another one."""
SHORT = {
    "presence.lease_seconds = 60": f"presence.lease_seconds = {LEASE}",
    "presence.refresh_seconds = 20": "presence.refresh_seconds = 5",
    "[app:main]\nuse = egg:dpresence": "[app:main]\npaste.app_factory = dpresence.tests.faults.looping_app:main",
}


@pytest.fixture
def cluster(tmp_path):
    with stores() as urls:
        cluster = Cluster(tmp_path, urls | SHORT)
        cluster.start()
        yield cluster
        assert cluster.stop() == 0
        cluster.kill()
    cluster.assert_clean()


def stop(cluster):
    """Stop one worker as a debugger would."""
    os.kill(cluster.workers()[0], signal.SIGSTOP)


def loop(cluster):
    """Have one worker loop for ever."""
    (cluster.ini.parent / "loop").touch()


@pytest.mark.parametrize(
    ("freeze", "state", "trace"),
    [(stop, "T (stopped)", "(most recent call first)"), (loop, "R (running)", "in loop_for_ever")],
    ids=["stopped", "looping"],
)
def test_a_frozen_worker_is_replaced_and_its_stack_trace_is_in_the_log(cluster, figures, freeze, state, trace):
    before = set(cluster.workers())
    freeze(cluster)
    start = time.monotonic()
    eventually(lambda: "sends no heartbeats" in cluster.log(), 5 * REPLACED_SECONDS)
    (frozen,) = [pid for pid in before if f"Worker {pid} sends no heartbeats, state {state}" in cluster.log()]
    eventually(lambda: len(cluster.ready() - {frozen}) == 2 and frozen not in cluster.workers(), 5 * REPLACED_SECONDS)
    figures.time("frozen worker", f"until one that is {state} is replaced, lease {LEASE} s", time.monotonic() - start, REPLACED_SECONDS)
    _, _, after = cluster.log().partition(f"Worker {frozen} sends no heartbeats")
    assert trace in after.partition(f"Worker {frozen} gets SIGKILL")[0]
    assert len(before & set(cluster.workers())) == 1
    assert all(answers(cluster.origin) for _ in range(10))
