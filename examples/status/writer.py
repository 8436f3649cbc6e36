"""Writes the status of one account until the newest one is written."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress

from targets import Refused, Target, TryAgain

log = logging.getLogger(__name__)
LEAST_SECONDS, MOST_SECONDS = 1.0, 300.0


class Writer:
    """One account. Of several statuses that are wanted while a call fails, only the newest is written.

    :param name: in the log.
    """

    def __init__(self, name: str, target: Target) -> None:
        self._name, self._target = name, target
        self._wanted = "offline"
        self._new, self._settled = asyncio.Event(), asyncio.Event()
        self._settled.set()

    def want(self, status: str) -> None:
        """Have a status written."""
        self._wanted = status
        self._settled.clear()
        self._new.set()

    async def settled(self) -> None:
        """Wait until the newest status is written, or refused."""
        await self._settled.wait()

    async def run(self) -> None:
        """Write each wanted status, and again from time to time."""
        await self._new.wait()
        while True:
            await self._write()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._new.wait(), self._target.refresh_seconds if self._wanted != "offline" else None)

    async def _write(self) -> None:
        """Write the newest status, with growing waits between failures."""
        failures = 0
        while True:
            self._new.clear()
            status = self._wanted
            try:
                await self._target.set(status)
            except TryAgain as error:
                failures += 1
                wait = max(error.seconds, random.uniform(0.5, 1) * min(MOST_SECONDS, LEAST_SECONDS * 2**failures))
                log.warning("%s: %s; next attempt in %.1f s", self._name, error, wait)
                await asyncio.sleep(wait)
                continue
            except Refused as error:
                log.error("%s: %s is not written: %s", self._name, status, error)
            else:
                log.info("%s: %s", self._name, status)
            if not self._new.is_set():
                self._settled.set()
                return
            failures = 0
