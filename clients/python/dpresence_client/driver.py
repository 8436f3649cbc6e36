"""Runs a core in an event loop: carries out its outputs, passes it events and the time."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Awaitable, Callable, Dict, Protocol, Set

from .core import Core, Phase, log
from .credentials import Credentials, obtain
from .device_core import DeviceCore
from .errors import CredentialsError, PresenceError, StoreError
from .outputs import AskCredentials, Connect, Connected, Disconnect, Output, SaveTicket, Send
from .stores import Tickets
from .upgrades import Upgrades
from .websocket import Websocket

RANDOM = random.SystemRandom().random
_FLUSH_SECONDS = 2.0
_SETTLE_SECONDS = 30.0
"""Longest wait for a moment without an answer that is owed, before a websocket is tried again."""
_NORMAL = 1000


class Connection(Protocol):
    """A websocket, or what behaves like one."""

    @property
    def task(self) -> asyncio.Future[None]:
        """Runs until the connection has ended."""

    def send(self, text: str) -> None:
        """Send a text frame, in order."""

    def disconnect(self, code: int) -> None:
        """Close, and report nothing more."""


Fallback = Callable[[str, "ssl.SSLContext | None", Any, Callable[[], Awaitable[None]]], Connection]


class Driver:
    """Runs one core. Everything happens in the event loop that calls ``start``.

    :param url: URL of the channel.
    :param context: TLS settings; None for the default ones.
    :param handlers: handlers of the other outputs, by type.
    :param may_read: returns at once, or when the program has room for another message.
    :param fallback: connects without a websocket, once a proxy did not pass one on; it is called as ``Websocket`` is.
    :param lost: is called when a connection that had signed in has ended.
    :ivar stopped: set when the client has stopped for good.
    :ivar threads: runs what may block; its threads end with ``close``.
    """

    def __init__(
        self,
        core: Core,
        url: str,
        context: ssl.SSLContext | None,
        handlers: Dict[type, Callable[[Any], None]],
        may_read: Callable[[], Awaitable[None]],
        fallback: Fallback,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.core = core
        self.threads = ThreadPoolExecutor(2, thread_name_prefix="dpresence-client")
        self._url, self._context, self._may_read = url, context, may_read
        self._fallback, self._upgrades = fallback, Upgrades()
        self._websocket: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: Set[asyncio.Future[Any]] = set()
        self._cancelled_at_close: Set[asyncio.Future[Any]] = set()
        self._pumping = self._connected_before = False
        self._lost = lost
        self._first = asyncio.Event()
        self.stopped = asyncio.Event()
        self._handlers: Dict[type, Callable[[Any], None]] = {
            Connect: self._connect,
            Disconnect: self._disconnect,
            Send: self._send,
            Connected: self._connected,
            **handlers,
        }

    @property
    def now(self) -> float:
        """Time of the event loop, seconds."""
        return asyncio.get_running_loop().time()

    def event(self, name: str, *values: Any) -> None:
        """Pass an event to the core, with the time."""
        getattr(self.core, name)(*values, self.now)
        self.pump()

    async def start(self, seconds: float) -> None:
        """Start; return when the client has signed in, or keeps trying after some seconds.

        :raises PresenceError: the service refused the client for good.
        """
        self.event("start")
        try:
            await asyncio.wait_for(self._first.wait(), seconds)
        except asyncio.TimeoutError:
            return
        if self.core.phase is Phase.STOPPED and self.core.error is not None:
            raise self.core.error

    def note_stopped(self) -> None:
        """Note that the client has stopped."""
        self._first.set()
        self.stopped.set()

    async def close(self) -> None:
        """Send what has yet to be sent, for a moment, then disconnect; return when no task and no thread is left."""
        until = self.now + _FLUSH_SECONDS
        while not self.core.settled and self.now < until:
            await asyncio.sleep(0.01)
        self.core.stop()
        self.pump()
        for task in self._cancelled_at_close:
            task.cancel()
        while others := self._tasks - {asyncio.current_task()}:  # a callback may call this
            await asyncio.wait(others)
        self.threads.shutdown()

    def spawn(self, work: Any) -> asyncio.Future[Any]:
        """Run a coroutine or future that ``close`` waits for."""
        task: asyncio.Future[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- outputs

    def pump(self) -> None:
        """Carry out the outputs of the core, in order, also those that a handler causes."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while outputs := self.core.take():
                for output in outputs:
                    self._carry_out(output)
        finally:
            self._pumping = False
        connected = self.core.phase is Phase.CONNECTED
        if self._connected_before and not connected:
            self._lost()
        self._connected_before = connected
        self._set_timer()

    def _carry_out(self, output: Output) -> None:
        self._handlers[type(output)](output)

    def _set_timer(self) -> None:
        deadline = self.core.deadline
        if self._timer is not None:
            if self._timer.when() == deadline and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.event("tick")  # a timer may fire a little early: then ``pump`` sets it again

    def _connect(self, _: Connect) -> None:
        wait = self._upgrades.seconds(self.now) if self.core.blocked else 0.0
        self.core.blocked = wait > 0
        kinds: Dict[bool, Fallback] = {True: self._fallback, False: Websocket}
        self._websocket = connection = kinds[wait > 0](self._url, self._context, self.event, self._may_read)
        self.spawn(connection.task)
        if wait:
            upgrade = self.spawn(self._try_websocket(connection, wait))
            connection.task.add_done_callback(lambda _: upgrade.cancel())

    async def _try_websocket(self, connection: Connection, seconds: float) -> None:
        """End a connection without a websocket after some seconds, to try one again; wait for a while if an answer is owed."""
        await asyncio.sleep(seconds)
        until = self.now + _SETTLE_SECONDS
        while not self.core.settled and self.now < until:
            await asyncio.sleep(1)
        if connection is self._websocket and not connection.task.done():
            connection.disconnect(_NORMAL)
            self.event("closed", _NORMAL, "a websocket is tried again")

    def _connected(self, _: Connected) -> None:
        self._first.set()
        if not self.core.blocked:
            self._upgrades.opened()

    def _disconnect(self, output: Disconnect) -> None:
        if self._websocket is not None:
            self._websocket.disconnect(output.code)

    def _send(self, output: Send) -> None:
        if self._websocket is not None:
            self._websocket.send(json.dumps(output.frame, separators=(",", ":")))


