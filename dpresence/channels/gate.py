"""Admission control of one process: limits on connections and their rates, and the registry of open connections."""

from __future__ import annotations

import itertools
import logging
import math
import os
import random
from binascii import b2a_base64
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import gevent

from ..addresses import network, plain_address
from ..clock import Clock
from ..errors import BackendUnavailable, CloseCode, SlowDown
from ..files import SPARE
from ..limits import Buckets, LogLimit, QueueBucket, RateStates
from ..metrics import Metrics
from ..settings import Settings
from .channel import Channel
from .deadlines import Bucket, Deadlines, Timed
from .forwarded import Forwarding
from .plain_connections import PlainConnections
from .readiness import readiness_of
from .request_rounds import RequestRounds
from .workers import Workers

log = logging.getLogger(__name__)

_ADDRESS_SHARE = 10
"""Divisor of the accept rate: an address that uses less than a tenth of it has priority over those that use more."""
_MAX_ADDRESSES = 10_000
"""Maximum number of addresses whose rate of new channels is stored."""
_NEWCOMER_SECONDS = 1.0
"""Connections that have not signed in after this many seconds no longer count against ``channels.accept_burst``."""


class AdmittedConnection(Protocol):
    """A channel's connection, as the gate and the ticker see it."""

    id: str
    address: str
    bucket: Bucket | None
    previous: Timed | None
    following: Timed | None

    @property
    def backlog(self) -> tuple[int, bool]:
        """Bytes in the send buffer, and whether more than half of it is in use."""

    def tick(self, now: float) -> float:
        """Check the deadlines, and return when the next one is. May raise; the connection is then ended."""

    def fail(self) -> None:
        """Log the exception that is being handled, and end the connection."""

    def close(self, code: int, reason: str) -> None:
        """Start the close handshake. Does not block."""

    def abort(self) -> None:
        """Close the socket at once."""


class PingedConnection(AdmittedConnection, Protocol):
    """A connection that sends pings."""

    @property
    def awaits_pong(self) -> bool:
        """True if nothing was received since the last ping."""


