"""Which sockets come in: the counts and rates of one process, and the set of its open connections."""

from __future__ import annotations

import itertools
import logging
import math
import random
import secrets
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent

from ..clock import Clock
from ..errors import BackendUnavailable, CloseCode, SlowDown
from ..limits import Buckets, LogLimit, QueueBucket
from ..metrics import Metrics
from ..service.turns import give_way
from ..settings import Settings
from .addresses import network, plain_address
from .forwarded import Forwarding
from .plain import PlainConnections
from .workers import Workers

if TYPE_CHECKING:
    from .connection import Connection

log = logging.getLogger(__name__)

SPARE = 100
"""Connections beyond ``channels.sockets``."""
_SHARES = 10
"""An address that uses less than this part of the accept rate is let in before those that use more."""
_NEW_SECONDS = 1.0
"""Who has not signed in within so long is slow, and does not keep others out any more."""


class Gate:
    """Admits new channels, knows the open ones and ends them; one for each process.

    :ivar connections: what was admitted and has not ended.
    :ivar on_wait: told the seconds that somebody was asked to wait.
    :ivar draining: the process is stopping; nobody is admitted any more.
    :ivar requests: HTTP requests, by address.
    :ivar hints: warnings of what clients or proxies do wrong and the operator can change.
    :ivar unread: bytes of answers that wait to be taken, by address.
    :ivar plain: connections that have not become a channel.
    :ivar forwarding: the client that a proxy speaks for.
    :ivar most: how many connections may be open; ``channels.sockets``, or what the limit of open files leaves.
    :ivar spare: how many beyond, so that there is somebody to answer 503.
    """

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = metrics
        self.workers = Workers()
        self.connections: set[Connection] = set()
        self.on_wait: Callable[[float], None] = lambda seconds: None
        self.draining = False
        self.unread: Counter[str] = Counter()
        self.plain = PlainConnections(settings.channels)
        self.forwarding = Forwarding(settings.channels.trusted_proxies, warns=not settings.identity.development)
        self.most = settings.channels.sockets
        self.spare = SPARE
        self.hints = LogLimit(clock)
        self._ids = itertools.count(1)
        self._unsigned: dict[str, set[Connection]] = {}
        self._newcomers: dict[Connection, float] = {}  # since when, oldest first
        self._shares = Buckets(settings.channels.accept_rate / _SHARES, max(1, settings.channels.accept_burst // _SHARES))
        self._rate = QueueBucket(settings.channels.accept_rate, settings.channels.accept_burst)
        self.requests = Buckets(settings.channels.request_rate, settings.channels.request_burst, kind=QueueBucket)

    @property
    def sockets(self) -> int:
        """How many connections are open in all."""
        return len(self.plain) + len(self.connections)

    def counts(self) -> dict[str, int]:
        """Return how many sockets are open, and of the channels those nobody has signed in to and those that are behind."""
        unsigned = sum(len(strangers) for strangers in self._unsigned.values())
        return {"sockets": self.sockets, "unsigned": unsigned, "behind": sum(connection.behind for connection in self.connections)}

    def name(self) -> str:
        """Return an id for a new connection: unique here, and not to be guessed."""
        return f"{next(self._ids):x}-{secrets.token_hex(6)}"

    def fit(self, files: int) -> None:
        """Have no more connections than there are files for.

        :param files: how many sockets may be open.
        """
        self.spare = min(SPARE, files // 4)
        self.most = min(self.settings.channels.sockets, files - self.spare)
        self.plain.per_address = max(1, min(self.plain.per_address, self.most // 2))

    def enter(self, sock: Any, peer: str) -> bool:
        """Count a plain connection in, ``plain.leave`` counts it out; return False when there is no room for it.

        :param peer: IP address. That of a trusted proxy carries many clients' connections, and has no share.
        """
        address = plain_address(peer) or ""
        room = self.sockets < self.most + self.spare or self.plain.make_room()
        return room and self.plain.enter(sock, network(address), self.forwarding.trusts(address))

    def check(self, address: str) -> None:
        """Refuse a new channel that could not be let in now. Nothing is spent: it may turn out to be none.

        :raises BackendUnavailable: too many sockets or newcomers, or the process is stopping.
        :raises SlowDown: too many channels of this address that have not signed in.
        """
        limits, now = self.settings.channels, self.clock.monotonic()
        if self.draining:
            raise BackendUnavailable("the server is stopping", retry_after=1)
        if self.sockets > self.most and not self.plain.make_room():  # the one that asks is among the plain ones
            raise BackendUnavailable("no more sockets", retry_after=self._turn(now))
        if len(self._unsigned.get(network(address), ())) >= limits.unsigned_per_address:
            raise SlowDown("too many channels of this address have not signed in", retry_after=limits.sign_in_seconds)
        if not self._has_room(network(address), now):
            raise BackendUnavailable("too many new channels", retry_after=self._turn(now))

    def admit(self, connection: Connection) -> None:
        """Count a new channel in, before its 101; ``leave`` counts it out. Raises as ``check`` does."""
        self.check(connection.address)
        now, key = self.clock.monotonic(), network(connection.address)
        self._shares.take(key, now=now)
        self._rate.take(now=now)
        self.connections.add(connection)
        self._unsigned.setdefault(key, set()).add(connection)
        self._newcomers[connection] = now

    def _has_room(self, key: str, now: float) -> bool:
        """Whether one more of this address may come: half of what there is is kept for addresses within their share.

        Those who just came in and are still being signed in count as well: a storm waits at the door, not inside.
        """
        while self._newcomers and next(iter(self._newcomers.values())) <= now - _NEW_SECONDS:
            del self._newcomers[next(iter(self._newcomers))]
        burst = self.settings.channels.accept_burst
        kept = burst // 2 if self._shares.wait(key, now=now) else 0
        return len(self._newcomers) < burst - kept and not self._rate.wait(1 + kept, now=now)

    def _turn(self, now: float) -> int:
        """Return seconds to wait: who is refused gets a place of its own in the queue."""
        wait = math.ceil(self._rate.reserve_slot(now=now))
        self.on_wait(wait)
        return wait

    def signed_in(self, connection: Connection) -> None:
        """Forget that nobody had signed in on this connection; harmless when repeated."""
        self._newcomers.pop(connection, None)
        key = network(connection.address)
        strangers = self._unsigned.get(key)
        if strangers is not None:
            strangers.discard(connection)
            if not strangers:
                del self._unsigned[key]

    def leave(self, connection: Connection) -> None:
        """Count a connection out; harmless when repeated."""
        self.signed_in(connection)
        self.connections.discard(connection)

    def close_all(self, code: int = CloseCode.STOPPING, reason: str = "the server is stopping") -> None:
        """Close every channel, telling each when to come back: spread so that they return no faster than they are let in."""
        channels = list(self.connections)
        spread = math.ceil(len(channels) / self.settings.channels.accept_rate)
        for connection in channels:
            wait = random.randint(1, max(1, spread))  # noqa: S311
            connection.close(code, f"{reason}; retry_after={wait}")


class Keeper:
    """Ticks every open connection about once a second, a few at a time."""

    INTERVAL = 1.0
    SLICE = 256

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._greenlet: Any = None

    def start(self) -> None:
        """Begin to tick."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Tick no more."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill()

    def _run(self) -> None:
        while True:
            try:
                gevent.sleep(self.INTERVAL)
                self._tick_all()
            except BaseException:
                if self._greenlet is None:
                    raise
                log.exception("connections could not be looked after")  # until the next time

    def _tick_all(self) -> None:
        for index, connection in enumerate(list(self._gate.connections), 1):
            self._tick(connection)
            if not index % self.SLICE:
                give_way()

    def _tick(self, connection: Connection) -> None:
        """Tick one connection; where that fails it is ended, and everybody else keeps the deadlines."""
        try:
            connection.tick(self._gate.clock.monotonic())
        except BaseException:
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        """End a connection whose tick has failed; one that cannot be ended is forgotten, or its failure would be told for ever."""
        try:
            connection.fail()
        except BaseException:
            log.exception("connection %s could not be ended", connection.id)
            self._gate.leave(connection)
