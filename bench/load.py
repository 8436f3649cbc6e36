"""The load: a process of its own with thousands of devices and one watching application, controlled by lines of text.

``Load`` starts it and talks to it: ``load.do("devices", port=.., people=[[email, proof], ..])``. It speaks to loopback
only, and ends when its parent does, or after ``LIFE_SECONDS``.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from .crowd import AnyDevice, Device, Fleet, Watcher
from .loop import Control, Loop, percentiles
from .mqtt import MqttDevice, MqttWatcher
from .sockets import Socket

LIFE_SECONDS = 3600
ROOT = Path(__file__).parent.parent


class Commands:
    """Commands of the parent process. Each method returns its result."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.fleet = Fleet(loop)
        self.watcher: Watcher | MqttWatcher | None = None
        self.others: list[Watcher] = []

    def devices(self, port: int, people: list[list[str]], under_way: int = 20, rate: float = 1000, tickets: bool = False,
                returns: bool = False, seconds: float = 300, mqtt: bool = False) -> dict[str, Any]:  # fmt: skip
        """Connect and sign in devices, so many under way and so many a second at most.

        With ``returns`` they come back with jittered backoff when lost, without either bound.
        """
        fleet = self.fleet
        fleet.port, fleet.tickets, fleet.returns = port, tickets, returns
        start, begun, wanted = len(fleet.devices), time.monotonic(), fleet.signed_in + len(people)
        kind = MqttDevice if mqtt else Device
        new = [kind(fleet, start + number, *person) for number, person in enumerate(people)]
        fleet.devices += new
        came, waiting = fleet.signed_in, deque(new)

        def fill() -> None:
            allowed = min(len(new), (time.monotonic() - begun) * rate + 1, fleet.signed_in - came + under_way)
            while waiting and len(new) - len(waiting) < allowed:
                waiting.popleft().come()
            if waiting:
                self.loop.later(0.002, fill)

        fill()
        return self.settle(seconds, wanted)

    def settle(self, seconds: float = 60, signed_in: int | None = None) -> dict[str, Any]:
        """Wait until all devices (or so many) are signed in."""
        wanted = len(self.fleet.devices) if signed_in is None else signed_in
        self.loop.run(lambda: self.fleet.signed_in >= wanted, seconds)
        return self.report()

    def watch(self, port: int, appid: str, key: str, returns: bool = False, seconds: float = 30, mqtt: bool = False) -> dict[str, Any]:
        """Open the application's channel and wait for its snapshot."""
        watcher = MqttWatcher(self.loop, port, key) if mqtt else Watcher(self.loop, port, f"/myapps/{appid}", key, returns)
        self.watcher = watcher
        watcher.come()
        self.loop.run(lambda: watcher.counts["snapshots"] > 0 or watcher.counts["ended 1006"] > 0, seconds)
        return self.report()

    def watch_too(self, port: int, keys: list[list[str]], seconds: float = 60) -> dict[str, Any]:
        """Open more channels, each with [appid, key], and wait for their snapshots; each must receive every update too."""
        self.others = [Watcher(self.loop, port, f"/myapps/{appid}", key, False) for appid, key in keys]
        for watcher in self.others:
            watcher.come()
        self.loop.run(lambda: all(watcher.counts["snapshots"] for watcher in self.others), seconds)
        return {"snapshots": sum(watcher.counts["snapshots"] for watcher in self.others)}

    def await_snapshots(self, count: int, seconds: float = 60) -> dict[str, Any]:
        """Wait until the application has had so many snapshots in all."""
        watcher = self.watcher
        assert watcher is not None
        self.loop.run(lambda: watcher.counts["snapshots"] >= count, seconds)
        return self.report()

    def update(self, seconds: float, under_way: int = 200) -> dict[str, Any]:
        """Send as many updates as are answered, so many under way; each is a real change."""
        end = time.monotonic() + seconds
        ring = iter(self._ring())

        def following() -> None:
            if time.monotonic() < end and (device := next(ring)):
                device.update()

        return self._updates(seconds, lambda: [following() for _ in range(under_way)], following)

    def rate(self, seconds: float, per_second: float) -> dict[str, Any]:
        """Send updates at a steady rate."""
        ring, end, start = iter(self._ring()), time.monotonic() + seconds, time.monotonic()
        sent = 0

        def pace() -> None:
            nonlocal sent
            now = time.monotonic()
            while sent < (min(now, end) - start) * per_second and (device := next(ring)):
                device.update()
                sent += 1
            if now < end:
                self.loop.later(0.005, pace)

        return self._updates(seconds, pace, lambda: None)

    def _ring(self) -> Iterator[AnyDevice | None]:
        """Yield the devices in turn that wait for no answer, and None when each of them waits."""
        while True:
            found = 0
            for device in self.fleet.devices:
                if device.signed_in and not device.sent_at:
                    found += 1
                    yield device
            if not found:
                yield None

    def _updates(self, seconds: float, begin: Callable[[], Any], following: Callable[[], None]) -> dict[str, Any]:
        fleet, watchers = self.fleet, [*([self.watcher] if self.watcher else []), *self.others]
        fleet.answers, fleet.next = [], following
        before, received = fleet.done, [watcher.delivered for watcher in watchers]

        def delivered() -> int:
            """Return how many updates every watcher has received."""
            return min((watcher.delivered - count for watcher, count in zip(watchers, received, strict=True)), default=0)

        start, self.loop.spins = time.monotonic(), True
        begin()
        self.loop.run(lambda: False, seconds)
        busy, self.loop.spins = time.monotonic() - start, False
        self.loop.run(lambda: not any(device.sent_at for device in fleet.devices), 10)
        answered = fleet.done - before
        if watchers:
            self.loop.run(lambda: delivered() >= answered, 10)
        fleet.next = lambda: None
        counts = {"answered": answered, "delivered": delivered(), "watched": [watcher.counts for watcher in watchers]}
        return {**counts, "seconds": busy, **percentiles(fleet.answers)}

    def wait(self, seconds: float) -> dict[str, Any]:
        """Let time pass."""
        self.loop.run(lambda: False, seconds)
        return self.report()

    def report(self) -> dict[str, Any]:
        """Return everything counted so far; latencies of sign-ins are since the last report."""
        fleet, watcher = self.fleet, self.watcher
        seen: dict[str, Any] = {"devices": len(fleet.devices), "signed_in": fleet.signed_in, "all_in_at": fleet.all_in_at}
        seen["statuses"] = Counter(device.status for device in fleet.devices)
        seen |= {"refused": fleet.refused, "ends": fleet.ends, "sign_in": percentiles(fleet.sign_ins)}
        fleet.sign_ins = []
        if watcher:
            seen |= {"watched": watcher.counts, "snapshot": watcher.at_snapshot, "view": Counter(watcher.seen.values())}
        return seen

    def leave(self, seconds: float = 10) -> dict[str, Any]:
        """Close every connection, and wait until the service has answered that."""
        self.fleet.closing = True
        watchers = [*([self.watcher] if self.watcher else []), *self.others]
        for watcher in watchers:
            watcher.closing = True
        connections = [*self.fleet.devices, *watchers]
        for connection in connections:
            connection.leave()
        self.loop.run(lambda: all(connection.gone for connection in connections), seconds)
        return {}


