"""The Python client in a process of its own: devices and one application's service, controlled by lines of JSON.

The argument is ``sync`` or ``asyncio``, the first line ``{"url", "appid", "key", "store", "people": [[puid, email, ticket], ..]}``. Each
command is answered by what was seen so far. Every frame is compared with the AsyncAPI document.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import signal
import sys
import threading
import time
from collections import Counter
from typing import Any

from dpresence_client import AppService, Change, Device, FileStore, NotConnected, OutcomeUnknown, aio

from dpresence.tests.checked_client import check_frames

LIFE_SECONDS = 300
STATUSES = ("online", "unavailable", "offline")


class Given:
    """A ticket store that begins with a ticket."""

    def __init__(self, ticket: str) -> None:
        self._ticket: str | None = ticket

    def load(self) -> str | None:
        return self._ticket

    def save(self, ticket: str | None) -> None:
        self._ticket = ticket


class Book:
    """Account of everything that the clients receive.

    :ivar copy: the table that the changes lead to.
    :ivar repeated: changes that changed nothing.
    """

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.accepted: set[str] = set()
        self.copy: dict[str, tuple[str, int]] = {}
        self.seen: Counter[str] = Counter()
        self.uncertain = self.repeated = 0
        self.errors: list[str] = []

    def notified(self, notification: Any) -> None:
        self.received[notification.id] += 1

    def follow(self, change: Change) -> None:
        self.repeated += self.copy.get(change.puid) == (change.status, change.at)
        self.copy[change.puid] = (change.status, change.at)
        self.seen[f"{change.status} {change.origin}"] += 1

    def report(self, app: Any, devices: dict[str, Any]) -> dict[str, Any]:
        return {
            "connected": sum(client.connected for client in (app, *devices.values())),
            "current": app.current,
            "table": app.table.copy(),
            "copy": self.copy,
            "statuses": {puid: device.status for puid, device in devices.items()},
            "received": len(self.received),
            "doubled": sum(count > 1 for count in self.received.values()),
            "accepted": len(self.accepted),
            "missing": len(self.accepted - set(self.received)),
            "uncertain": self.uncertain,
            "repeated": self.repeated,
            "seen": self.seen,
            "errors": self.errors,
        }


def lines() -> Any:
    """Yield the commands."""
    for line in iter(sys.stdin.readline, ""):
        yield json.loads(line)


def answer(report: dict[str, Any]) -> None:
    print(json.dumps(report), flush=True)


def no_credentials() -> None:
    """Say that nobody is signed in: a device whose ticket is refused stops, which the test sees."""


def run_sync(given: dict[str, Any], book: Book) -> None:
    """Run the clients for programs without asyncio."""
    app = AppService(given["url"], given["appid"], given["key"], store=FileStore(given["store"]), answer_seconds=120)
    devices = {
        puid: Device(given["url"], email, no_credentials, device="d", tickets=Given(ticket), open_seconds=0.05)
        for puid, email, ticket in given["people"]
    }
    pause_until = 0.0

    def iterate() -> None:
        try:
            for change in app:
                book.follow(change)
                time.sleep(max(0.0, pause_until - time.monotonic()))
        except Exception as error:
            book.errors.append(repr(error))

    def act() -> None:
        for puid, device in devices.items():
            try:
                device.status = random.choice(STATUSES)
                book.accepted.add(app.notify(puid, "Your move").id)
            except (OutcomeUnknown, NotConnected):
                book.uncertain += 1
            except Exception as error:
                book.errors.append(repr(error))

    app.start()
    threads = [threading.Thread(target=iterate)]
    for device in devices.values():
        device.start()
        device.on_notification(book.notified)
    threads[0].start()
    for command in lines():
        if command["do"] == "act":
            threads.append(threading.Thread(target=act))
            threads[-1].start()
        elif command["do"] == "pause":
            pause_until = time.monotonic() + command["seconds"]
        answer(book.report(app, devices) | {"acting": sum(thread.is_alive() for thread in threads) - 1})
    for client in (*devices.values(), app):
        client.close()
    for thread in threads:
        thread.join()


async def run_asyncio(given: dict[str, Any], book: Book) -> None:
    """Run the clients for asyncio."""
    app = aio.AppService(given["url"], given["appid"], given["key"], store=FileStore(given["store"]), answer_seconds=120)
    devices = {
        puid: aio.Device(given["url"], email, no_credentials, device="d", tickets=Given(ticket)) for puid, email, ticket in given["people"]
    }
    pause_until = 0.0

    async def iterate() -> None:
        try:
            async for change in app:
                book.follow(change)
                if pause_until > time.monotonic():
                    await asyncio.sleep(pause_until - time.monotonic())
        except Exception as error:
            book.errors.append(repr(error))

    async def act() -> None:
        for puid, device in devices.items():
            try:
                device.status = random.choice(STATUSES)
                book.accepted.add((await app.notify(puid, "Your move")).id)
            except (OutcomeUnknown, NotConnected):
                book.uncertain += 1
            except Exception as error:
                book.errors.append(repr(error))

    await app.start()
    await asyncio.gather(*(device.start() for device in devices.values()))
    for device in devices.values():
        device.on_notification(book.notified)
    iteration, acts = asyncio.create_task(iterate()), set[asyncio.Task[None]]()
    commands = lines()
    while (command := await asyncio.to_thread(next, commands, None)) is not None:
        if command["do"] == "act":
            acts.add(asyncio.create_task(act()))
        elif command["do"] == "pause":
            pause_until = time.monotonic() + command["seconds"]
        answer(book.report(app, devices) | {"acting": sum(not task.done() for task in acts)})
    for client in (*devices.values(), app):
        await client.close()
    await asyncio.gather(iteration, *acts)


def main() -> None:
    signal.alarm(LIFE_SECONDS)
    logging.getLogger("dpresence_client").setLevel(logging.ERROR)
    book = Book()
    check_frames(book.errors)
    given = json.loads(sys.stdin.readline())
    if sys.argv[1] == "sync":
        run_sync(given, book)
    else:
        asyncio.run(run_asyncio(given, book))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("dpresence")] == []


if __name__ == "__main__":
    main()
