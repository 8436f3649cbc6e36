"""The common part of the clients for programs without asyncio."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Generic, Type, TypeVar

from . import aio
from .errors import ClientClosed
from .loop_thread import LoopThread

A = TypeVar("A", bound=aio.Client)
C = TypeVar("C", bound="Client[Any]")


class Client(Generic[A]):
    """The common part of both clients.

    :param client: the asyncio client.
    """

    def __init__(self, client: A) -> None:
        self._client = client
        self._thread: LoopThread | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return repr(self._client)

    def start(self) -> None:
        """Connect; return when the client has signed in, or after ``open_seconds``, when it keeps trying by itself.

        :raises PresenceError: the service refused the client for good, for example ``InvalidKey``.
        """
        if self._thread is not None:
            raise ClientClosed("a client can be started once")
        self._thread = LoopThread()
        try:
            self._thread.call(self._client.start())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; return when no thread of the client is left. It can be called again, from any thread but that of its event loop."""
        if self._thread is not None:
            self._thread.check()
        with self._lock:
            thread = self._thread
            if thread is None or thread.loop.is_closed():
                return
            try:
                thread.call(self._client.close())
            finally:
                thread.close()

    def __enter__(self: C) -> C:
        self.start()
        return self

    def __exit__(self, kind: Type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """True if the client is signed in at this moment."""
        return self._client.connected

    def running_thread(self) -> LoopThread:
        """Return the thread of the event loop.

        :raises PresenceError: the client has stopped, or was not started.
        """
        self._client.check_running()
        if self._thread is None or self._thread.loop.is_closed():
            raise ClientClosed()
        return self._thread
