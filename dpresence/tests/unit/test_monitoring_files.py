"""The alerts and the dashboard: well-formed, about metrics that exist, and each alert with a paragraph that says what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dpresence.exposition import expose
from dpresence.measures import Histogram
from dpresence.metric_families import FAMILIES

ROOT = Path(__file__).resolve().parents[3]
ALERTS = ROOT / "contrib" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "contrib" / "grafana" / "dpresence.json"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
_METRIC = re.compile(r"\bdpresence_\w+")


def alerts() -> dict[str, str]:
    """Return the rule of each alert."""
    return dict(re.findall(r"- alert: (\w+)\n(.*?)(?=\n      - alert|\Z)", ALERTS.read_text(encoding="utf-8"), re.DOTALL))


def queries() -> Iterator[str]:
    """Yield the queries of all panels of the dashboard."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """Every metric of an answer that has a sample of each, with the names of its labels."""
    gauges, counts = dict[str, float](), dict[str, float]()
    for family in FAMILIES:
        key = " ".join((family.name, *("x" for _ in family.labels)))
        if family.kind == "histogram":
            Histogram().add_to(counts, key)
        else:
            (gauges if family.kind == "gauge" else counts)[key] = 1
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:{(.*)})? ", expose(gauges, counts, "1", "")[0].decode(), re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def test_every_metric_of_the_alerts_and_the_dashboard_exists(exposed: dict[str, set[str]]) -> None:
    used = {name for text in (*queries(), *alerts().values()) for name in _METRIC.findall(text)}
    assert used - exposed.keys() == set()
    assert len(used) > 20


def test_every_label_of_the_alerts_and_the_dashboard_exists(exposed: dict[str, set[str]]) -> None:
    known = set().union(*exposed.values()) | {"job", "instance"}
    for text in (*queries(), *alerts().values()):
        for name, selector in re.findall(r"(dpresence_\w+){(.*?)}", text):
            assert set(re.findall(r"(\w+)=", selector)) <= exposed[name], text
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= known
        assert {label.strip() for group in re.findall(r"(?:without|by) \((.*?)\)", text) for label in group.split(",")} <= known


def test_the_dashboard_shows_every_metric(exposed: dict[str, set[str]]) -> None:
    used = {name for text in queries() for name in _METRIC.findall(text)}
    missing = {family.exposed for family in FAMILIES if not any(name.startswith(family.exposed) for name in used)}
    assert missing == set()


def test_a_process_that_alone_does_not_reach_a_backend_is_shown_where_several_are_scraped() -> None:
    """It is not in the answers of the others, as the processes publish their metrics through the tracker."""
    for family in FAMILIES:
        for text in queries():
            if family.merge == "min" and family.exposed in text:
                assert f"min without (instance) ({family.exposed})" in text


def test_every_panel_of_the_dashboard_has_a_number_and_a_place_of_its_own() -> None:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [(x, y) for panel in panels for x in _span(panel, "x", "w") for y in _span(panel, "y", "h")]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def _span(panel: dict[str, Any], start: str, length: str) -> range:
    place = panel["gridPos"]
    return range(place[start], place[start] + place[length])


def test_every_alert_has_a_paragraph_that_says_what_to_do() -> None:
    section = OPERATIONS.partition("### Alerts\n")[2].partition("\n## ")[0]
    assert re.findall(r"^#### (\w+)$", section, re.MULTILINE) == list(alerts())
    for name, rule in alerts().items():
        assert f"runbook: docs/operations.md#{name.lower()}" in rule
        assert re.search(rf"^#### {name}\n\n\S.{{80}}", section, re.MULTILINE)


def test_prometheus_accepts_the_alerts_and_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None and os.environ.get("CI") != "true":
        pytest.skip("promtool is not installed: apt-get install prometheus")
    assert promtool is not None
    rules = [{"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "1m")} for number, query in enumerate(queries())]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")  # JSON is YAML
    done = subprocess.run([promtool, "check", "rules", ALERTS, file], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
