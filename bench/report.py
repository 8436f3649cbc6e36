"""Tables and ratios of ``make bench``."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Idle:
    """Cost of silent devices: memory, CPU of a connection with its sign-in, and the share of one core that 10,000 of them take.

    ``scrape_ms`` is the CPU of reading the metrics while they are connected, ``held_ms`` the longest answer meanwhile; 0 without metrics.
    """

    kib: float
    connect_us: float
    share: float
    scrape_ms: float = 0.0
    held_ms: float = 0.0


@dataclass
class Busy:
    """Cost of updates; ``redis_us`` is the CPU of Redis itself, ``round_trips`` the number of requests to it per update."""

    us: float
    redis_us: float
    round_trips: float
    wall: float
    p50_ms: float
    p99_ms: float


def show_idle(idle: dict[str, Idle], devices: int) -> None:
    """Print the cost of devices that connect and are silent, with a column for each contender."""
    _heads(idle)
    _row(f"KiB per idle device ({devices})", [found.kib for found in idle.values()])
    _row("server CPU us per connect and sign-in", [found.connect_us for found in idle.values()])
    _row("% of a core for 10,000 idle devices", [found.share * 100 for found in idle.values()], 2)
    _row("server CPU ms per scrape of the metrics", [found.scrape_ms for found in idle.values()], 2)
    _row("ms, longest answer during scrapes", [found.held_ms for found in idle.values()])


def show_busy(busy: dict[str, Busy], paced: dict[str, Busy], rate: int) -> None:
    """Print the cost of updates, with a column for each contender; then the ratios."""
    print()
    _heads(busy)
    rows: list[tuple[str, Callable[[Busy], float]]] = [
        ("service's CPU us per update", lambda found: found.us),
        ("Redis' own CPU us per update", lambda found: found.redis_us),
        ("requests to Redis per update", lambda found: found.round_trips),
        ("updates/s one core merges", lambda found: 1e6 / found.us),
        ("updates/s, wall", lambda found: found.wall),
        ("answer p50 ms", lambda found: found.p50_ms),
        ("answer p99 ms", lambda found: found.p99_ms),
    ]
    for name, figure in rows:
        _row(name, [figure(found) for found in busy.values()])
    _row(f"service's CPU us per update at {rate}/s", [found.us for found in paced.values()])
    _row(f"requests to Redis per update at {rate}/s", [found.round_trips for found in paced.values()])
    if "Mosquitto" in busy:
        _row("CPU per update / Mosquitto", [found.us / busy["Mosquitto"].us for found in busy.values()], 2)
        _row(f"CPU per update at {rate}/s / Mosquitto", [found.us / paced["Mosquitto"].us for found in paced.values()], 2)
    _show_ratios(busy)


def _show_ratios(busy: dict[str, Busy]) -> None:
    stock, memory, redis, workers = (busy[name].us for name in ("stock", "memory", "Redis", "2 workers"))
    print(f"memory / stock {memory / stock:.2f}, Redis / memory {redis / memory:.2f}, 2 workers / Redis {workers / redis:.2f}", end="")
    print(f"; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {python_build()}")


def python_build() -> str:
    """Return the version and the file of Python: builds of the same version differ in speed (docs/operations.md, Which Python)."""
    return f"Python {platform.python_version()} at {os.path.realpath(sys.executable)}"


def _heads(columns: dict[str, Idle] | dict[str, Busy]) -> None:
    print(f"{'':40}" + "".join(f"{name:>12}" for name in columns))


def _row(name: str, figures: list[float], digits: int = 1) -> None:
    print(f"{name:40}" + "".join(f"{figure:12.{digits}f}" for figure in figures))