class DeviceDriver(Driver):
    """Runs the core of a device, with its credentials and its ticket."""

    def __init__(self, core: DeviceCore, credentials: Credentials, tickets: Tickets, **options: Any) -> None:
        super().__init__(core, **options)
        self._credentials = credentials
        self._tickets = tickets
        self._handlers.update({AskCredentials: self._begin_to_ask, SaveTicket: self._save})

    def _begin_to_ask(self, _: AskCredentials) -> None:
        self._cancelled_at_close = {self.spawn(self._ask())}

    async def _ask(self) -> None:
        try:
            assertion = await self._call()
        except CredentialsError as error:
            self.event("credentials_failed", str(error), error.retry_after)
        except PresenceError as error:
            self._stop(error)
        except Exception as error:  # of the program's own code, which may work the next time
            log.exception("the credentials failed")
            self.event("credentials_failed", f"the credentials failed: {type(error).__name__}", 0)
        else:
            self.event("credentials", assertion)

    async def _call(self) -> str | None:
        loop = asyncio.get_running_loop()
        return await obtain(self._credentials, lambda call: asyncio.shield(self.spawn(loop.run_in_executor(self.threads, call))))

    def _stop(self, error: PresenceError) -> None:
        self.core.stop(error)
        self.pump()

    def _save(self, output: SaveTicket) -> None:
        try:
            self._tickets.save(output.ticket)
        except StoreError as error:
            log.error("the ticket is not stored: %s", error)
