"""``make scale``: what 1, 10 and 100 million devices need, computed from the figures of ``scale_parameters.json``.

The steady state is a closed form, as every cost in it is proportional. The storm after the loss of a zone is a queue, in steps of a second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

PARAMETERS = Path(__file__).with_name("scale_parameters.json")
SETTINGS_SOCKETS = 20_000
"""Devices of a worker, ``channels.sockets``."""
ACCEPT_RATE = 200
"""Connections that a worker admits each second, ``channels.accept_rate``."""
NOTICE_SECONDS = 35
"""Time in which clients notice a zone that is silent: ``presence.ping_seconds`` and ``pong_seconds``."""
PING_SECONDS = 25
ZONES = 3
BUSY = 0.5
"""Share of a core that is planned for."""
MAX_CLIENTS = 10_000
"""Connections of a Redis server by default."""
CONNECTIONS = {"redis": 2, "postgresql": 10}
"""Connections of a worker to each Redis server, and to PostgreSQL."""


@dataclass(frozen=True)
class Parameters:
    """Figures of one machine, and the assumed load; units are in the names."""

    service_us_per_update: float
    service_us_per_signal: float
    redis_us_per_update: float
    redis_us_per_signal: float
    service_us_per_sign_in: float
    idle_share_of_core_per_device: float
    device_kib: float
    redis_kib_per_device: float
    worker_mib: float
    updates_per_device_and_day: float
    peak_factor: float
    bytes_per_update: float
    bytes_per_ping: float
    transactions_per_sign_in: float
    postgresql_transactions_per_second: float
    sign_ins_per_device_and_day: float

    @classmethod
    def read(cls, path: Path = PARAMETERS) -> Parameters:
        """Read the parameters of a file."""
        given: dict[str, Any] = json.loads(path.read_text())
        return cls(**{field.name: given[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Need:
    """The resources that a number of devices needs at the peak of a day.

    :param signal_share: share of a worker's core that only reads the signals of the updates of all others.
    :param partitions: of the tracker; as many as Redis servers.
    :param redis_connections: to each Redis server.
    """

    devices: int
    updates_per_second: float
    workers: int
    cores: float
    signal_share: float
    memory_gib: float
    network_mbit: float
    partitions: int
    redis_gib: float
    redis_connections: int
    transactions_per_second: float
    postgresql_connections: int

    @property
    def ceilings(self) -> list[str]:
        """The limits that are exceeded, the first one being the next to remove."""
        exceeded = {
            "signals: each worker reads those of all updates": self.signal_share > BUSY,
            "maxclients of Redis": self.redis_connections > MAX_CLIENTS,
            "connections of PostgreSQL": self.postgresql_connections > 1000,
        }
        return [text for text, is_exceeded in exceeded.items() if is_exceeded]


def need(devices: int, given: Parameters) -> Need:
    """Return what so many devices need."""
    updates = devices * given.updates_per_device_and_day / 86_400 * given.peak_factor
    work = updates * given.service_us_per_update / 1e6 + devices * given.idle_share_of_core_per_device
    workers = math.ceil(max(devices * ZONES / (ZONES - 1) / SETTINGS_SOCKETS, work / BUSY))  # the other zones can hold all devices
    signals = updates * given.service_us_per_signal / 1e6 * (workers - 1) / workers
    of_redis = given.redis_us_per_update + (workers - 1) * given.redis_us_per_signal  # a message for each other worker
    partitions = math.ceil(updates * of_redis / 1e6 / BUSY)
    return Need(
        devices=devices,
        updates_per_second=updates,
        workers=workers,
        cores=work + signals * workers,
        signal_share=signals,
        memory_gib=(workers * given.worker_mib * 1024 + devices * given.device_kib) / 1024**2,
        network_mbit=(updates * given.bytes_per_update + devices / PING_SECONDS * given.bytes_per_ping) * 8 / 1e6,
        partitions=partitions,
        redis_gib=devices * given.redis_kib_per_device / 1024**2,
        redis_connections=workers * CONNECTIONS["redis"],
        transactions_per_second=devices * given.sign_ins_per_device_and_day / 86_400 * given.peak_factor * given.transactions_per_sign_in,
        postgresql_connections=workers * CONNECTIONS["postgresql"],
    )


def storm(needed: Need, given: Parameters) -> Iterator[tuple[int, float, float]]:
    """Yield second, devices that are back and devices that wait, after the loss of a zone, until all are back.

    Devices notice within ``NOTICE_SECONDS``. Each that is refused is assigned a time, so no admission is lost on attempts that fail.
    """
    lost = needed.devices / ZONES
    rate = min(storm_limits(needed, given).values())
    back, second = 0.0, 0
    while back < lost - 1e-6:
        second += 1
        noticed = lost * min(1.0, second / NOTICE_SECONDS)
        back = min(noticed, back + rate)
        yield second, back, noticed - back


def storm_limits(needed: Need, given: Parameters) -> dict[str, float]:
    """Return the sign-ins each second that each limit permits, with a zone less."""
    workers = needed.workers * (ZONES - 1) / ZONES
    return {
        "channels.accept_rate": workers * ACCEPT_RATE,
        "CPU of the workers": workers * 1e6 / given.service_us_per_sign_in * BUSY,
        "PostgreSQL": given.postgresql_transactions_per_second / given.transactions_per_sign_in,
    }


def show(numbers: tuple[int, ...] = (1_000_000, 10_000_000, 100_000_000)) -> None:
    """Print the table, as Markdown."""
    given = Parameters.read()
    found = [need(devices, given) for devices in numbers]
    limits = [storm_limits(one, given) for one in found]
    rows = {
        "updates a second at the peak": [f"{one.updates_per_second:,.0f}" for one in found],
        "workers, a third of them spare": [f"{one.workers:,}" for one in found],
        "cores that are busy": [f"{one.cores:,.0f}" for one in found],
        "of a worker's core, for signals alone": [f"{one.signal_share:.0%}" for one in found],
        "memory of the workers": [f"{one.memory_gib:,.0f} GiB" for one in found],
        "network": [f"{one.network_mbit:,.0f} Mbit/s" for one in found],
        "Redis servers, and partitions": [f"{one.partitions:,}" for one in found],
        "memory of all Redis, without feeds": [f"{one.redis_gib:,.1f} GiB" for one in found],
        "connections to each Redis": [f"{one.redis_connections:,}" for one in found],
        "transactions of PostgreSQL a second": [f"{one.transactions_per_second:,.0f}" for one in found],
        "connections to PostgreSQL, at most": [f"{one.postgresql_connections:,}" for one in found],
        "all are back after the loss of a zone": [f"{sum(1 for _ in storm(one, given)):,} s" for one in found],
        "limited by": [min(one, key=one.__getitem__) for one in limits],
        "ceilings that are exceeded": ["; ".join(one.ceilings) or "none" for one in found],
    }
    print(f"| devices | {' | '.join(f'{devices:,}' for devices in numbers)} |\n|{'---|' * (len(numbers) + 1)}")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    show()
