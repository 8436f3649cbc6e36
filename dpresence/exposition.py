"""The answer to ``GET /__metrics__``: the metrics of all processes in OpenMetrics, or in the text format of older scrapers."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric

from .measures import SECONDS
from .metric_families import FAMILIES, PREFIX, Family
from .metrics import Report

Samples = Mapping[str, float]
_MERGE: dict[str, Callable[[float, float], float]] = {"sum": lambda one, two: one + two, "max": max, "min": min}


def expose(gauges: Samples, counts: Samples | None, version: str, accept: str) -> tuple[bytes, str]:
    """Return the body of the answer and its content type.

    :param gauges: see ``merge_gauges``.
    :param counts: see ``measures``. None if they are not known; no counter is then shown, so that none appears to fall.
    :param accept: the ``Accept`` header of the request.
    """
    encode, content_type = _encoder(accept)
    body: bytes = encode(_Metrics(gauges, counts, {"version": version, "python": platform.python_version()}))
    return body, content_type


def _encoder(accept: str) -> tuple[Callable[[Any], bytes], str]:
    """Return the encoder that a client prefers, and its content type; that of older scrapers for a version that is no number."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):
        return choose_encoder("")


def merge_gauges(reports: Sequence[Report]) -> dict[str, float]:
    """Return the gauges of all processes by key."""
    merge = {family.name: _MERGE[family.merge] for family in FAMILIES}
    found: dict[str, float] = {"processes": len(reports)}
    for report in reports:
        health = {f"backend_up {role}": float(healthy) for role, healthy in report.health.items()}
        for key, value in {**report.gauges, **health, "memory_bytes": report.memory_bytes}.items():
            name = key.partition(" ")[0]
            found[key] = merge[name](found[key], value) if key in found and name in merge else value
    return found


class _Metrics:
    """A collector of ``prometheus_client`` over samples by key."""

    def __init__(self, gauges: Samples, counts: Samples | None, build: dict[str, str]) -> None:
        self._samples = {"gauge": _by_family(gauges), "counter": _by_family(counts or {})}
        self._shows_counts = counts is not None
        self._build = build

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, in the order of ``FAMILIES``."""
        for family in FAMILIES:
            name, doc = PREFIX + family.name, family.doc
            if family.kind == "info":
                yield InfoMetricFamily(name, doc, self._build)
            elif family.kind == "gauge":
                yield _fill(GaugeMetricFamily(name, doc, labels=family.labels), family, self._samples["gauge"])
            elif self._shows_counts and family.kind == "counter":
                initial = dict.fromkeys(family.initial, 0.0)
                found = {**initial, **self._samples["counter"].get(family.name, {})}
                yield _fill(CounterMetricFamily(name, doc, labels=family.labels), family, {family.name: found})
            elif self._shows_counts:
                yield self._histogram(family)

    def _histogram(self, family: Family) -> Metric:
        metric = HistogramMetricFamily(f"{PREFIX}{family.name}_seconds", family.doc, labels=family.labels)
        found = self._samples["counter"].get(family.name, {})
        for labels in dict.fromkeys(values[:-1] for values in found):
            total, buckets = 0.0, []
            for bound in (*map(str, SECONDS), "inf"):
                total += found.get((*labels, bound), 0)
                buckets.append(("+Inf" if bound == "inf" else bound, total))
            metric.add_metric(labels, buckets, found.get((*labels, "sum"), 0.0))
        return metric


def _fill(
    metric: CounterMetricFamily | GaugeMetricFamily, family: Family, samples: Mapping[str, Mapping[tuple[str, ...], float]]
) -> Metric:
    for values, value in samples.get(family.name, {}).items():
        if len(values) == len(family.labels):
            metric.add_metric(values, value)
    return metric


def _by_family(samples: Samples) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples by the name of their metric, and then by the values of its labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for key, value in samples.items():
        name, *values = key.split(" ")
        found.setdefault(name, {})[tuple(values)] = value
    return found
