"""A Redis client that sends the operations of all greenlets in batches over one connection.

Operations that arrive while a batch is in flight form the next batch: a busy process pays for one round trip and one script per batch,
and an idle process sends each operation at once.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gevent
from gevent.event import Event
from gevent.hub import Waiter
from redis import RedisError

from ...errors import BackendUnavailable
from ...tasks import Task
from .connection import RedisConnection
from .connections import ConnectionFactory
from .state import CONNECTED, OK, state_of
from .watch import Watch

log = logging.getLogger(__name__)

Operation = tuple[Any, ...]
ExecuteBatch = Callable[[Sequence[Operation]], Sequence[Any]]
"""Executes a batch and returns one result per operation; a ``BackendUnavailable`` among them fails only its operation."""
OpenConnection = Callable[[RedisConnection], ExecuteBatch]
Done = Callable[[Any], object]
"""Receives the result of an operation, or a ``BackendUnavailable``. It must neither block nor raise."""

BATCH = 200
"""Maximum weight of one batch; a batch takes a few milliseconds of the server's time."""
PAUSE_SECONDS = 0.5
"""Time after a failure in which calls fail immediately and no operation is sent."""


class Unanswered(BackendUnavailable):
    """The operation was sent, but it is unknown whether the server executed it."""


class _Call:
    """One operation in progress.

    :ivar done: None once it was called, or if the caller no longer waits.
    """

    __slots__ = ("deadline", "done", "operation", "sent")

    def __init__(self, operation: Operation, done: Done, deadline: float) -> None:
        self.operation = operation
        self.done: Done | None = done
        self.deadline = deadline
        self.sent = False

    def finish(self, result: Any) -> None:
        """Pass the result to the caller, unless that was done before. Called in the event loop."""
        done, self.done = self.done, None
        if done is not None:
            try:
                done(result)
            except Exception:  # a bug of the caller; others still receive their results
                log.exception("redis: a result was not handled")

    def fail(self) -> None:
        """Pass an error to the caller that receives no result."""
        if self.done is not None:
            self.finish(Unanswered() if self.sent else BackendUnavailable())


