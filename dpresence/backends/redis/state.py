"""The state of a Redis server as its last answers show it: for the log, the heartbeat and the metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from redis import AuthenticationError, RedisError, ResponseError
from redis.exceptions import BusyLoadingError, MasterDownError, NoPermissionError, OutOfMemoryError, ReadOnlyError

from ...measures import StoreMeasures

log = logging.getLogger(__name__)

OK, UNREACHABLE, NO_PRIMARY, REPLICA, FULL, READ_ONLY, LOADING, DENIED, FAILING = (
    *("ok", "unreachable", "no_primary", "replica", "full"),
    *("refuses_writes", "loading", "denied", "failing"),
)
STATES = {
    OK: "",
    UNREACHABLE: "does not answer",
    NO_PRIMARY: "has no primary that the Sentinels agree on: see their logs, and redis.sentinel_master, or the name in its URL",
    REPLICA: "is a replica, which refuses writes: let redis.url lead to the primary, or set redis.sentinels",
    FULL: "refuses writes because its memory is full: raise its maxmemory, or delete what fills it",
    READ_ONLY: "refuses writes: its disk, or the number of its replicas (min-replicas-to-write), does not permit them",
    LOADING: "is loading its data, and accepts calls after that",
    DENIED: "refuses this user: correct the user, the password or the rights",
    FAILING: "answers with an error",
}
"""Each state, and what the server does in it and what to do about it."""
REFUSING = (FULL, READ_ONLY, REPLICA)
"""States in which reads succeed; only a call that writes shows their end."""
CONNECTED = (FULL, READ_ONLY)
"""States whose end needs no other connection."""
LOG_SECONDS, LOG_AGAIN_SECONDS = 60.0, 5.0
"""Seconds between two log lines about the same state: while it lasts, and if the server was available in between."""

_SIGNS = {
    **{"READONLY": REPLICA, "OOM ": FULL, "MISCONF": READ_ONLY, "NOREPLICAS": READ_ONLY},
    **{"LOADING": LOADING, "MASTERDOWN": REPLICA, "NOPERM": DENIED},
    "The user executing the script can't run this command": DENIED,
}
"""Parts of error texts. A script's error contains that of its command, with a prefix in Redis 6."""


class NoPrimary(RedisError):
    """The Sentinels name no primary."""


class NotPrimary(ResponseError):
    """The server is a replica."""


_TYPES: dict[type[Exception], str] = {
    **{NoPrimary: NO_PRIMARY, NotPrimary: REPLICA, ReadOnlyError: REPLICA, MasterDownError: REPLICA, OutOfMemoryError: FULL},
    **{BusyLoadingError: LOADING, AuthenticationError: DENIED, NoPermissionError: DENIED},
}
"""Errors from whose text the driver has removed the sign."""


def state_of(error: Exception) -> str:
    """Return the state that an error shows."""
    known = next((state for kind, state in _TYPES.items() if isinstance(error, kind)), None)
    signed = next((state for sign, state in _SIGNS.items() if sign in str(error)), None)
    return known or signed or (FAILING if isinstance(error, ResponseError) else UNREACHABLE)


class ServerState:
    """The state of the server, with its changes in the log.

    :param name: name of the server in the log and the metrics, "" if it is the only one.
    :ivar current: one of ``STATES``.
    :ivar switches: number of times that another server was connected to, after a restart or a failover.
    :ivar resets: number of times that the server had lost data that this process knew of.
    :ivar errors: number of errors of the driver.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, name: str = "") -> None:
        self.name = name
        self.current = OK
        self.switches = self.resets = self.errors = 0
        self._monotonic = monotonic
        self._since = 0.0
        self._logged: dict[str, float] = {}
        self._announced = False

    def failed(self, error: Exception, text: str) -> None:
        """Record an error, and log it if the state is new or has not been logged for a while.

        :param text: the error's message without secrets.
        """
        state, now, was_ok = state_of(error), self._monotonic(), self.current == OK
        self.errors += 1
        self.current = state
        if was_ok:
            self._since, self._announced = now, False
        if now - self._logged.get(state, -LOG_SECONDS) >= (LOG_AGAIN_SECONDS if was_ok else LOG_SECONDS):
            self._logged[state], self._announced = now, True
            log.warning("%s: %s: %s; this Redis %s", self.label, type(error).__name__, text, STATES[state])

    def answered(self, wrote: bool) -> None:
        """Record that calls have succeeded.

        :param wrote: one of them was a write.
        """
        if self.current != OK and (wrote or self.current not in REFUSING):
            self.current = OK
            if self._announced:
                log.info("%s: available again after %.1f s", self.label, self._monotonic() - self._since)

    @property
    def label(self) -> str:
        """Name of the server in lines of the log."""
        return f"redis {self.name}" if self.name else "redis"


class RedisMeasures(StoreMeasures):
    """Measures of a client, with the state of its server.

    :param shared: another client has the state of the same server in its measures.
    """

    def __init__(self, calls: Iterable[str], waiting: Callable[[], int], state: ServerState, shared: bool) -> None:
        super().__init__("redis", calls, waiting)
        self._server = state
        self._shared = shared

    @property
    def state(self) -> str:
        """The state of the server."""
        return self._server.current

    @property
    def server(self) -> str:
        """The name of the server."""
        return self._server.name

    def counts(self) -> dict[str, float]:
        """Return the counts."""
        found = super().counts()
        if not self._shared:
            server = self._server
            found |= {"backend_errors redis": server.errors, f"redis_switches {server.name}": server.switches}
            found[f"redis_resets {server.name}"] = server.resets
        return found

    def gauges(self) -> dict[str, float]:
        """Return the present values."""
        if self._shared:
            return super().gauges()
        up = {f"redis_server_up {self.server}": float(self.state == OK)} if self.server else {}
        return super().gauges() | up | {f"redis_state {state}": float(state == self.state) for state in STATES}
