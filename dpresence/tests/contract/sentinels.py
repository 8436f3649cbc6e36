"""A primary with a replica and three Sentinels, all real, on ports of loopback."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import redis

from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.demo import free_port
from dpresence.settings import RedisSettings
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .redis import EXECUTABLE, RedisServer

NAME = "mymaster"
SERVER_WITH_TLS = shutil.which("redis-server") or ""
"""That of the distribution: those of the wheels have no TLS."""
DOWN_MS = 700
"""Time without an answer after which a Sentinel takes a server for down."""


class Sentinel:
    """One Sentinel, as a process."""

    def __init__(self, folder: Path, lines: Mapping[str, str], client: Mapping[str, Any], executable: str) -> None:
        self.port = free_port()
        self._executable = executable
        self._client = dict(client)
        self._file = folder / f"sentinel-{self.port}.conf"
        kind = "tls-port" if "ssl" in self._client else "port"
        others = {"port": "0"} if "ssl" in self._client else {}
        self._file.write_text("".join(f"{name} {value}\n" for name, value in {**others, kind: str(self.port), **lines}.items()))
        self.process: subprocess.Popen[bytes] | None = None

    @cached_property
    def client(self) -> Any:
        return redis.Redis("127.0.0.1", self.port, socket_timeout=PATIENCE_SECONDS, decode_responses=True, **self._client)

    def start(self) -> None:
        command = [self._executable, str(self._file), "--sentinel"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        eventually(self.client.ping)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)
            self.process = None
            self.client.close()

    def view(self, name: str = NAME) -> dict[str, Any]:
        """Return what it says about a primary."""
        flat = self.client.execute_command("SENTINEL MASTER", name)
        return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))


class Group:
    """The servers, by port, and the Sentinels.

    :param password: of the servers; ``sentinel_password`` is that of the Sentinels.
    :param tls: options of servers and Sentinels that speak TLS only.
    :param beside: another group, whose Sentinels are those of this one too.
    :param settings: more settings of the service.
    """

    def __init__(
        self,
        folder: Path,
        password: str = "",
        sentinel_password: str = "",
        tls: Mapping[str, str] | None = None,
        name: str = NAME,
        beside: Group | None = None,
        **settings: Any,
    ) -> None:
        self.name = name
        self._beside = beside
        self._folder = folder
        self._password = password
        self._sentinel_password = sentinel_password
        self._settings = settings
        self._tls = dict(tls or {})
        self._executable = SERVER_WITH_TLS if tls else EXECUTABLE
        self._over_tls = (
            {"ssl": True, "ssl_ca_certs": tls["tls-ca-cert-file"], "ssl_certfile": tls["tls-cert-file"], "ssl_keyfile": tls["tls-key-file"]}
            if tls
            else {}
        )
        self.servers = {port: self._server(port) for port in (free_port(), free_port())}
        self.first, self.second = self.servers
        self.sentinels: list[Sentinel] = []

    def _server(self, port: int) -> RedisServer:
        folder = self._folder / str(port)
        folder.mkdir()
        ports = {"port": "0", "tls-port": str(port), "tls-replication": "yes", **self._tls} if self._tls else {"port": str(port)}
        options = {**ports, "bind": "127.0.0.1", "masterauth": self._password, "repl-diskless-sync-delay": "0"}
        server = RedisServer(folder, fsync="always", password=self._password, **options)
        server.executable = self._executable
        return server

    def start(self) -> Group:
        for server in self.servers.values():
            server.start()
        self.follow(self.second, self.first)
        eventually(lambda: self.servers[self.second].client.info("replication")["master_link_status"] == "up")
        if self._beside:
            self._join(self._beside)
        else:
            self._start_sentinels()
        eventually(self._is_complete)
        return self

    def _join(self, other: Group) -> None:
        self.sentinels = other.sentinels
        options = ("down-after-milliseconds", DOWN_MS, "failover-timeout", 4000, *(("auth-pass", self._password) if self._password else ()))
        for sentinel in self.sentinels:
            sentinel.client.execute_command("SENTINEL MONITOR", self.name, "127.0.0.1", self.first, 2)
            sentinel.client.execute_command("SENTINEL SET", self.name, *options)

    def _start_sentinels(self) -> None:
        lines = {
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "loglevel": "warning",
            **({"tls-replication": "yes", **self._tls} if self._tls else {}),
            f"sentinel monitor {NAME} 127.0.0.1 {self.first}": "2",
            f"sentinel down-after-milliseconds {NAME}": str(DOWN_MS),
            f"sentinel failover-timeout {NAME}": "4000",
            **({f"sentinel auth-pass {NAME}": self._password} if self._password else {}),
        }
        client: dict[str, Any] = dict(self._over_tls)
        if self._sentinel_password:
            lines |= {"requirepass": self._sentinel_password, "sentinel sentinel-pass": self._sentinel_password}
            client["password"] = self._sentinel_password
        for _ in range(3):
            self.sentinels.append(Sentinel(self._folder, lines, client, self._executable))
            self.sentinels[-1].start()

    def _is_complete(self) -> bool:
        views = [sentinel.view(self.name) for sentinel in self.sentinels if sentinel.process]
        return all(int(view["num-other-sentinels"]) == 2 and int(view["num-slaves"]) == 1 for view in views)

    def follow(self, port: int, primary: int) -> None:
        """Make a server the replica of another one."""
        self.servers[port].client.execute_command("REPLICAOF", "127.0.0.1", primary)

    @property
    def primary(self) -> int:
        """The port of the primary, as a majority of the Sentinels names it."""
        named = [int(sentinel.view(self.name)["port"]) for sentinel in self.sentinels if sentinel.process]
        return max(set(named), key=named.count)

    def fail_over(self) -> None:
        """Have a Sentinel exchange the roles, and wait for that."""
        before = self.primary
        eventually(lambda: self.sentinels[0].client.execute_command("SENTINEL FAILOVER", self.name), also=(redis.ResponseError,))
        self.await_other_than(before)

    def await_other_than(self, port: int) -> None:
        """Wait until the Sentinels name another primary, which accepts writes."""
        eventually(lambda: self.primary != port and self.servers[self.primary].client.role()[0] == b"master")

    def end(self) -> None:
        for each in [*(() if self._beside else self.sentinels), *self.servers.values()]:
            each.kill()

    @property
    def settings(self) -> RedisSettings:
        """The settings of a service."""
        return RedisSettings(
            **{
                "url": f"{'rediss' if self._tls else 'redis'}://{f':{self._password}@' if self._password else ''}unused/0",
                "sentinels": tuple(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels),
                "sentinel_password": self._sentinel_password,
                **self._settings,
            }
        )

    @property
    def url(self) -> str:
        """The setting ``redis.url``."""
        return self.settings.url

    @property
    def ini(self) -> dict[str, str]:
        """The keys of an ini."""
        names = ("url", "sentinels", "sentinel_password", "ca_file", "cert_file", "key_file")
        found = {f"redis.{name}": getattr(self.settings, name) for name in names}
        return {key: " ".join(value) if isinstance(value, tuple) else value for key, value in found.items()}

    def server(self, seconds: float = 2.0) -> ConnectionFactory:
        """Return the connections for a backend."""
        return ConnectionFactory(replace(self.settings, timeout_seconds=seconds))


@contextmanager
def guarded(**options: Any) -> Iterator[Group]:
    """Run a group in a folder of its own."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="sentinels-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        group = Group(folder, **options)
        stack.callback(group.end)
        yield group.start()