class BatchingClient:
    """Executes operations in the order of the calls. Any greenlet of the native thread that created the client may use it.

    :param begin: called with each new connection; returns the function that executes a batch on it. Raises the driver's errors.
    :param name: name of its calls in the metrics.
    :param waiting: maximum number of operations that wait for the next batch.
    :param weigh: returns the weight of an operation in a batch, 1 or more; an operation heavier than a batch is sent alone.
    """

    def __init__(
        self,
        server: ConnectionFactory,
        begin: OpenConnection,
        name: str = "",
        waiting: int = 10_000,
        weigh: Callable[[Operation], int] = lambda operation: 1,
    ) -> None:
        self._server = server
        self._begin = begin
        self._max_waiting = waiting
        self._weigh = weigh
        self._calls: deque[_Call] = deque()
        self._in_flight: Sequence[_Call] = ()
        self._loop = gevent.get_hub().loop
        self._deadline_timer: Any = None
        self._work = Event()
        self._connection: RedisConnection | None = None
        self._execute: ExecuteBatch | None = None
        self._paused = False
        self._closed = False
        self.measures = server.measures(name, lambda: len(self._calls) + len(self._in_flight))
        self._seconds = self.measures.seconds[name]
        self._generation = 0
        self._worker = Task("redis: the client", self._serve)
        self._watch = Watch(server)

    def call(self, *operation: Any) -> Any:
        """Execute one operation and return its result, within ``redis.timeout_seconds``.

        An operation that times out after it was sent may still be executed, before every operation that is sent later.

        :raises Unanswered: the server failed or the deadline passed after the operation was sent.
        :raises BackendUnavailable: the same before it was sent, or too many operations are waiting; the operation is not executed.
        """
        waiter = Waiter()
        call = self._start(operation, waiter.switch)
        try:
            result = waiter.get()
        finally:
            call.done = None
        if _is_error(result):
            raise result
        return result

    def submit(self, operation: Operation, done: Done) -> None:
        """Execute one operation like ``call``, without waiting: ``done`` is called once, in the event loop, with its result or error.

        :raises BackendUnavailable: the operation is not executed, and ``done`` is not called.
        """
        self._start(operation, done)

    def _start(self, operation: Operation, done: Done) -> _Call:
        if self._paused or self._closed or len(self._calls) >= self._max_waiting:
            raise BackendUnavailable
        call = _Call(operation, done, time.monotonic() + self._server.seconds)
        self._calls.append(call)
        self._work.set()
        if self._deadline_timer is None:
            self._start_timer(self._server.seconds)
        return call

    def close(self) -> None:
        """Close the connection and fail all waiting calls. Idempotent."""
        self._closed = True
        waiting = [*self._in_flight, *self._calls]
        self._watch.stop()
        self._worker.stop()
        self._disconnect()
        self._fail(waiting)
        self._stop_timer()

    # -- deadlines: one timer for all calls, as most of them end long before

    def _start_timer(self, seconds: float) -> None:
        self._deadline_timer = self._loop.timer(seconds)
        self._deadline_timer.start(self._expire)

    def _stop_timer(self) -> None:
        timer, self._deadline_timer = self._deadline_timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def _expire(self) -> None:
        """Fail the calls whose deadline has passed. Called in the event loop."""
        self._stop_timer()
        now, calls = time.monotonic(), [*self._in_flight, *self._calls]  # in the order of their deadlines
        following = next((call.deadline for call in calls if call.deadline > now), None)
        if following is not None and not self._closed:
            self._start_timer(following - now)  # first, because a failed call may start another one
        for call in calls:
            if call.deadline <= now:
                call.fail()

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
        self._in_flight = batch
        try:
            execute = self._ready()
            wanted = [call for call in batch if call.done is not None]
            for call in wanted:
                call.sent = True
            if wanted:
                began = time.monotonic()
                results = execute([call.operation for call in wanted])
                self._seconds.observe(time.monotonic() - began)
                done = list(zip(wanted, results, strict=True))
                if self._server.state.current != OK:
                    self._server.state.answered(wrote=any(call.operation[0] == "ping" and not _is_error(result) for call, result in done))
                self._loop.run_callback(_finish, done)
        except (RedisError, OSError) as error:
            self._server.unavailable(error)
            if self._execute and state_of(error) in CONNECTED:
                self._fail(batch)
            else:
                self._give_up(batch)
        except Exception:  # a bug in this service; the next batch may succeed
            log.exception("%s: a batch failed", self._server.state.label)
            self._give_up(batch)
        except BaseException:  # the worker ends, and starts again
            self._fail(batch)
            raise
        finally:
            self._in_flight = ()

    def _ready(self) -> ExecuteBatch:
        if self._execute is not None and self._generation != self._server.generation:
            self._disconnect()
        if self._execute is None:
            self._connection = self._server.connect()
            self._generation = self._server.generation
            self._execute = self._begin(self._connection)
        return self._execute

    def _give_up(self, batch: list[_Call]) -> None:
        """Fail all waiting calls at once, and accept new calls after a pause."""
        self._disconnect()
        self._paused = True
        gevent.spawn_later(PAUSE_SECONDS * random.uniform(0.5, 1), self._resume)  # noqa: S311 a jitter
        waiting = [*batch, *self._calls]
        self._calls.clear()
        self._fail(waiting)

    def _resume(self) -> None:
        self._paused = False

    def _fail(self, calls: Iterable[_Call]) -> None:
        self._loop.run_callback(_fail, calls)

    def _disconnect(self) -> None:
        connection, self._connection, self._execute = self._connection, None, None
        if connection is not None:
            connection.disconnect()


def _is_error(result: Any) -> bool:
    return isinstance(result, BackendUnavailable)


def _finish(results: Iterable[tuple[_Call, Any]]) -> None:
    for call, result in results:
        call.finish(result)


def _fail(calls: Iterable[_Call]) -> None:
    for call in calls:
        call.fail()
