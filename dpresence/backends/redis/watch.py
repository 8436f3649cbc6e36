"""Follows the Sentinels, so that a failover is noticed at once.

Sentinels demote a former primary only some seconds after they have promoted a replica. Until then it accepts writes, which will be lost. So
a process does not wait until its connections end: it is subscribed to the failovers of every Sentinel, and asks them from time to time,
because a message may be lost.
"""

from __future__ import annotations

import logging
import random
from functools import partial

import gevent
from redis import RedisError, TimeoutError

from ...tasks import Task, stop
from .connection import RedisConnection, ask
from .connections import ConnectionFactory
from .sentinels import Address, Sentinels

log = logging.getLogger(__name__)

SECONDS = 20.0
"""Time without a message after which a Sentinel is asked."""
PAUSE_SECONDS = 5.0
"""Pause before a Sentinel that failed is connected to again."""
_CHANNEL = "+switch-master"


class Watch:
    """Has the connections replaced when the Sentinels name another primary. Does nothing without Sentinels.

    :param server: its ``sentinels`` are followed, once for all its clients: by the first watch that has not been stopped.
    """

    def __init__(self, server: ConnectionFactory) -> None:
        self._server = server
        self._failed: set[Address] = set()
        self._tasks: list[Task] = []
        server.watches.append(self._start)
        self._start_first()

    def stop(self) -> None:
        """End the watch. Idempotent."""
        stop(self._tasks)
        if self._start in self._server.watches:
            self._server.watches.remove(self._start)
        self._start_first()

    def _start_first(self) -> None:
        for start in self._server.watches[:1]:
            start()

    def _start(self) -> None:
        if self._server.sentinels and not self._tasks:
            run = partial(self._run, self._server.sentinels)
            self._tasks = [Task(f"redis: the watch of {address}", partial(run, address)) for address in self._server.sentinels.addresses]

    def _run(self, sentinels: Sentinels, address: Address) -> None:
        while True:
            try:
                with sentinels.connected(address) as connection:
                    ask(connection, "SUBSCRIBE", _CHANNEL)
                    self._follow(connection, address)
            except (RedisError, OSError) as error:
                if address not in self._failed:
                    log.warning("redis: the Sentinel %s cannot be followed: %s: %s", address, type(error).__name__, error)
                self._failed.add(address)
            gevent.sleep(PAUSE_SECONDS * random.uniform(0.5, 1))  # noqa: S311 a jitter

    def _follow(self, connection: RedisConnection, address: Address) -> None:
        while True:
            self._server.find_moved()
            if address in self._failed:
                self._failed.remove(address)
                log.info("redis: the Sentinel %s is followed again", address)
            if not connection.can_read(timeout=SECONDS * random.uniform(0.8, 1)):  # noqa: S311 a jitter
                connection.send_command("PING")
                if not connection.can_read(timeout=self._server.seconds):
                    raise TimeoutError("no answer to a ping")
            connection.read_response(disable_decoding=True)