class Gate:
    """Admits new channels and closes the open ones. Each process has one instance.

    :cvar TICK_SECONDS: time between two rounds of the ticker.
    :ivar connections: channels that were admitted and have not ended, by the time at which their ``tick`` is due.
    :ivar sending: those of them that had a send buffer at their last tick, so that the figures need not read every connection.
    :ivar pinged: those that were pinged in this round of the ticker, which checks later whether they have answered.
    :ivar readiness: watches their sockets.
    :ivar on_wait: called with the seconds of each ``retry_after`` that a refused channel receives.
    :ivar draining: the process is stopping and admits no channels.
    :ivar requests: rate of HTTP requests by address.
    :ivar configuration_warnings: rate-limited warnings of client and proxy errors that the operator can correct.
    :ivar unread: bytes of HTTP responses that clients have not read, by address.
    :ivar plain: HTTP connections that are not channels.
    :ivar heartbeats: users and devices whose heartbeat is being handled.
    :ivar request_rounds: in which HTTP requests begin.
    :ivar forwarding: finds the client behind a trusted proxy.
    :ivar most: maximum number of connections: ``channels.sockets``, or fewer if the limit of open files is lower.
    :ivar spare: number of connections accepted beyond ``most``, so that they can be answered with 503.
    :ivar direct_channels: by path, the constructor of a channel that any ordinary handshake gets; see ``first_request``.
    :ivar ordinary_heads: the heads of requests that ``first_request`` has recognized.
    """

    TICK_SECONDS = 1.0

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = metrics
        self.workers = Workers()
        self.connections: Deadlines[AdmittedConnection] = Deadlines(self.TICK_SECONDS)
        self.sending: set[AdmittedConnection] = set()
        self.pinged: list[PingedConnection] = []
        self.readiness = readiness_of(gevent.get_hub())
        self.on_wait: Callable[[float], None] = lambda seconds: None
        self.draining = False
        self.unread: Counter[str] = Counter()
        self.plain = PlainConnections(settings.channels)
        self.heartbeats: set[tuple[str, str]] = set()
        self.request_rounds = RequestRounds()
        self.configuration_warnings = LogLimit(clock)
        self.forwarding = Forwarding(
            settings.channels.trusted_proxies, self.configuration_warnings, warns=not settings.identity.development
        )
        self.most = settings.channels.sockets
        self.spare = SPARE
        self.direct_channels: dict[str, Callable[[], Channel]] = {}
        self.ordinary_heads: dict[bytes, Any] = {}
        self._ids = itertools.count(1)
        self._not_signed_in: dict[str, set[AdmittedConnection]] = {}
        self._newcomers: dict[AdmittedConnection, float] = {}  # time of admission, oldest first
        address_rate, address_burst = settings.channels.accept_rate / _ADDRESS_SHARE, settings.channels.accept_burst // _ADDRESS_SHARE
        self._rate_by_address = RateStates(address_rate, max(1, address_burst), _MAX_ADDRESSES)
        self._rate = QueueBucket(settings.channels.accept_rate, settings.channels.accept_burst)
        self.requests = Buckets(settings.channels.request_rate, settings.channels.request_burst, kind=QueueBucket)

    @property
    def sockets(self) -> int:
        """Number of open connections, HTTP and channels."""
        return len(self.plain) + len(self.connections)

    def counts(self) -> dict[str, int]:
        """Return the gauges of connections: those of ``metrics.GAUGES``, and others by key."""
        unsigned = sum(len(connections) for connections in self._not_signed_in.values())
        backlogs = [connection.backlog for connection in self.sending]
        return {
            "sockets": self.sockets,
            "unsigned": unsigned,
            "behind": sum(half_full for _, half_full in backlogs),
            "send_buffer_bytes": sum(size for size, _ in backlogs),
            "channels": len(self.connections),
            "waiting": self.plain.waiting,
            "most": self.most,
        }

    def new_id(self) -> str:
        """Return an unguessable id, unique in this process, for a new connection."""
        return f"{next(self._ids):x}-{b2a_base64(os.urandom(6), newline=False).decode()}"

    def limit_to_files(self, files: int) -> None:
        """Lower the limits of connections to the limit of open files.

        :param files: maximum number of open sockets.
        """
        self.spare = min(SPARE, files // 4)
        self.most = min(self.settings.channels.sockets, files - self.spare)
        self.plain.per_address = max(1, min(self.plain.per_address, self.most // 2))

    def enter(self, sock: Any, peer: str) -> bool:
        """Add an HTTP connection; the caller must call ``plain.leave`` at its end. Return False if the limits refuse it.

        :param peer: IP address. A trusted proxy has no limit, because it has the connections of many clients.
        """
        address = plain_address(peer) or ""
        room = self.sockets < self.most + self.spare or self.plain.make_room()
        return room and self.plain.enter(sock, network(address), self.forwarding.trusts(address))

    def check(self, address: str) -> None:
        """Check that a new channel could be admitted now, without taking tokens: the view may still refuse it.

        :raises BackendUnavailable: there are too many sockets or new channels, or the process is stopping.
        :raises SlowDown: the address has too many channels without sign-in.
        """
        limits, now = self.settings.channels, self.clock.monotonic()
        self.check_room()
        if self._too_many_not_signed_in(network(address)):
            raise SlowDown("too many channels of this address have not signed in", retry_after=limits.sign_in_seconds)
        if not self._within_rate(network(address), now):
            raise BackendUnavailable("too many new channels", retry_after=self._retry_after(now))

    def check_room(self) -> None:
        """Check that there is room for one more connection.

        :raises BackendUnavailable: there are too many sockets, or the process is stopping.
        """
        if self.draining:
            raise BackendUnavailable("the server is stopping", retry_after=1)
        if self._full() and not self.plain.make_room():
            raise BackendUnavailable("no more sockets", retry_after=self._retry_after(self.clock.monotonic()))

    def admit(self, connection: AdmittedConnection) -> None:
        """Add a new channel before its 101; ``leave`` removes it. Raises like ``check``."""
        self.check(connection.address)
        self._add(connection, network(connection.address), self.clock.monotonic())

    def try_admit(self, connection: AdmittedConnection) -> bool:
        """Add a new channel if ``admit`` would without closing another connection. Unlike a failed ``admit``, a refusal changes nothing."""
        key, now = network(connection.address), self.clock.monotonic()
        refused = self.draining or self._full() or self._too_many_not_signed_in(key) or not self._within_rate(key, now)
        if not refused:
            self._add(connection, key, now)
        return not refused

    def _add(self, connection: AdmittedConnection, key: str, now: float) -> None:
        try:
            self._rate_by_address.take(key, now)
            self._rate.take(now=now)
            self.connections.add(connection)
            self._not_signed_in.setdefault(key, set()).add(connection)
            self._newcomers[connection] = now
        except BaseException:  # nobody would call ``leave``
            self.leave(connection)
            raise

    def _full(self) -> bool:
        return self.sockets > self.most  # ``plain`` contains the caller

    def _too_many_not_signed_in(self, key: str) -> bool:
        return len(self._not_signed_in.get(key, ())) >= self.settings.channels.unsigned_per_address

    def _within_rate(self, key: str, now: float) -> bool:
        """Return whether the rate and the burst allow one more channel of an address.

        Half of both is reserved for addresses that use less than their share. Channels that were just admitted and have not
        signed in count against the burst, so that many simultaneous reconnections wait outside the service.
        """
        while self._newcomers and next(iter(self._newcomers.values())) <= now - _NEWCOMER_SECONDS:
            del self._newcomers[next(iter(self._newcomers))]
        burst = self.settings.channels.accept_burst
        reserved = burst // 2 if self._rate_by_address.wait(key, now) else 0
        return len(self._newcomers) < burst - reserved and not self._rate.wait(1 + reserved, now=now)

    def _retry_after(self, now: float) -> int:
        """Return ``retry_after`` in seconds; each refused channel gets a time slot of its own."""
        wait = math.ceil(self._rate.reserve_slot(now=now))
        self.on_wait(wait)
        return wait

    def signed_in(self, connection: AdmittedConnection) -> None:
        """Stop counting a connection as one without sign-in. Idempotent."""
        self._newcomers.pop(connection, None)
        key = network(connection.address)
        unsigned = self._not_signed_in.get(key)
        if unsigned is not None:
            unsigned.discard(connection)
            if not unsigned:
                del self._not_signed_in[key]

    def leave(self, connection: AdmittedConnection) -> None:
        """Remove a connection. Idempotent."""
        self.signed_in(connection)
        self.connections.remove(connection)
        self.plain.release(connection)
        self.sending.discard(connection)

    def close_all(self, code: int = CloseCode.STOPPING, reason: str = "the server is stopping") -> None:
        """Close every channel with a random ``retry_after``, so that clients reconnect no faster than the accept rate."""
        channels = list(self.connections)
        spread = math.ceil(len(channels) / self.settings.channels.accept_rate)
        for connection in channels:
            wait = random.randint(1, max(1, spread))  # noqa: S311
            connection.close(code, f"{reason}; retry_after={wait}")
