"""Measures the CPU time that an ``AppService`` takes per update, as a ratio to parsing the same frames with nothing around.

The frames come from a process of its own, over loopback. Only the ratio carries over to another machine. The JavaScript client is
measured as well, if Node is installed. The exit status is 1 if one core takes fewer updates a second than the goal of its language.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

from websockets.asyncio.server import serve

from dpresence_client import AppService, aio

PYTHON_GOAL, NODE_GOAL = 20_000, 100_000
UPDATES = 40_000
SCRIPT = Path(__file__).parents[2] / "js" / "bench" / "updates.mjs"
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


@contextmanager
def serving(entries: int) -> Iterator[str]:
    """Run the server; yields its URL."""
    near, far = multiprocessing.Pipe()
    server = multiprocessing.Process(target=run_server, args=(entries, far), daemon=True)
    server.start()
    yield f"http://127.0.0.1:{near.recv()}"
    server.terminate()
    server.join()


def measured_in_node(url: str) -> dict[str, float]:
    """Return the seconds per update of both ways and of parsing."""
    command = ["node", "--no-warnings", "--experimental-websocket", str(SCRIPT), url, str(UPDATES)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return dict(json.loads(ran.stdout))


def show(name: str, entries: int, took: float, parsing: float) -> float:
    """Print a line; return the number of updates per second."""
    print(f"{name:22} frames of {entries:3} updates: {1 / took:9,.0f} updates/s on one core, {took / parsing:4.1f} times parsing")
    return 1 / took


def verdict(language: str, goal: int, rates: list[float]) -> bool:
    """Print whether the goal is met; return True if it is."""
    factor = min(rates) / goal
    print(f"{language}: goal {goal:,} updates/s, {'met' if factor >= 1 else 'missed'} by a factor of {max(factor, 1 / factor):.1f}")
    return factor >= 1


def main() -> int:
    """Print a line for each way and size of frames."""
    rates: dict[str, list[float]] = {"python": [], "node": []}
    for entries in (1, 500):
        with serving(entries) as url:
            parsing = measured(parse, frames(entries))
            for name, work in (("AppService", iterate), ("aio.AppService", iterate_asyncio)):
                rates["python"].append(show(name, entries, measured(work, url), parsing))
            if shutil.which("node"):
                found = measured_in_node(url)
                parsing = found.pop("parsing")
                rates["node"] += [show(f"Node, with a {way}", entries, took, parsing) for way, took in found.items()]
    met = verdict("Python", PYTHON_GOAL, rates["python"])
    if not rates["node"]:
        print("Node is not installed: the JavaScript client is not measured")
        return int(not met)
    return int(not (verdict("Node", NODE_GOAL, rates["node"]) and met))


if __name__ == "__main__":
    sys.exit(main())
