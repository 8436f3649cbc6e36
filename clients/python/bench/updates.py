"""Measures the CPU time that an ``AppService`` takes per update, as a ratio to parsing the same frames with nothing around.

The frames come from a process of its own, over loopback. Only the ratio carries over to another machine. The exit status is 1 if one
core takes fewer than 20,000 updates a second.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from typing import Any, Callable

from websockets.asyncio.server import serve

from dpresence_client import AppService, aio

GOAL = 20_000
UPDATES = 40_000
PUIDS = 1000
STATUSES = ("online", "unavailable", "offline")


def frames(entries: int) -> list[str]:
    """Return frames of some entries each, as the service writes them."""
    updates = [
        {
            "puid": f"1ik2ExyySaaQ6Dpi5{number % PUIDS:05}",
            "status": STATUSES[number // PUIDS % 3],
            "at": 1795364512000 + number,
            "reason": "explicit",
        }
        for number in range(UPDATES)
    ]
    pages = [updates[first : first + entries] for first in range(0, UPDATES, entries)]
    return [
        json.dumps({"updates": page, "cursor": f"a09382be157d087b:{number}"}, separators=(",", ":")) for number, page in enumerate(pages)
    ]


def run_server(entries: int, port: Any) -> None:
    """Send the frames to each client that signs in."""

    async def handler(connection: Any) -> None:
        await connection.recv()
        await connection.send(json.dumps({"result": "OK", "action": "auth", "recovery": "replayed", "id": "auth"}))
        for frame in frames(entries):
            await connection.send(frame)
        await connection.wait_closed()

    async def run() -> None:
        async with serve(handler, "127.0.0.1", 0, compression=None) as server:
            port.send(next(iter(server.sockets)).getsockname()[1])
            await asyncio.get_running_loop().create_future()

    asyncio.run(run())


def parse(texts: list[str]) -> None:
    """Parse the frames and do nothing else."""
    for text in texts:
        json.loads(text)


def iterate(url: str) -> None:
    """Take all updates in an ordinary program."""
    with AppService(url, "app", "key") as app:
        for number, _ in enumerate(app, 1):
            if number == UPDATES:
                return


def iterate_asyncio(url: str) -> None:
    """Take all updates in a program with asyncio."""

    async def run() -> None:
        async with aio.AppService(url, "app", "key") as app:
            number = 0
            async for _ in app:
                number += 1
                if number == UPDATES:
                    return

    asyncio.run(run())


def measured(work: Callable[[Any], None], argument: Any) -> float:
    """Return the least CPU time of three runs, in seconds per update."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work(argument)
        times.append(time.process_time() - start)
    return min(times) / UPDATES


def main() -> int:
    """Print a line for each way and size of frames."""
    worst = float("inf")
    for entries in (1, 500):
        texts = frames(entries)
        near, far = multiprocessing.Pipe()
        server = multiprocessing.Process(target=run_server, args=(entries, far), daemon=True)
        server.start()
        url = f"http://127.0.0.1:{near.recv()}"
        parsing = measured(parse, texts)
        for name, work in (("AppService", iterate), ("aio.AppService", iterate_asyncio)):
            took = measured(work, url)
            worst = min(worst, 1 / took)
            print(f"{name:14} frames of {entries:3} updates: {1 / took:9,.0f} updates/s on one core, {took / parsing:4.1f} times parsing")
        server.terminate()
        server.join()
    print(f"goal: {GOAL:,} updates/s, {'met' if worst >= GOAL else 'missed'} by a factor of {max(worst / GOAL, GOAL / worst):.1f}")
    return int(worst < GOAL)


if __name__ == "__main__":
    sys.exit(main())
