"""A Redis client that sends the operations of all greenlets in batches over one connection.

Operations that arrive while a batch is in flight form the next batch: a busy process pays for one round trip and one script per batch,
and an idle process sends each operation at once.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent import Timeout
from gevent.event import AsyncResult, Event
from redis import RedisError

from ...errors import BackendUnavailable
from ...tasks import Task
from .connections import ConnectionFactory, RedisConnection

log = logging.getLogger(__name__)

Operation = tuple[Any, ...]
ExecuteBatch = Callable[[Sequence[Operation]], Sequence[Any]]
"""Executes a batch and returns one result per operation; a ``BackendUnavailable`` among them fails only its operation."""
OpenConnection = Callable[[RedisConnection], ExecuteBatch]

BATCH = 200
"""Maximum weight of one batch; a batch takes a few milliseconds of the server's time."""
PAUSE_SECONDS = 0.5
"""Time after a failure in which calls fail immediately and no operation is sent."""


class Unanswered(BackendUnavailable):
    """The operation was sent, but it is unknown whether the server executed it."""


class _Call:
    """One operation in progress. ``wanted`` is true until its caller stops waiting."""

    __slots__ = ("operation", "result", "sent", "wanted")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.result = AsyncResult()
        self.sent = False
        self.wanted = True

    def failure(self) -> BackendUnavailable:
        """Return the error for a caller that receives no result."""
        return Unanswered() if self.sent else BackendUnavailable()


class BatchingClient:
    """Executes operations in the order of the calls. Any greenlet of the native thread that created the client may use it.

    :param begin: called with each new connection; returns the function that executes a batch on it. Raises the driver's errors.
    :param waiting: maximum number of operations that wait for the next batch.
    :param weigh: returns the weight of an operation in a batch, 1 or more; an operation heavier than a batch is sent alone.
    """

    def __init__(
        self,
        server: ConnectionFactory,
        begin: OpenConnection,
        waiting: int = 10_000,
        weigh: Callable[[Operation], int] = lambda operation: 1,
    ) -> None:
        self._server = server
        self._begin = begin
        self._max_waiting = waiting
        self._weigh = weigh
        self._calls: deque[_Call] = deque()
        self._work = Event()
        self._connection: RedisConnection | None = None
        self._execute: ExecuteBatch | None = None
        self._paused = False
        self._closed = False
        self._worker = Task("redis: the client", self._serve)

    def call(self, *operation: Any) -> Any:
        """Execute one operation and return its result, within ``redis.timeout_seconds``.

        An operation that times out after it was sent may still be executed, before every operation that is sent later.

        :raises Unanswered: the server failed or the deadline passed after the operation was sent.
        :raises BackendUnavailable: the same before it was sent, or too many operations are waiting; the operation is not executed.
        """
        if self._paused or self._closed or len(self._calls) >= self._max_waiting:
            raise BackendUnavailable
        call = _Call(operation)
        self._calls.append(call)
        self._work.set()
        try:
            return call.result.get(timeout=self._server.seconds)
        except Timeout:
            raise call.failure() from None
        finally:
            call.wanted = False

    def close(self) -> None:
        """Close the connection and fail all waiting calls. Idempotent."""
        self._closed = True
        self._worker.stop()
        self._disconnect()
        self._fail(self._calls)

    # -- the worker

    def _serve(self) -> None:
        while True:
            self._work.wait()
            self._work.clear()
            while self._calls:
                self._send(self._next_batch())

    def _next_batch(self) -> list[_Call]:
        """Remove the calls of the next batch, at least one, from the queue."""
        batch = [self._calls.popleft()]
        weight = self._weigh(batch[0].operation)
        while self._calls and (weight := weight + self._weigh(self._calls[0].operation)) <= BATCH:
            batch.append(self._calls.popleft())
        return batch

    def _send(self, batch: list[_Call]) -> None:
        try:
            execute = self._ready()
            wanted = [call for call in batch if call.wanted]
            for call in wanted:
                call.sent = True
            results = execute([call.operation for call in wanted]) if wanted else ()
            for call, result in zip(wanted, results, strict=True):
                if isinstance(result, BackendUnavailable):  # only this operation failed
                    call.result.set_exception(result)
                else:
                    call.result.set(result)
        except (RedisError, OSError) as error:
            self._server.unavailable(error)
            self._give_up(batch)
        except Exception:  # a bug in this service; the next batch may succeed
            log.exception("redis: a batch failed")
            self._give_up(batch)

    def _ready(self) -> ExecuteBatch:
        if self._execute is None:
            self._connection = self._server.connect()
            self._execute = self._begin(self._connection)
        return self._execute

    def _give_up(self, batch: list[_Call]) -> None:
        """Fail all waiting calls at once, and accept new calls after a pause."""
        self._disconnect()
        self._paused = True
        gevent.spawn_later(PAUSE_SECONDS * random.uniform(0.5, 1), self._resume)  # noqa: S311 a jitter
        self._fail(batch)
        self._fail(self._calls)

    def _resume(self) -> None:
        self._paused = False

    def _fail(self, calls: Sequence[_Call]) -> None:
        for call in calls:
            if not call.result.ready():
                call.result.set_exception(call.failure())
        if calls is self._calls:
            self._calls.clear()

    def _disconnect(self) -> None:
        connection, self._connection, self._execute = self._connection, None, None
        if connection is not None:
            connection.disconnect()
