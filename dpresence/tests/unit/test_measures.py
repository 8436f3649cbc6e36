"""Histograms, the lag of the event loop, pauses of the garbage collector, and the metrics that show them."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import gevent
import pytest

from dpresence.clock import Clock
from dpresence.errors import BackendUnavailable, InvalidAssertion, SlowDown
from dpresence.exposition import expose, merge_gauges
from dpresence.measures import SECONDS, Histogram, StoreMeasures
from dpresence.metric_families import FAMILIES
from dpresence.metrics import Metrics
from dpresence.runtime import LAG_INTERVAL, RuntimeMeasures

ROOT = Path(__file__).resolve().parents[3]


def counted(histogram: Histogram) -> dict[str, float]:
    found: dict[str, float] = {}
    histogram.add_to(found, "wait")
    return found


def test_an_observation_counts_in_the_first_bucket_that_holds_it() -> None:
    histogram = Histogram()
    for seconds in (0.0, 0.001, 0.0011, 60.0):
        histogram.observe(seconds)
    assert counted(histogram) == {"wait 0.0005": 1, "wait 0.001": 1, "wait 0.0025": 1, "wait inf": 1, "wait sum": pytest.approx(60.0021)}


def test_a_histogram_is_shown_with_cumulative_buckets() -> None:
    counts = {"gc_pause 0.001": 2, "gc_pause inf": 1, "gc_pause sum": 11.5}
    shown = expose({}, counts, "1", "")[0].decode()
    assert 'dpresence_gc_pause_seconds_bucket{le="0.0005"} 0.0\n' in shown
    assert all(f'dpresence_gc_pause_seconds_bucket{{le="{bound}"}} 2.0\n' in shown for bound in SECONDS[1:])
    assert 'le="+Inf"} 3.0\ndpresence_gc_pause_seconds_count 3.0\ndpresence_gc_pause_seconds_sum 11.5\n' in shown


def test_counts_of_another_version_are_left_out() -> None:
    shown = expose({"no_such 1": 1}, {"no_such": 1, "refusals 34 extra": 1, "refusals 34": 2, "gc_pause 7.5": 1}, "1", "")[0].decode()
    assert "no_such" not in shown and 'dpresence_refusals_total{errno="34"} 2.0' in shown


def test_gauges_of_processes_are_added_but_the_worst_lag_and_health_count() -> None:
    one, two = Metrics(Clock()), Metrics(Clock())
    for metrics, healthy in ((one, True), (two, False)):
        metrics.record_health({"tracker": healthy})
        metrics.sample({"devices": 3, "feed_lag_seconds": 1.0 + healthy, "provider_up corp": float(healthy)})
    merged = merge_gauges([one.report(), two.report()])
    shown = {name: merged[name] for name in ("processes", "devices", "feed_lag_seconds", "backend_up tracker", "provider_up corp")}
    assert shown == {"processes": 2, "devices": 6, "feed_lag_seconds": 2.0, "backend_up tracker": 0, "provider_up corp": 0}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (InvalidAssertion("form"), "refused"),
        (SlowDown(retry_after=1), "slow_down"),
        (BackendUnavailable(), "unavailable"),
        (ZeroDivisionError(), "failed"),
    ],
)
def test_a_check_of_a_credential_counts_by_its_outcome(error: Exception | None, outcome: str) -> None:
    metrics = Metrics(Clock())
    try:
        with metrics.sign_in("ticket"):
            if error:
                raise error
    except Exception as raised:
        assert raised is error
    assert metrics.counts()[f"sign_ins ticket {outcome}"] == 1
    assert "verification ticket sum" in metrics.counts()


@pytest.mark.slow
def test_a_blocked_event_loop_is_a_lag() -> None:
    runtime = RuntimeMeasures()
    runtime.start()
    try:
        gevent.sleep(0)
        time.sleep(3 * LAG_INTERVAL)  # blocks the loop, as a bug would
        gevent.sleep(0.01)
        assert sum(runtime.lag.counts) == 1
        assert runtime.lag.total > 0.9 * LAG_INTERVAL
    finally:
        runtime.stop()


def test_pauses_of_the_older_generations_are_measured_and_of_the_youngest_are_not() -> None:
    runtime = RuntimeMeasures()
    gc.disable()
    try:
        runtime.start()
        gc.collect(0)
        assert sum(runtime.pauses.counts) == 0
        gc.collect(1)
        gc.collect()
        assert sum(runtime.pauses.counts) == 2 and 0 < runtime.pauses.total < 60
    finally:
        runtime.stop()
        gc.enable()
    assert runtime._on_collection not in gc.callbacks


def test_a_store_counts_its_calls_and_errors() -> None:
    measures = StoreMeasures("redis", ("tracker",), lambda: 7)
    measures.errors += 1
    measures.seconds["tracker"].observe(0.002)
    assert measures.counts() == {"backend_errors redis": 1, "backend redis tracker 0.0025": 1, "backend redis tracker sum": 0.002}
    assert measures.gauges() == {"backend_calls redis": 7}


def test_the_table_in_the_documentation_has_every_metric() -> None:
    shown = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = [
        f"| `{family.exposed}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels)} | {family.doc} |"
        for family in FAMILIES
    ]
    table = "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows])
    assert f"\n{table}\n\n" in shown
