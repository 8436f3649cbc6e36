"""The servers that are measured: stock gevent-websocket, and this service with each tracker and with two workers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dpresence.demo import free_port
from dpresence.tests.contract import redis
from dpresence.tests.live.service import START_SECONDS, Process, Service, cpu_seconds

from .crowd import DEVICE
from .mqtt import TOPIC, WATCHER
from .seed import register, seed

UPDATING = 1000
"""Devices that send updates, 200 updates under way."""
SETTINGS = {
    **{"identity.development": "false", "outbound.allow_loopback": "false"},  # as in production: people bring tickets
    **{"channels.accept_rate": 100000, "channels.accept_burst": 100000},
    **{"channels.device_frame_rate": 1000000, "channels.device_frame_burst": 1000000},
    **{"presence.status_rate": 1000, "presence.status_burst": 10000},
}


class Workers(Service):
    """The service with one or more processes; its CPU is that of all of them."""

    def __init__(self, folder: Path, settings: Mapping[str, object], workers: int) -> None:
        super().__init__(folder, settings)
        self._workers = workers
        section = "[server:main]\n"
        self.ini.write_text(self.ini.read_text().replace(section, f"{section}workers = {workers}\n"))

    def start(self) -> float:
        """Start and wait until every worker is ready."""
        at, until = super().start(), time.monotonic() + START_SECONDS
        while self._workers > 1 and len(re.findall(r"Worker \d+ is ready", self.log())) < self._workers:
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)
        return at

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far by the process and its workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return super().cpu_seconds() + sum(cpu_seconds(int(pid)) for pid in children)


@dataclass
class Contender:
    """A server under test and those who use it: people for memory and people for updates.

    :param redis: the Redis behind it, None without one.
    :param metrics: whether it has ``/__metrics__``.
    :param others: more applications that see everybody, as [id, key].
    """

    server: Process
    appid: str
    key: str
    idle: list[list[str]]
    updating: list[list[str]]
    redis: redis.RedisServer | None = None
    mqtt: bool = False
    metrics: bool = False
    others: Sequence[list[str]] = ()


@contextmanager
def ours(folder: Path, devices: int, workers: int = 1, applications: int = 1, **settings: object) -> Iterator[Contender]:
    """Run the service with applications that everybody granted; its log must be clean in the end."""
    service = Workers(folder, {**SETTINGS, **settings}, workers)
    service.start()
    try:
        database = folder / "live.db"
        keys = [list(register(database, number)) for number in range(applications)]
        idle, updating = (seed(database, [appid for appid, _ in keys], *group, DEVICE) for group in ((devices, "idle"), (UPDATING, "busy")))
        yield Contender(service, *keys[0], idle, updating, metrics=True, others=keys[1:])
        service.stop()
    finally:
        service.kill()
    service.assert_clean()


@contextmanager
def on_redis(folder: Path, devices: int, workers: int = 1) -> Iterator[Contender]:
    """Run the service with its tracker in a Redis of its own."""
    with redis.running() as server, ours(folder, devices, workers, tracker="redis", **{"redis.url": server.url}) as contender:
        contender.redis = server
        yield contender


@contextmanager
def stock(folder: Path, devices: int) -> Iterator[Contender]:
    """Run the yardstick."""
    port = free_port()
    server = Process([sys.executable, "-m", "bench.stock", str(port)], folder / "stock.log", port)
    server.start()
    try:
        idle = [[f"idle{number}@example.org", "ticket:" + 43 * "x"] for number in range(devices)]
        yield Contender(server, "application", "key", idle, [[f"busy{number}@example.org", "x"] for number in range(UPDATING)])
    finally:
        server.kill()


@contextmanager
def mosquitto(folder: Path, devices: int) -> Iterator[Contender]:
    """Run Mosquitto with a password for each user, who may write one topic, and without its database on disk.

    :raises FileNotFoundError: it is not installed (Debian's package ``mosquitto``).
    """
    port = free_port()
    idle, updating = ([[f"{name}{number}", "secret"] for number in range(count)] for name, count in (("idle", devices), ("busy", UPDATING)))
    passwords, permissions, configuration = (folder / name for name in ("passwords", "permissions", "mosquitto.conf"))
    passwords.write_text("".join(f"{user}:{password}\n" for user, password in [*idle, *updating, [WATCHER, "secret"]]))
    subprocess.run([_sbin("mosquitto_passwd"), "-U", str(passwords)], check=True)
    permissions.write_text(f"user {WATCHER}\ntopic read {TOPIC}#\npattern write {TOPIC}%u\n")
    configuration.write_text(
        f"listener {port} 127.0.0.1\nuser root\nallow_anonymous false\npassword_file {passwords}\nacl_file {permissions}\n"
        "persistence false\nlog_type error\n"
    )
    server = Process([_sbin("mosquitto"), "-c", str(configuration)], folder / "mosquitto.log", port)
    server.start()
    try:
        yield Contender(server, "", "secret", idle, updating, mqtt=True)
    finally:
        server.kill()


def _sbin(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: apt-get install mosquitto")
    return found
