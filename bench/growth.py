"""``make growth``: how cost grows with applications, channels, grants, accounts, devices and workers; each line is one service.

CPU is that of the service's processes. Only the shape of a curve carries over to another machine: cost per update must not depend on
how many people there are.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dpresence.tests.contract import postgresql, redis
from dpresence.tests.live.service import cpu_seconds

from .contenders import SETTINGS, Workers
from .files import allow_open_files, open_files
from .load import Load
from .seed import register, seed

KIB, MIB = 1024, 1024 * 1024
PROBES = 200
"""Updates per second of the device that measures for how long the service answers nobody."""
MEASURED = 1000
"""Devices whose sign-ins are measured."""
SPARE_FILES = 500
"""Open files of the service and of the load besides the devices' sockets."""
SEEDED = 20_000
"""People that are written to the database at once."""


@dataclass
class Scene:
    """A service with applications, as [id, key], and people, as [e-mail, ticket], who granted all of them."""

    server: Workers
    keys: list[list[str]]
    people: list[list[str]]


@contextmanager
def scene(people: int, applications: int = 1, workers: int = 1, url: str = "", **settings: object) -> Iterator[Scene]:
    """Start a service in a folder of its own; its log must be clean in the end."""
    with tempfile.TemporaryDirectory() as folder:
        # it makes its tables at its first start, and knows nobody who is written after that
        used = {"directory.url": url} if url else {}
        server = Workers(Path(folder), {**SETTINGS, **used, **settings}, workers)
        server.start()
        try:
            database = url or Path(folder) / "live.db"
            keys = [list(register(database, number)) for number in range(applications)]
            appids = [appid for appid, _ in keys]
            found: list[list[str]] = []
            for start in range(0, people, SEEDED):
                found += seed(database, appids, min(SEEDED, people - start), f"user{start}x")
            yield Scene(server, keys, found)
            server.stop()
        finally:
            server.kill()
        server.assert_clean()


def cost_of_updates(made: Scene, channels: int, seconds: float) -> float:
    """Return the service's CPU, in us, of one update that every channel of every application receives."""
    with Load() as load:
        load.do("devices", port=made.server.port, people=made.people)
        return cost_in(load, made, channels, seconds)


def cost_in(load: Load, made: Scene, channels: int, seconds: float) -> float:
    """Return the same for devices that are signed in."""
    if made.keys:
        every = [key for key in made.keys for _ in range(channels)]
        load.do("watch", port=made.server.port, appid=every[0][0], key=every[0][1])
        load.do("watch_too", port=made.server.port, keys=every[1:])
    load.do("update", seconds=1)
    before = made.server.cpu_seconds()
    seen = load.do("update", seconds=seconds)
    assert not made.keys or seen["delivered"] == seen["answered"], seen
    return (made.server.cpu_seconds() - before) / seen["answered"] * 1e6


def by_applications(numbers: Sequence[int], seconds: float) -> None:
    """Print the cost of an update by how many applications see the user, and by how many channels they have."""
    table("applications that see the user", "channels of each", "us per update", "us per delivery")
    for applications, channels in [(0, 0), *((number, 1) for number in numbers), (1, 10)]:
        with scene(1000, applications) as made:
            cost = cost_of_updates(made, channels, seconds)
        row(applications, channels, f"{cost:.1f}", f"{cost / (applications * channels):.1f}" if channels else "")


def by_workers(numbers: Sequence[int], seconds: float) -> None:
    """Print the cost of an update by how many workers share a Redis."""
    table("workers over Redis", "us per update")
    for workers in numbers:
        with redis.running() as server, scene(1000, 1, workers, tracker="redis", **{"redis.url": server.url}) as made:
            row(workers, f"{cost_of_updates(made, 1, seconds):.1f}")


def by_partitions(numbers: Sequence[int], seconds: float) -> None:
    """Print the cost of an update by how many partitions of the tracker share one Redis: the service's CPU, and that of Redis."""
    table("partitions on one Redis", "updates", "us per update", "us of Redis", "requests to Redis")
    for partitions in numbers:
        settings = {"tracker": "redis", "redis.partitions": partitions}
        with redis.running() as server, scene(1000, 1, **settings, **{"redis.url": server.url}) as made, Load() as load:
            load.do("devices", port=made.server.port, people=made.people)
            load.do("watch", port=made.server.port, appid=made.keys[0][0], key=made.keys[0][1])
            for name, command, options in (("busy", "update", {}), ("1,000/s", "rate", {"per_second": 1000})):
                load.do("update", seconds=1)
                before = made.server.cpu_seconds(), *used_by(server)
                seen = load.do(command, seconds=seconds, **options)
                after = made.server.cpu_seconds(), *used_by(server)
                cpu, of_redis, requests = ((late - early) / seen["answered"] for late, early in zip(after, before, strict=True))
                row(partitions, name, f"{cpu * 1e6:.1f}", f"{of_redis * 1e6:.1f}", f"{requests:.2f}")


