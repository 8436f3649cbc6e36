"""A real Prometheus scrapes a service while its Redis dies and while it ends itself; it fires the alerts that it should, and no other."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from dpresence.demo import free_port

from ..contract import redis
from ..live.proxies import installed
from ..live.service import Service, kept_running
from ..waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.faults

ALERTS = Path(__file__).parents[3] / "contrib" / "prometheus" / "alerts.yml"
CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: dpresence
    metrics_path: /__metrics__
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """A Prometheus on loopback, with the alerts of this service, a second after their cause instead of minutes."""

    def __init__(self, folder: Path, target: int) -> None:
        self._folder, self._url = folder, f"http://127.0.0.1:{free_port()}"
        rules = re.sub(r"for: \d+m", "for: 1s", ALERTS.read_text(encoding="utf-8"))
        (folder / "alerts.yml").write_text(rules, encoding="utf-8")
        (folder / "prometheus.yml").write_text(CONFIGURATION.format(port=target), encoding="utf-8")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it while the block is executed."""
        executable = shutil.which("prometheus")
        assert executable is not None
        storage = [f"--storage.tsdb.path={self._folder / 'data'}", f"--config.file={self._folder / 'prometheus.yml'}"]
        command = [executable, *storage, f"--web.listen-address={self._url.removeprefix('http://')}", "--log.level=warn"]
        with (self._folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            eventually(lambda: self._is_ready(process))
            yield
        finally:
            process.kill()
            process.wait(PATIENCE_SECONDS)

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, (self._folder / "log").read_text()
        try:
            return requests.get(f"{self._url}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False

    def _ask(self, path: str, **query: str) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{path}", params=query, timeout=PATIENCE_SECONDS).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def value(self, query: str) -> float | None:
        """Return the present value of a query, None if it has none."""
        found = self._ask("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self._ask("alerts")["alerts"] if alert["state"] == "firing"}

    def broken_rules(self) -> list[str]:
        """Return the errors of rules that could not be evaluated."""
        return [rule["lastError"] for group in self._ask("rules")["groups"] for rule in group["rules"] if rule.get("lastError")]


@pytest.fixture
def store() -> Iterator[redis.RedisServer]:
    with redis.running() as server:
        yield server


def test_prometheus_fires_the_alert_of_each_fault_and_none_without_one(tmp_path: Path, store: redis.RedisServer) -> None:
    installed("prometheus")
    folders = [tmp_path / name for name in ("service", "prometheus")]
    for folder in folders:
        folder.mkdir()
    settings = {"tracker": "redis", "redis.url": store.url, "redis.timeout_seconds": 0.5, "presence.sweep_seconds": 1}
    service = Service(folders[0], settings)
    prometheus = Prometheus(folders[1], service.port)
    with kept_running(service), prometheus.running():
        eventually(lambda: prometheus.value('up{job="dpresence"}') == 1 and prometheus.value("dpresence_processes") == 1)
        eventually(lambda: prometheus.value("sum(dpresence_backend_up)") == 3)
        assert (prometheus.firing(), prometheus.broken_rules()) == (set(), [])
        scrape = prometheus.value("max_over_time(scrape_duration_seconds[1m])")
        assert scrape is not None and scrape < 1

        store.kill()
        eventually(lambda: {"DpresenceBackendUnavailable", "DpresenceRedisFails"} <= prometheus.firing())
        assert prometheus.value('dpresence_backend_up{backend="tracker"}') == 0
        store.start()
        eventually(lambda: not {"DpresenceBackendUnavailable", "DpresenceRedisFails"} & prometheus.firing())
        assert "DpresenceDown" not in prometheus.firing()
        eventually(lambda: (prometheus.value('dpresence_backend_errors_total{store="redis"}') or 0) > 0)

        service.stop()
        eventually(lambda: "DpresenceDown" in prometheus.firing())
        assert prometheus.broken_rules() == []
    assert prometheus_errors(folders[1]) == []


def prometheus_errors(folder: Path) -> list[str]:
    """Return what Prometheus logged as an error, such as a sample that it refused."""
    return [line for line in (folder / "log").read_text(encoding="utf-8").splitlines() if "level=error" in line]
