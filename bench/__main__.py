"""``make bench``: one run on loopback, the load in a second process; prints figures, ratios and whether each goal holds.

Only ratios carry over to another day and machine. CPU is the server process's own, as the kernel counts it, user and
system; memory is its proportional set size.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpresence.tests.live.clients import Application, activate
from dpresence.tests.live.service import Process, Service, Site, free_port, running

from .load import Load
from .seed import seed

KIB = 1024
UPDATING = 1000
"""Devices that send updates, 200 updates under way."""
WARM = 100
"""Devices that come before memory is measured, so that what is made once has been made."""
ROUNDS = 3
"""How often ours and stock take turns; the median counts."""
LIMITS = {
    "channels__accept_rate": 100000,
    "channels__accept_burst": 100000,
    "channels__device_frame_rate": 1000000,
    "channels__device_frame_burst": 1000000,
    "presence__status_rate": 1000,
    "presence__status_burst": 10000,
}


@dataclass
class Idle:
    """What devices cost that are signed in and silent."""

    kib: float
    connect_us: float


@dataclass
class Busy:
    """What updates cost."""

    us: float
    wall: float
    p50_ms: float
    p99_ms: float


@dataclass
class Contender:
    """A server under test and those who use it: people for memory and people for updates."""

    server: Process
    appid: str
    key: str
    idle: list[list[str]]
    updating: list[list[str]]


def measure_idle(contender: Contender) -> Idle:
    """Sign devices in and let them be."""
    server = contender.server
    with Load() as load:
        sign_in(load, server, contender.idle[:WARM])
        memory, cpu = settled_pss(server), server.cpu_seconds()
        sign_in(load, server, contender.idle[WARM:])
        cost = (server.cpu_seconds() - cpu) * 1e6
        count = len(contender.idle) - WARM
        return Idle((settled_pss(server) - memory) / count / KIB, cost / count)


def sign_in(load: Load, server: Process, people: list[list[str]]) -> None:
    """Have all of them sign in."""
    seen = load.do("devices", port=server.port, people=people)
    assert seen["signed_in"] == seen["devices"], seen


def settled_pss(server: Process) -> int:
    """Return the memory once it has stopped to change much."""
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
    """Bring the devices that update and the application that watches."""
    with Load() as load:
        sign_in(load, contender.server, contender.updating)
        load.do("watch", port=contender.server.port, appid=contender.appid, key=contender.key)
        load.do("update", seconds=1)
        yield load


def measure_updates(contender: Contender, load: Load, seconds: float) -> Busy:
    """Have as many updates as are answered; each must reach the application."""
    cpu = contender.server.cpu_seconds()
    seen: dict[str, Any] = load.do("update", seconds=seconds)
    used = contender.server.cpu_seconds() - cpu
    assert seen["delivered"] == seen["answered"] > 0, seen
    return Busy(used / seen["delivered"] * 1e6, seen["answered"] / seen["seconds"], seen["p50_ms"], seen["p99_ms"])


def middle(rounds: list[Busy]) -> Busy:
    """Return the median round."""
    return sorted(rounds, key=lambda busy: busy.us)[len(rounds) // 2]


@contextmanager
def ours(folder: Path, devices: int) -> Iterator[Contender]:
    """Run the service with an application that everybody granted."""
    with running(folder, **LIMITS) as service, Site() as site:
        application = activate(service.origin, site)
        idle, busy = prepare(service, application, devices)
        yield Contender(service, application.appid, application.key, idle, busy)


def prepare(service: Service, application: Application, devices: int) -> tuple[list[list[str]], list[list[str]]]:
    """Make the people."""
    database = service.ini.with_name("live.db")
    return seed(database, [application.appid], devices + WARM, "idle"), seed(database, [application.appid], UPDATING, "busy")


@contextmanager
def stock(folder: Path, devices: int) -> Iterator[Contender]:
    """Run the yardstick."""
    port = free_port()
    server = Process([sys.executable, "-m", "bench.stock", str(port)], folder / "stock.log", port)
    server.start()
    try:
        idle = [[f"idle{number}@example.org", "ticket:" + 43 * "x"] for number in range(devices + WARM)]
        yield Contender(server, "application", "key", idle, [[f"busy{number}@example.org", "x"] for number in range(UPDATING)])
    finally:
        server.kill()


def bench(devices: int, seconds: float, folder: Path) -> None:
    """Measure both and print."""
    figures = {}
    for name, make in (("ours", ours), ("stock", stock)):
        (folder / name).mkdir()
        with make(folder / name, devices) as contender:
            figures[name] = measure_idle(contender)
    rounds: dict[str, list[Busy]] = {"ours": [], "stock": []}
    with ExitStack() as stack:
        loads = {}
        for name, make in (("ours", ours), ("stock", stock)):
            (folder / f"{name}2").mkdir()
            contender = stack.enter_context(make(folder / f"{name}2", 0))
            loads[name] = (contender, stack.enter_context(updating(contender)))
        for _ in range(ROUNDS):
            for name, (contender, load) in loads.items():
                rounds[name].append(measure_updates(contender, load, seconds))
    show(figures, {name: middle(found) for name, found in rounds.items()}, devices)


def show(idle: dict[str, Idle], busy: dict[str, Busy], devices: int) -> None:
    """Print the table and the goals."""
    ours_idle, stock_idle, ours_busy, stock_busy = idle["ours"], idle["stock"], busy["ours"], busy["stock"]
    per_core = 1e6 / ours_busy.us
    lines = [
        (f"KiB per idle device ({devices})", ours_idle.kib, stock_idle.kib),
        ("server CPU us per connect and sign-in", ours_idle.connect_us, stock_idle.connect_us),
        ("server CPU us per update", ours_busy.us, stock_busy.us),
        ("updates/s, wall", ours_busy.wall, stock_busy.wall),
        ("answer p50 ms", ours_busy.p50_ms, stock_busy.p50_ms),
        ("answer p99 ms", ours_busy.p99_ms, stock_busy.p99_ms),
    ]
    print(f"{'':40}{'dpresence':>12}{'stock':>12}{'ratio':>8}")
    for name, mine, other in lines:
        print(f"{name:40}{mine:12.1f}{other:12.1f}{mine / other if other else 0:8.2f}")
    print(f"{'updates/s one core merges':40}{per_core:12.0f}{1e6 / stock_busy.us:12.0f}{stock_busy.us / ours_busy.us:8.2f}\n")
    ratio = ours_busy.us / stock_busy.us
    goal("an idle signed-in device costs at most 40 KiB", ours_idle.kib <= 40)
    goal("an idle signed-in device costs at most 16 KiB", ours_idle.kib <= 16)
    goal("one core merges at least 3000 updates/s", per_core >= 3000)
    goal("CPU per update is at most half of stock's", ratio <= 0.5)


def goal(text: str, holds: bool) -> None:
    """Print one goal."""
    print(f"{'holds' if holds else 'MISSED':>8}  {text}")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=5000, help="idle devices (5000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each of the rounds of updates lasts (5)")
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if hard != resource.RLIM_INFINITY else (max(soft, 65536), hard))
    with tempfile.TemporaryDirectory() as folder:
        bench(given.devices, given.seconds, Path(folder))


if __name__ == "__main__":
    main()