def used_by(server: redis.RedisServer) -> tuple[float, int]:
    """Return the CPU time of a Redis, and the number of requests that it has read."""
    assert server.process is not None
    return cpu_seconds(server.process.pid), server.client.info("stats")["total_reads_processed"]


def by_accounts(numbers: Sequence[int], seconds: float) -> None:
    """Print what a start, a sign-in and an update cost by how many accounts there are, in either database."""
    table("accounts", "database", "s of CPU to start", "us per sign-in", "us per update", "MiB of the process")
    for accounts in numbers:
        for name, url in databases():
            with scene(accounts, url=url) as made:
                made.server.stop()
                made.server.start()
                began = made.server.cpu_seconds()
                with Load() as load:
                    load.do("devices", port=made.server.port, people=made.people[-MEASURED:], tickets=True)
                    signing_in = (made.server.cpu_seconds() - began) / MEASURED * 1e6
                    cost = cost_in(load, made, 1, seconds)
                row(accounts, name, f"{began:.1f}", f"{signing_in:.0f}", f"{cost:.1f}", f"{made.server.pss_bytes() / MIB:.0f}")


def databases() -> Iterator[tuple[str, str]]:
    """Yield each kind of database with the URL of an empty one; SQLite's is made by the service."""
    yield "SQLite", ""
    with closing_server() as server:
        yield "PostgreSQL", server.make_database("growth")


@contextmanager
def closing_server() -> Iterator[postgresql.Server]:
    """Run a PostgreSQL."""
    server = postgresql.Server()
    try:
        yield server
    finally:
        server.remove()


def by_devices(numbers: Sequence[int]) -> None:
    """Print what idle devices cost by how many there are, and what it takes until all are back after a crash."""
    table("devices", "KiB each", "us per sign-in", "% of a core, idle", "s until all are back", "us each of coming back")
    for number in numbers:
        devices = min(number, open_files() - SPARE_FILES)
        with scene(devices, 1, **{"channels.sockets": devices + 100}) as made, Load() as load:
            memory, before = made.server.pss_bytes(), made.server.cpu_seconds()
            load.do("devices", port=made.server.port, people=made.people, tickets=True, returns=True, rate=3000, under_way=200)
            signing_in = made.server.cpu_seconds() - before
            kib = (made.server.pss_bytes() - memory) / devices / KIB
            before = made.server.cpu_seconds()
            load.do("wait", seconds=10)
            idle = (made.server.cpu_seconds() - before) / 10
            at = made.server.crash()
            began = made.server.cpu_seconds()
            seen = load.do("settle", seconds=300)
            back = made.server.cpu_seconds() - began
        row(
            devices,
            f"{kib:.1f}",
            f"{signing_in / devices * 1e6:.0f}",
            f"{idle * 100:.1f}",
            f"{seen['all_in_at'] - at:.1f}",
            f"{back / devices * 1e6:.0f}",
        )


def table(*heads: object) -> None:
    """Print the head of a Markdown table."""
    print(f"\n| {' | '.join(map(str, heads))} |\n|{'---|' * len(heads)}")


def row(*cells: object) -> None:
    """Print a row of it."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__.partition("\n")[0])

    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",") if number]

    parser.add_argument("--applications", type=numbers, default=[1, 5, 20, 100])
    parser.add_argument("--workers", type=numbers, default=[1, 2, 4])
    parser.add_argument("--partitions", type=numbers, default=[1, 2, 4, 8, 32])
    parser.add_argument("--accounts", type=numbers, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--devices", type=numbers, default=[1_000, 5_000, 20_000])
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each measurement of updates lasts (4)")
    given = parser.parse_args()
    allow_open_files()
    print(f"{time.strftime('%Y-%m-%d')}")
    by_applications(given.applications, given.seconds)
    by_workers(given.workers, given.seconds)
    by_partitions(given.partitions, given.seconds)
    by_accounts(given.accounts, given.seconds)
    by_devices(given.devices)


if __name__ == "__main__":
    main()
