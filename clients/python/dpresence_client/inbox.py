"""A bounded queue of received items that the program has not taken yet. The event loop fills it; any thread may empty it."""

from __future__ import annotations

import asyncio
import queue
from contextlib import suppress
from typing import Any, Callable

MAX_ITEMS = 256
"""Batches after which a client reads no more. The service then closes it as a slow reader, and it continues from its cursor."""


class Inbox:
    """A queue of batches or notifications. After ``end``, each ``get`` returns None.

    :param hurried: returns True while the client has to read although the inbox is full, as it waits for an answer.
    """

    def __init__(self, hurried: Callable[[], bool]) -> None:
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._hurried = hurried
        self._loop = asyncio.get_running_loop()
        self._paused = False
        self._space = asyncio.Event()
        self._arrived = asyncio.Event()

    def put(self, item: Any) -> None:
        """Add an item; call it in the event loop."""
        self._items.put(item)
        self._arrived.set()

    def end(self) -> None:
        """Add the end."""
        self.put(None)

    async def may_read(self) -> None:
        """Wait while the inbox is full and nothing is hurried."""
        while self._items.qsize() >= MAX_ITEMS:
            self._paused = True  # before the second look, so that a thread that empties the inbox meanwhile sees it
            self._space.clear()
            if self._items.qsize() < MAX_ITEMS or self._hurried():
                break
            await self._space.wait()
        self._paused = False

    def hurry(self) -> None:
        """Check again whether reading may go on; call it in the event loop."""
        self._space.set()

    def get(self, seconds: float | None) -> Any:
        """Return the next item, in any thread but that of the event loop.

        :raises queue.Empty: there is none within some seconds.
        """
        item = self._items.get(timeout=seconds)
        if self._paused and self._items.qsize() <= MAX_ITEMS // 2:
            self._paused = False
            with suppress(RuntimeError):  # the event loop has ended
                self._loop.call_soon_threadsafe(self._space.set)
        return self._again(item)

    async def get_soon(self, seconds: float | None) -> Any:
        """Return the next item, in the event loop.

        :raises queue.Empty: there is none within some seconds.
        """
        while True:
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                await self._wait(seconds)
                continue
            if self._items.qsize() < MAX_ITEMS:
                self._space.set()
            return self._again(item)

    async def _wait(self, seconds: float | None) -> None:
        """Wait for an item. A timer is cheaper than ``asyncio.wait_for``, which makes a task each time."""
        self._arrived.clear()
        timer = self._loop.call_later(seconds, self._arrived.set) if seconds is not None else None
        await self._arrived.wait()
        if timer is None:
            return
        timer.cancel()
        if self._items.empty():
            raise queue.Empty

    def _again(self, item: Any) -> Any:
        if item is None:
            self._items.put(None)  # for the next call
        return item
