"""``make bench``: one run on loopback, the load in processes of its own; prints figures, ratios and whether each goal holds.

Only ratios carry over to another day and machine. CPU is that of the service's processes, as the kernel counts it, user and
system; memory is the proportional set size.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dpresence.tests.live.service import Process, cpu_seconds

from .contenders import Contender, on_redis, ours, stock
from .load import Load

KIB = 1024
WARM = 100
"""Devices that come before memory is measured, so that what is made once has been made."""
ROUNDS = 3
"""How often the contenders take turns; the median counts."""
Make = Callable[[Path, int], AbstractContextManager[Contender]]
BUSY: dict[str, Make] = {"stock": stock, "memory": ours, "Redis": on_redis, "2 workers": partial(on_redis, workers=2)}
"""Who is measured with updates, by the head of its column."""


@dataclass
class Idle:
    """What devices cost that sign in, and are silent then."""

    kib: float
    connect_us: float


@dataclass
class Busy:
    """What updates cost; ``redis_us`` is Redis' own."""

    us: float
    redis_us: float
    wall: float
    p50_ms: float
    p99_ms: float


def measure_idle(contender: Contender) -> Idle:
    """Sign devices in, each with a ticket for the next time, and let them be."""
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
    seen = load.do("devices", port=server.port, people=people, tickets=True)
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
    before = _used(contender)
    seen: dict[str, Any] = load.do("update", seconds=seconds)
    used, redis = (after - then for after, then in zip(_used(contender), before, strict=True))
    count = seen["delivered"]
    assert count == seen["answered"] > 0, seen
    return Busy(used / count * 1e6, redis / count * 1e6, count / seen["seconds"], seen["p50_ms"], seen["p99_ms"])


def _used(contender: Contender) -> tuple[float, float]:
    return contender.server.cpu_seconds(), cpu_seconds(contender.redis) if contender.redis else 0.0


def bench(devices: int, seconds: float, folder: Path) -> None:
    """Measure all and print."""
    idle = {}
    for name, make in (("stock", stock), ("memory", ours)):
        with make(_room(folder, f"idle {name}"), devices + WARM) as contender:
            idle[name] = measure_idle(contender)
    show_idle(idle["memory"], idle["stock"], devices)
    rounds: dict[str, list[Busy]] = {name: [] for name in BUSY}
    with ExitStack() as stack:
        loads = {}
        for name, make in BUSY.items():
            contender = stack.enter_context(make(_room(folder, name), 0))
            loads[name] = (contender, stack.enter_context(updating(contender)))
        for _ in range(ROUNDS):
            for name, (contender, load) in loads.items():
                rounds[name].append(measure_updates(contender, load, seconds))
    show_busy({name: sorted(found, key=lambda busy: busy.us)[ROUNDS // 2] for name, found in rounds.items()})


def _room(folder: Path, name: str) -> Path:
    room = folder / name.replace(" ", "-")
    room.mkdir()
    return room


def show_idle(mine: Idle, other: Idle, devices: int) -> None:
    """Print what devices cost that come and are silent."""
    print(f"{'':40}{'stock':>12}{'dpresence':>12}{'ratio':>8}")
    for name, theirs, own in (
        (f"KiB per idle device ({devices})", other.kib, mine.kib),
        ("server CPU us per connect and sign-in", other.connect_us, mine.connect_us),
    ):
        print(f"{name:40}{theirs:12.1f}{own:12.1f}{own / theirs if theirs else 0:8.2f}")
    goal("an idle signed-in device costs at most 16 KiB", mine.kib <= 16)


def show_busy(busy: dict[str, Busy]) -> None:
    """Print what updates cost, a column for each contender; then the ratios and the goals."""
    print(f"\n{'':40}" + "".join(f"{name:>12}" for name in busy))
    rows: list[tuple[str, Callable[[Busy], float]]] = [
        ("service's CPU us per update", lambda found: found.us),
        ("Redis' own CPU us per update", lambda found: found.redis_us),
        ("updates/s one core merges", lambda found: 1e6 / found.us),
        ("updates/s, wall", lambda found: found.wall),
        ("answer p50 ms", lambda found: found.p50_ms),
        ("answer p99 ms", lambda found: found.p99_ms),
    ]
    for name, figure in rows:
        print(f"{name:40}" + "".join(f"{figure(found):12.1f}" for found in busy.values()))
    stock_us, memory_us, redis_us, workers_us = (busy[name].us for name in BUSY)
    print(f"memory / stock {memory_us / stock_us:.2f}, Redis / memory {redis_us / memory_us:.2f}, ", end="")
    print(f"2 workers / Redis {workers_us / redis_us:.2f}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    goal("one core merges at least 3000 updates/s", 1e6 / memory_us >= 3000)
    goal("CPU per update is at most half of stock's", memory_us <= stock_us / 2)
    goal("Redis costs at most three times the memory tracker", redis_us <= 3 * memory_us)


def goal(text: str, holds: bool) -> None:
    """Print one goal."""
    print(f"{'holds' if holds else 'MISSED':>8}  {text}")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=5000, help="idle devices (5000)")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each of the rounds of updates lasts (4)")
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if hard != resource.RLIM_INFINITY else (max(soft, 65536), hard))
    with tempfile.TemporaryDirectory() as folder:
        bench(given.devices, given.seconds, Path(folder))


if __name__ == "__main__":
    main()
