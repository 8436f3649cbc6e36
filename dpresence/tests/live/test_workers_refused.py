"""A service with several workers that does not start, and says why in one line."""

from __future__ import annotations

import socket

import pytest

from .cluster import Cluster, stores
from .service import free_port
from .test_start import ELSEWHERE, WarmShipped
from .warm import Warm, WarmService

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def urls():
    with stores() as urls:
        yield urls


class WarmCluster(Warm, Cluster):
    """The same in a fork: its workers are no forks."""


def fails(process):
    """Start, expect it to end by itself with an error status, and return the one line that says why."""
    process.launch()
    assert process.wait(60) == 1
    process.assert_clean()
    (line,) = [line for line in process.log().splitlines() if line.startswith("dpresence does not start")]
    return line


def refusal(what):
    return f"dpresence does not start: workers = 2: must be 1 while {what}"


def test_several_workers_are_refused_with_a_tracker_in_memory(tmp_path):
    shipped = WarmShipped(tmp_path, {"workers = 1": "workers = 2"} | ELSEWHERE)
    assert fails(shipped).startswith(refusal("tracker = memory"))


def test_several_workers_are_refused_with_the_development_issuer(urls, tmp_path):
    redis = next(line for line in urls.values() if line.startswith("redis.url"))
    service = WarmService(tmp_path, {"tracker": "redis", redis.partition(" = ")[0]: redis.partition(" = ")[2]})
    text = service.ini.read_text().replace("[server:main]", "[server:main]\nworkers = 2")
    service.ini.write_text(text)
    assert fails(service).startswith(refusal("identity.development is on"))


def test_a_backend_that_is_away_stops_the_start_with_one_line(urls, tmp_path):
    away = {line: changed for line, changed in urls.items() if line.startswith("directory")} | {
        "redis.url = redis://127.0.0.1:6379/0": f"redis.url = redis://127.0.0.1:{free_port()}/0",
    }
    assert fails(WarmCluster(tmp_path, away)).startswith("dpresence does not start: ")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken_is_said_once(urls, tmp_path, workers):
    cluster = WarmCluster(tmp_path, urls | {"workers = 2": f"workers = {workers}"})
    with socket.create_server(("127.0.0.1", cluster.port)):
        expected = f"dpresence does not start: port = {cluster.port}, host = 127.0.0.1: must be free to listen on (Address already in use)"
        assert fails(cluster) == expected
