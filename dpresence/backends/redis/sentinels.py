"""Finds the primary by Redis Sentinel.

All Sentinels are asked at the same time, and the answer with the highest configuration epoch counts: a Sentinel that was cut off, or has
just come back, still names the former primary. The search ends as soon as a majority has answered, so one that is down delays nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import gevent
from redis import RedisError

from ...logs import spawn
from .connection import RedisConnection, ask
from .state import NoPrimary

PORT = 26379
"""Default port of a Sentinel."""
STRAGGLER_SECONDS = 0.1
"""Time for which the other answers are waited for once a majority has answered."""


class Address(NamedTuple):
    """Address of a server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class View(NamedTuple):
    """The answer of one Sentinel about the primary.

    :ivar epoch: configuration epoch, which each failover raises.
    """

    sentinel: Address
    primary: Address
    epoch: int
    facts: dict[str, str]


class Sentinels:
    """The Sentinels of one primary.

    :param addresses: as in ``redis.sentinels``.
    :param name: as in ``redis.sentinel_master``.
    :param connect: returns a connection to a Sentinel; raises the driver's errors.
    :param seconds: deadline of a search.
    """

    def __init__(self, addresses: Iterable[str], name: str, connect: Callable[[Address], RedisConnection], seconds: float) -> None:
        self.addresses = tuple(map(parse_address, addresses))
        self.name = name
        self._connect = connect
        self._seconds = seconds

    def primary(self) -> Address:
        """Return the address of the primary.

        :raises NoPrimary: no Sentinel names one.
        """
        views, errors = self.views(len(self.addresses) // 2 + 1)
        if not views:
            causes = "; ".join(f"{address}: {error}" for address, error in errors.items())
            raise NoPrimary(f"no Sentinel names the primary {self.name}: {causes or 'none answers in time'}")
        return max(views, key=lambda view: view.epoch).primary

    def views(self, enough: int) -> tuple[list[View], dict[Address, Exception]]:
        """Return the answers, and the errors of Sentinels that gave none.

        :param enough: number of answers after which the others are not waited for.
        """
        waiting = {spawn(self._view, address): address for address in self.addresses}
        views: list[View] = []
        errors: dict[Address, Exception] = {}
        # Those that do not answer end at their own timeouts: a connection that is being opened cannot be abandoned without a leak.
        with gevent.Timeout(self._seconds, False), gevent.iwait(list(waiting)) as done:
            for one in done:
                if isinstance(one.value, View):
                    views.append(one.value)
                else:
                    errors[waiting[one]] = one.value
                if len(views) == enough:
                    gevent.wait(list(waiting), STRAGGLER_SECONDS)
                    return [one.value for one in waiting if isinstance(one.value, View)], errors
        return views, errors

    @contextmanager
    def connected(self, address: Address) -> Iterator[RedisConnection]:
        """Open a connection to one Sentinel; raises the driver's errors."""
        connection = self._connect(address)
        try:
            yield connection
        finally:
            connection.disconnect()

    def _view(self, address: Address) -> View | Exception:
        try:
            with self.connected(address) as connection:
                facts = _pairs(ask(connection, "SENTINEL", "MASTER", self.name))
            return View(address, Address(facts["ip"], int(facts["port"])), int(facts["config-epoch"]), facts)
        except (RedisError, OSError) as error:
            return error


def parse_address(text: str) -> Address:
    """Return the address that a word of ``redis.sentinels`` names."""
    parts = urlsplit(f"//{text}")
    return Address(parts.hostname or "", parts.port or PORT)


def _pairs(flat: list[bytes]) -> dict[str, str]:
    texts = [item.decode() for item in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
