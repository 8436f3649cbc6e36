"""Signals between processes, by Redis pub/sub over one connection of each process, which reconnects automatically."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

import gevent
from redis import RedisError, TimeoutError

from ...tasks import Task
from .connection import RedisConnection, ask
from .connections import ConnectionFactory

log = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
"""Seconds of silence after which the subscriber pings the server."""
LOOK_SECONDS = 1.0
"""Time after which the subscriber notices that the connections should be replaced."""
PAUSE_SECONDS = (0.1, 2.0)
"""Minimum and maximum pause in seconds before a reconnection attempt."""


class _Moved(Exception):
    """Another server has become the primary."""


class PubSub:
    """A subscription to one channel for all processes, and to one of this process, by which a script recognizes this subscription.

    :param own: name of the channel of this process.
    :param on_message: called with each message, in order; must not raise.
    :param on_gap: called after a reconnection, when messages may have been missed, before the next message.
    :raises BackendUnavailable: the first connection fails.
    """

    def __init__(
        self, server: ConnectionFactory, channel: str, own: str, on_message: Callable[[bytes], None], on_gap: Callable[[], None]
    ) -> None:
        self._server = server
        self._channels = (channel, own)
        self._on_message = on_message
        self._on_gap = on_gap
        self._gap = False
        self._pause = PAUSE_SECONDS[0]
        self._generation = 0
        with server.errors():
            self._connection = self._subscribe()
        self._task = Task("redis: the subscription", self._serve)

    def close(self) -> None:
        """End the subscription."""
        self._task.stop()
        self._connection.disconnect()

    def _subscribe(self) -> RedisConnection:
        connection = self._server.connect()
        self._generation = self._server.generation
        ask(connection, "SUBSCRIBE", *self._channels)  # in one command: a script sees both or none
        return connection

    def _serve(self) -> None:
        while True:
            try:
                self._follow()
            except _Moved:
                pass
            except (RedisError, OSError) as error:
                self._server.unavailable(error)
            finally:
                self._connection.disconnect()
                self._gap = True
            gevent.sleep(self._pause * random.uniform(0.5, 1))  # noqa: S311 a jitter
            self._pause = min(2 * self._pause, PAUSE_SECONDS[1])

    def _follow(self) -> None:
        if self._gap:
            self._connection = self._subscribe()
            self._gap, self._pause = False, PAUSE_SECONDS[0]
            log.info("%s: signals are received again", self._server.state.label)
            self._on_gap()
        while True:
            self._wait()
            reply = self._connection.read_response(disable_decoding=True)
            if reply[0] == b"message":
                self._on_message(reply[2])

    def _wait(self) -> None:
        """Wait for the next message, pinging the server during long silences to detect a lost connection.

        A former primary still passes the messages of the present one on, but that does not count its subscribers and may send none.

        :raises _Moved: the connections should be replaced.
        """
        for _ in range(round(QUIET_SECONDS / LOOK_SECONDS)):
            if self._generation != self._server.generation:
                raise _Moved
            if self._connection.can_read(timeout=LOOK_SECONDS):
                return
        self._connection.send_command("PING")
        if not self._connection.can_read(timeout=self._server.seconds):
            raise TimeoutError("no answer to a ping")