def compare(path: str, payload: bytes) -> None:
    """Fail if the service should not have sent a message on a channel."""
    from dpresence.tests.contract_check import check_frame

    check_frame(path, json.loads(payload))


def main() -> None:
    """Do what standard input says until it ends. With ``--checked``, a frame that is not in the AsyncAPI document ends it at once."""
    if "--checked" in sys.argv:
        Socket.check = compare
    signal.alarm(LIFE_SECONDS)
    loop = Loop()
    control, commands = Control(loop), Commands(loop)
    while loop.run(lambda: bool(control.lines) or control.ended, LIFE_SECONDS) and control.lines:
        command = json.loads(control.lines.pop(0))
        answer = getattr(commands, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


class Load:
    """The load as its parent sees it; a context that ends it.

    :param checked: compare every frame with the AsyncAPI document, which takes time.
    """

    def __init__(self, checked: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.load", *(["--checked"] if checked else [])],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Load:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Have something done and return what was seen."""
        self.start(command, **arguments)
        return self.result()

    def start(self, command: str, **arguments: Any) -> None:
        """Have something done without waiting for it."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Return what was seen by what was started."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load ended with status {self.process.wait(10)}")
        answer: dict[str, Any] = json.loads(line)
        return answer


if __name__ == "__main__":
    main()
