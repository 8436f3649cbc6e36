"""The common part of both asyncio clients."""

from __future__ import annotations

from types import TracebackType
from typing import Type, TypeVar

from ..core import Phase
from ..driver import Driver
from ..errors import ClientClosed
from ..inbox import Inbox

C = TypeVar("C", bound="Client")
OPEN_SECONDS = 10.0


class Client:
    """The common part of both clients: start, close, and the reason why they have stopped.

    :ivar driver: runs the core; made by ``start``.
    :ivar inbox: what was received and not taken yet; made by ``start``.
    """

    driver: Driver
    inbox: Inbox

    def __init__(self, open_seconds: float) -> None:
        self._open_seconds = open_seconds
        self._started = False

    async def start(self) -> None:
        """Connect; return when the client has signed in, or after ``open_seconds``, when it keeps trying by itself.

        :raises PresenceError: the service refused the client for good, for example ``InvalidKey``.
        """
        if self._started:
            raise ClientClosed("a client can be started once")
        self._started = True
        self._make()
        try:
            await self.driver.start(self._open_seconds)
        except BaseException:
            await self.driver.close()
            raise

    async def close(self) -> None:
        """Disconnect; return when no task and no thread of the client is left. It can be called again."""
        if self._started:
            await self.driver.close()

    async def __aenter__(self: C) -> C:
        await self.start()
        return self

    async def __aexit__(self, kind: Type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """True if the client is signed in at this moment."""
        return self._started and self.driver.core.phase is Phase.CONNECTED

    def check_running(self) -> None:
        """Raise the error that stopped the client.

        :raises PresenceError: see ``Refused`` and ``Closed``; ``ClientClosed`` after ``close``, or before ``start``.
        """
        if not self._started:
            raise ClientClosed("this client is not started")
        core = self.driver.core
        if core.phase is Phase.STOPPED:
            raise core.error or ClientClosed()

    def end_of_iteration(self) -> None:
        """Raise the error that stopped the client, unless it was closed by its program."""
        if self.driver.core.error is not None:
            raise self.driver.core.error

    def _make(self) -> None:
        raise NotImplementedError
