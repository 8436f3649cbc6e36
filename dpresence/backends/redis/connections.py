"""Connections with timeouts to one Redis server, 6.2 or later, and translation of the driver's errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from redis import ConnectionPool, RedisError, ResponseError
from redis.backoff import NoBackoff
from redis.retry import Retry

from ...errors import BackendUnavailable, SettingError
from ...measures import StoreMeasures
from ...private import without_lone_host
from ...settings import REDIS_URL, RedisSettings

log = logging.getLogger(__name__)

_OLDEST = (6, 2)


class RedisConnection(Protocol):
    """The methods used of the driver's connections, which have no type hints. Every method raises the driver's errors."""

    def connect(self) -> None:
        """Connect and authenticate."""

    def disconnect(self) -> None:
        """Disconnect; never raises."""

    def send_command(self, *command: str | bytes | int) -> None:
        """Send a command."""

    def read_response(self, disable_decoding: bool = False) -> Any:
        """Wait for the next reply and return it: bytes, an integer, a list or None."""

    def can_read(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a reply; return whether one has begun to arrive."""


class ConnectionFactory:
    """Creates connections to the server of ``redis.url``. They are cooperative if ``socket`` is patched or is gevent's.

    :raises SettingError: the URL is invalid; names ``redis.url``.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.seconds = settings.timeout_seconds
        self.prefix = settings.prefix
        self._url = settings.url
        self._measures: StoreMeasures | None = None
        tls = {"ssl_check_hostname": True} if settings.url.startswith("rediss:") else {}  # not the default of redis-py 5
        try:
            self._pool = ConnectionPool.from_url(
                settings.url,
                protocol=2,
                socket_timeout=self.seconds,
                socket_connect_timeout=self.seconds,
                retry=Retry(NoBackoff(), 0),
                **tls,
            )
            self._pool.make_connection()  # does not connect, but validates the options of the URL
        except ValueError:
            raise SettingError(f"redis.url: must be {REDIS_URL}") from None
        except TypeError:
            raise SettingError("redis.url: must have no options but those of redis-py's connections") from None

    def measures(self, call: str, waiting: Callable[[], int]) -> StoreMeasures:
        """Return the measures of a client of these connections, which count their errors from now on.

        :param call: name of its calls.
        :param waiting: see ``StoreMeasures``.
        """
        self._measures = StoreMeasures("redis", (call,), waiting)
        return self._measures

    def connect(self) -> RedisConnection:
        """Return a new connection; every wait on it is limited to ``redis.timeout_seconds``. Raises the driver's errors."""
        # not taken from the pool, which counts all connections it ever made and stops at a hundred
        connection = cast("RedisConnection", self._pool.connection_class(**self._pool.connection_kwargs))
        connection.connect()
        return connection

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translate every error of the driver into ``BackendUnavailable``."""
        try:
            yield
        except (RedisError, OSError) as error:
            raise self.unavailable(error) from error

    def info(self, section: str) -> dict[str, str]:
        """Return a section of INFO.

        :raises BackendUnavailable: the server does not answer.
        """
        with self._once() as connection:
            return info(connection, section)

    def option(self, name: str) -> str | None:
        """Return the value of a CONFIG option; None if the server denies access to it.

        :raises BackendUnavailable: the server does not answer.
        """
        with self._once() as connection:
            try:
                found = ask(connection, "CONFIG", "GET", name)
            except ResponseError:
                return None
        return found[1].decode() if found else None

    def command(self, *words: str | bytes | int) -> Any:
        """Execute one rare command on a connection of its own and return its reply.

        :raises BackendUnavailable: the server does not answer, or refuses the command.
        """
        with self._once() as connection:
            return ask(connection, *words)

    @contextmanager
    def _once(self) -> Iterator[RedisConnection]:
        """Open a connection for a single rare command."""
        with self.errors():
            connection = self.connect()
            try:
                yield connection
            finally:
                connection.disconnect()

    def unavailable(self, error: Exception) -> BackendUnavailable:
        """Log an error of the driver and return the exception for the caller."""
        if self._measures is not None:
            self._measures.errors += 1
        log.warning("redis: %s: %s", type(error).__name__, self.message_of(error))
        return BackendUnavailable()

    def message_of(self, error: Exception) -> str:
        """Return the driver's error message without secrets, for the log."""
        return without_lone_host(str(error), self._url)

    def check(self) -> None:
        """Check the server's version and mode, once at startup.

        :raises SettingError: the server is too old, or a cluster.
        :raises BackendUnavailable: the server does not answer.
        """
        found = self.info("server")
        version = tuple(int(part) for part in found["redis_version"].split(".")[:2])
        if version < _OLDEST or found.get("redis_mode") == "cluster":
            what = f"{found['redis_version']}, {found.get('redis_mode', 'standalone')}"
            raise SettingError(f"redis.url: must be one Redis 6.2 or later, no cluster; this one is {what}")

    def refuse_eviction(self) -> None:
        """Refuse a server that may evict any key when its memory is full. It may evict keys that have a time to live.

        :raises SettingError: the eviction policy covers all keys.
        :raises BackendUnavailable: the server does not answer.
        """
        policy = self.info("memory").get("maxmemory_policy", "")
        if policy.startswith("allkeys"):
            what = f"with {policy} devices and feeds vanish when its memory is full"
            raise SettingError(f"redis.url: must be a Redis with maxmemory-policy noeviction; {what}")


def ask(connection: RedisConnection, *command: str | bytes | int) -> Any:
    """Send one command and return its reply: bytes, an integer, a list or None."""
    connection.send_command(*command)
    return connection.read_response(disable_decoding=True)


def info(connection: RedisConnection, section: str) -> dict[str, str]:
    """Return a section of INFO."""
    lines = (line.partition(":") for line in ask(connection, "INFO", section).decode().splitlines())
    return {key: value for key, colon, value in lines if colon}
