"""``make bench``: one run on loopback, the load in processes of its own; prints figures, ratios and by how much each goal is met or missed.

Only ratios carry over to another day and machine. CPU is that of the service's processes, as the kernel counts it, user and
system; memory is the proportional set size. The exit status is 1 if a goal is missed by more than ``goals.TOLERANCE`` allows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from dpresence.tests.live.service import Process, cpu_seconds

from . import goals
from .contenders import Contender, mosquitto, on_redis, ours, stock
from .files import allow_open_files
from .growth import PROBES
from .load import Load
from .report import Busy, Idle, show_busy, show_idle
from .snapshots import snapshot_cost

KIB = 1024
WARM = 3000
"""Devices that connect before memory is measured, so that what is made once has been made. SQLite's caches of pages, 2 MB each, are full
only after thousands of sign-ins; with 100 devices before, they added 0.3 KiB to each of the next 5,000."""
ROUNDS = 3
"""Number of rounds in which the contenders take turns; the median counts."""
PACED = 1000
"""Updates per second of the paced measurement."""
SILENT_SECONDS = 26
"""``presence.ping_seconds``, rounded up to the next round of the ticker: in this time each device is pinged once."""
SCRAPES = 200
SCRAPE_SECONDS = 3.0
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"
MORE_APPLICATIONS = 5
"""Applications that see everybody beside the first one, in the column of that name."""
MANY = f"{MORE_APPLICATIONS} more apps"
Make = Callable[[Path, int], AbstractContextManager[Contender]]
IDLE: dict[str, Make] = {"stock": stock, "memory": ours}
BUSY: dict[str, Make] = {
    **IDLE,
    MANY: partial(ours, applications=1 + MORE_APPLICATIONS),
    "Redis": on_redis,
    "2 workers": partial(on_redis, workers=2),
}
PEERS: dict[str, Make] = {"Mosquitto": mosquitto}
"""Contenders by the head of their column."""


def measure_idle(contender: Contender) -> Idle:
    """Sign devices in, each with a ticket for the next time, then measure them while they are silent."""
    server = contender.server
    with Load() as load:
        alone = silent_share(server, load)
        sign_in(load, contender, contender.idle[:WARM])
        memory, cpu = settled_pss(server), server.cpu_seconds()
        sign_in(load, contender, contender.idle[WARM:])
        cost = (server.cpu_seconds() - cpu) * 1e6
        count = len(contender.idle) - WARM
        kib = (settled_pss(server) - memory) / count / KIB
        load.do("wait", seconds=SILENT_SECONDS)  # until each device had its first ping
        of_devices = (silent_share(server, load) - alone) / len(contender.idle)
        idle = Idle(kib, cost / count, alone + of_devices * 10_000)
        if contender.metrics:
            idle.scrape_ms, idle.held_ms = scrape_cost(contender)
        return idle


def silent_share(server: Process, load: Load) -> float:
    """Return the share of a core that the server uses while nothing happens but pings."""
    cpu = server.cpu_seconds()
    load.do("wait", seconds=SILENT_SECONDS)
    return (server.cpu_seconds() - cpu) / SILENT_SECONDS


def scrape_cost(contender: Contender) -> tuple[float, float]:
    """Return the CPU of a scrape, and the longest answer to a device while one scrape follows the other, both in ms."""
    server, scrapes = contender.server, partial(scrape, contender.server.origin)
    scrapes(SCRAPES)  # warms up
    cpu = server.cpu_seconds()
    scrapes(SCRAPES)
    cost = (server.cpu_seconds() - cpu) / SCRAPES * 1e3
    with Load() as probe:
        sign_in(probe, contender, contender.updating[:1])
        probe.start("rate", seconds=SCRAPE_SECONDS, per_second=PROBES)
        scrapes(seconds=SCRAPE_SECONDS)
        return cost, probe.result()["max_ms"]


def scrape(origin: str, count: int = 10**9, seconds: float = 60.0) -> None:
    """Read the metrics, as Prometheus does, so many times or for so long."""
    until = time.monotonic() + seconds
    with requests.Session() as session:
        for _ in range(count):
            answer = session.get(f"{origin}/__metrics__", headers={"Accept": OPEN_METRICS}, timeout=60)
            if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:  # more in a second than one connection may send
                time.sleep(float(answer.headers["Retry-After"]))
            else:
                answer.raise_for_status()
            if time.monotonic() > until:
                break


def sign_in(load: Load, contender: Contender, people: list[list[str]]) -> None:
    """Sign in a device of each person."""
    seen = load.do("devices", port=contender.server.port, people=people, tickets=True, mqtt=contender.mqtt)
    assert seen["signed_in"] == seen["devices"], seen


def settled_pss(server: Process) -> int:
    """Return the memory once it has stopped changing much."""
    last = 0
    for _ in range(20):
        time.sleep(0.5)
        now = server.pss_bytes()
        if abs(now - last) < 64 * KIB:
            break
        last = now
    return now


@contextmanager
def updating(contender: Contender) -> Iterator[Load]:
    """Connect the devices that update and the application that watches."""
    with Load() as load:
        sign_in(load, contender, contender.updating)
        load.do("watch", port=contender.server.port, appid=contender.appid, key=contender.key, mqtt=contender.mqtt)
        load.do("watch_too", port=contender.server.port, keys=list(contender.others))
        load.do("update", seconds=1)
        yield load


def measure_updates(contender: Contender, load: Load, command: str, **arguments: Any) -> Busy:
    """Send updates, as many as are answered or at a rate; each must reach all applications."""
    before = _used(contender)
    seen: dict[str, Any] = load.do(command, **arguments)
    count = seen["delivered"]
    assert count == seen["answered"] > 0, seen
    used, redis, requests = ((after - then) / count for after, then in zip(_used(contender), before, strict=True))
    return Busy(used * 1e6, redis * 1e6, requests, count / seen["seconds"], seen["p50_ms"], seen["p99_ms"])


def _used(contender: Contender) -> tuple[float, float, int]:
    """Return the CPU time of the service and of Redis, and the number of requests that Redis has read."""
    redis = contender.redis
    if redis is None or redis.process is None:
        return contender.server.cpu_seconds(), 0.0, 0
    return contender.server.cpu_seconds(), cpu_seconds(redis.process.pid), redis.client.info("stats")["total_reads_processed"]


def bench(devices: int, seconds: float, peers: dict[str, Make], folder: Path) -> bool:
    """Measure everything and print it; return whether no goal is missed by much."""
    idle = {}
    for name, make in {**IDLE, **peers}.items():
        with make(_subfolder(folder, f"idle {name}"), devices + WARM) as contender:
            idle[name] = measure_idle(contender)
    show_idle(idle, devices)
    busy: dict[str, list[Busy]] = {}
    paced: dict[str, list[Busy]] = {}
    with ExitStack() as stack:
        loads = {}
        for name, make in {**BUSY, **peers}.items():
            contender = stack.enter_context(make(_subfolder(folder, name), 0))
            loads[name] = (contender, stack.enter_context(updating(contender)))
        for _ in range(ROUNDS):
            for name, (contender, load) in loads.items():
                busy.setdefault(name, []).append(measure_updates(contender, load, "update", seconds=seconds))
                paced.setdefault(name, []).append(measure_updates(contender, load, "rate", seconds=seconds, per_second=PACED))
    show_busy(_medians(busy), _medians(paced), PACED)
    snapshot = snapshot_cost(50_000)
    figures = _figures(idle["memory"], _medians(busy), _medians(paced))
    return goals.show({**figures, goals.SNAPSHOT: snapshot.cpu * 1e3, goals.HELD: snapshot.longest_ms})


def _figures(idle: Idle, busy: dict[str, Busy], paced: dict[str, Busy]) -> dict[goals.Goal, float]:
    """Return the figures that have a goal."""
    us, more = busy["memory"].us, busy[MANY].us
    found = {goals.STOCK: us / busy["stock"].us, goals.APPLICATION: (more - us) / MORE_APPLICATIONS}
    found |= {goals.SIGN_IN: idle.connect_us, goals.MEMORY: idle.kib, goals.IDLE: idle.share * 100}
    found |= {goals.SCRAPE: idle.scrape_ms, goals.ROUND_TRIPS: paced["Redis"].round_trips}
    if "Mosquitto" in busy:
        found |= {goals.BUSY: us / busy["Mosquitto"].us, goals.PACED: paced["memory"].us / paced["Mosquitto"].us}
        found[goals.REDIS] = busy["Redis"].us / busy["Mosquitto"].us
    return found


def _medians(rounds: dict[str, list[Busy]]) -> dict[str, Busy]:
    return {name: sorted(found, key=lambda busy: busy.us)[len(found) // 2] for name, found in rounds.items()}


def _subfolder(folder: Path, name: str) -> Path:
    made = folder / name.replace(" ", "-")
    made.mkdir()
    return made


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=5000, help="idle devices (5000)")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each of the rounds of updates lasts (4)")
    parser.add_argument("--peers", action="store_true", help="measure Mosquitto too")
    given = parser.parse_args()
    allow_open_files()
    with tempfile.TemporaryDirectory() as folder:
        met = bench(given.devices, given.seconds, PEERS if given.peers else {}, Path(folder))
    sys.exit(not met)


if __name__ == "__main__":
    main()
