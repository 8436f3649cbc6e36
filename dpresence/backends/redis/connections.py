"""Connections with timeouts to one Redis server, 6.2 or later, and translation of the driver's errors.

With ``redis.sentinels``, every new connection leads to the server that the Sentinels name. A connection to a replica is refused, as it may
have been the primary a moment ago.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from redis import ConnectionPool, RedisError, ResponseError
from redis.backoff import NoBackoff
from redis.retry import Retry

from ...errors import BackendUnavailable, SettingError
from ...measures import StoreMeasures
from ...secret_files import without_url_values
from ...settings import REDIS_URL, RedisSettings
from .connection import RedisConnection, ask, info
from .sentinels import Address, Sentinels
from .state import FAILING, STATES, NotPrimary, RedisMeasures, ServerState, state_of

log = logging.getLogger(__name__)

_FILES = {"ca_file": "ssl_ca_certs", "cert_file": "ssl_certfile", "key_file": "ssl_keyfile"}
"""Settings of TLS, and the driver's options."""


class ConnectionFactory:
    """Creates connections to the primary. They are cooperative if ``socket`` is patched or is gevent's.

    :param name: name of the server in the log and the metrics, "" if it is the only one.
    :ivar setting: the key that has the URL, for errors.
    :ivar generation: raised when every connection should be replaced, because another server has become the primary.
    :ivar sentinels: None without ``redis.sentinels``.
    :ivar in_cluster: whether the server is a node of a Redis Cluster.
    :ivar watches: start the watch of each client; only the first one follows the Sentinels, see ``watch.py``.
    :raises SettingError: the URL or a certificate is invalid; names the setting.
    """

    def __init__(self, settings: RedisSettings, name: str = "", setting: str = "redis.url") -> None:
        self.setting = setting
        self.seconds = settings.timeout_seconds
        self.prefix = settings.prefix
        self.state = ServerState(name=name)
        self.generation = 0
        self.watches: list[Callable[[], None]] = []
        self.in_cluster = settings.cluster
        self._url = settings.url
        self._measured = False
        self._on_switch: list[Callable[[Mapping[str, str]], None]] = []
        self._on_failure: list[Callable[[], None]] = []
        self._run = ""
        self._address: Address | None = None
        self._limits = {
            **{"protocol": 2, "socket_timeout": self.seconds, "socket_connect_timeout": self.seconds},
            **{"retry": Retry(NoBackoff(), 0)},
        }
        self._tls = _tls_options(settings)
        try:
            pool = ConnectionPool.from_url(settings.url, **self._limits, **self._tls)
            pool.make_connection()  # does not connect, but validates the options of the URL
        except ValueError:
            raise SettingError(f"{setting}: must be {REDIS_URL}") from None
        except TypeError:
            raise SettingError(f"{setting}: must have no options but those of redis-py's connections") from None
        # connections are not taken from the pool, which counts all connections it ever made and stops at a hundred
        self._class, self._options = pool.connection_class, cast("Mapping[str, Any]", pool.connection_kwargs)
        self.sentinels = self._sentinels(settings) if settings.sentinels else None

    def _sentinels(self, settings: RedisSettings) -> Sentinels:
        own = {"username": settings.sentinel_user or None, "password": settings.sentinel_password or None}
        tls = {name: value for name, value in self._options.items() if name.startswith("ssl_")}

        def connect(address: Address) -> RedisConnection:
            connection = cast("RedisConnection", self._class(**address._asdict(), **self._limits, **own, **tls))
            connection.connect()
            return connection

        return Sentinels(settings.sentinels, settings.sentinel_master, connect, self.seconds)

    def measures(self, call: str, waiting: Callable[[], int]) -> StoreMeasures:
        """Return the measures of a client of these connections; the first one has the errors and the state of the server.

        :param call: name of its calls.
        :param waiting: see ``StoreMeasures``.
        """
        shared, self._measured = self._measured, True
        return RedisMeasures((call,), waiting, self.state, shared)

    def connect(self) -> RedisConnection:
        """Return a new connection to the primary; every wait on it is limited to ``redis.timeout_seconds``.

        :raises RedisError: also if the Sentinels name no primary, or the server is a replica. Raises OSError as well.
        """
        return self._connect()[0]

    def _connect(self) -> tuple[RedisConnection, dict[str, str]]:
        address = self.sentinels.primary() if self.sentinels else None
        connection = self.connect_to(address)
        try:
            facts = info(connection)
            if facts["role"] != "master":
                raise NotPrimary(f"a replica of {facts.get('master_host')}:{facts.get('master_port')}")
        except BaseException:
            connection.disconnect()
            raise
        self._note_run(facts, address)
        return connection, facts

    def on_switch(self, look: Callable[[Mapping[str, str]], None]) -> None:
        """Have a function called with INFO of each further server that is connected to."""
        self._on_switch.append(look)

    def on_failure(self, look: Callable[[], None]) -> None:
        """Have a function called after each error of the server."""
        self._on_failure.append(look)

    def connect_to(self, address: Address | None = None) -> RedisConnection:
        """Return a new connection to any server, with the user, the database and the options of ``redis.url``.

        :param address: None for that of ``redis.url``.
        """
        connection = cast("RedisConnection", self._class(**{**self._options, **(address._asdict() if address else {})}))
        connection.connect()
        return connection

    def _note_run(self, facts: Mapping[str, str], address: Address | None) -> None:
        """Have all other connections replaced if a connection has led to another server, or to one that was restarted."""
        before, self._run, self._address = self._run, facts["run_id"], address
        if before not in ("", self._run):
            self.generation += 1
            self.state.switches += 1
            where = f": the primary is {address}" if address else ""
            log.warning("%s: connected to another server, or to one that was restarted%s", self.state.label, where)
            for look in self._on_switch:
                look(facts)

    def find_moved(self) -> None:
        """Have all connections replaced if the Sentinels name another primary than the one that is connected to.

        :raises RedisError: no Sentinel names one.
        """
        address = self.sentinels.primary() if self.sentinels else None
        if address and self._address not in (None, address):
            self._address = address
            self.generation += 1
            log.warning("%s: the Sentinels name another primary: %s", self.state.label, address)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translate every error of the driver into ``BackendUnavailable``."""
        try:
            yield
        except (RedisError, OSError) as error:
            raise self.unavailable(error) from error

    def facts(self) -> dict[str, str]:
        """Return INFO of the primary.

        :raises BackendUnavailable: the server does not answer.
        """
        with self.errors():
            connection, facts = self._connect()
            connection.disconnect()
        return facts

    def option(self, name: str) -> str | None:
        """Return the value of a CONFIG option; None if the server denies access to it.

        :raises BackendUnavailable: the server does not answer.
        """
        with self._once() as connection:
            return option(connection, name)

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
        """Record and log an error of the driver, and return the exception for the caller."""
        self.state.failed(error, self.message_of(error))
        for look in self._on_failure:
            look()
        found = BackendUnavailable()
        found.reason = STATES[state_of(error)]
        found.backend = f"{self.setting}: the Redis {self.state.name}".rstrip()
        return found

    def refused(self, operation: str, reason: str) -> BackendUnavailable:
        """Record the error of one operation of a script, and return the exception for the caller.

        :param reason: the error as the script caught it.
        """
        error = ResponseError(reason)
        if state_of(error) == FAILING:
            log.warning("%s: %s failed: %s", self.state.label, operation, reason)
            return BackendUnavailable()
        return self.unavailable(error)

    def message_of(self, error: Exception) -> str:
        """Return the driver's error message without secrets, for the log."""
        return without_url_values(str(error), self._url)


def option(connection: RedisConnection, name: str) -> str | None:
    """Return the value of a CONFIG option; None if the server denies access to it. Raises the driver's other errors."""
    try:
        found = ask(connection, "CONFIG", "GET", name)
    except ResponseError:
        return None
    return found[1].decode() if found else None


def _tls_options(settings: RedisSettings) -> dict[str, Any]:
    """Return the driver's options for TLS.

    :raises SettingError: a file is missing or invalid.
    """
    if not settings.url.startswith("rediss:"):
        return {}
    for name in _FILES:
        if getattr(settings, name):
            _check_file(name, settings)
    given = {option: getattr(settings, name) for name, option in _FILES.items() if getattr(settings, name)}
    return {"ssl_check_hostname": True, **given}  # the former is not the default of redis-py 5


def _check_file(name: str, settings: RedisSettings) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if name == "ca_file":
            context.load_verify_locations(settings.ca_file)
        else:
            context.load_cert_chain(settings.cert_file, settings.key_file or None, password="")
    except OSError as error:  # ssl.SSLError as well
        key = f"redis.{name}"
        raise SettingError(f"{key}: must be a readable PEM file ({error.strerror or 'the key does not fit the certificate'})") from None
