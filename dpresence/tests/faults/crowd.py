"""Devices and applications' services that know what each of them must believe, while the service is broken."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.crowd import Device, Watcher
from bench.load import Commands
from bench.loop import Loop
from dpresence.tests.contract_check import check_frame


class Auditor(Watcher):
    """An application's channel that comes back with its cursor, wherever ``port`` is then, and notices a hole.

    :ivar longest_pause: seconds between two updates of the PUIDs that it follows.
    """

    __slots__ = ("_followed", "_received_at", "holes", "longest_pause", "port")

    def __init__(self, loop: Loop, port: int, appid: str, key: str) -> None:
        super().__init__(loop, port, f"/myapps/{appid}", key, returns=True)
        self.port = port
        self.holes = 0
        self.longest_pause = 0.0
        self._followed: set[str] = set()
        self._received_at = 0.0

    def follow(self, puids: set[str]) -> None:
        """Measure the pauses in the updates of some PUIDs from their next update on, until it is called with none."""
        self._followed, self._received_at = puids, 0.0

    def come(self) -> None:
        self._port = self.port
        super().come()

    def message(self, payload: bytes) -> None:
        before = self.cursor
        earlier = self.delivered
        frame = json.loads(payload)
        check_frame(self._path, frame)
        super().message(payload)
        if not self._followed.isdisjoint(entry["puid"] for entry in frame.get("updates", ())):
            self._measure_pause()
        if b'"KO"' in payload:
            self.drop("refused")
        if before and self.cursor and self.delivered > earlier:
            self._compare(before, self.cursor, self.delivered - earlier)

    def _measure_pause(self) -> None:
        now = time.monotonic()
        self.longest_pause = max(self.longest_pause, now - (self._received_at or now))
        self._received_at = now

    def _compare(self, before: str, after: str, updates: int) -> None:
        (epoch, start), (later, end) = _split(before), _split(after)
        self.holes += epoch != later or end - start != updates

    def offlines(self) -> int:
        """Return the number of updates that showed a user as offline."""
        return sum(count for what, count in self.counts.items() if what.startswith("offline"))


def _split(cursor: str) -> tuple[str, int]:
    """Return the epoch of a cursor, and the number of entries before it; a restart of Redis changes the run, which is in neither."""
    epoch, colon, number = cursor.partition(":")
    if colon:
        return epoch.partition(".")[0], int(number)
    digest, *parts = cursor.split(".")
    return digest, sum(int(part.partition("-")[0] or "0", 16) for part in parts)


class Nobody:
    """Stands for a device when none is free."""

    def update(self) -> None:
        """Say nothing."""


class Crowd(Commands):
    """Devices and applications' services in a thread of this process, for who has to know what each of them believes.

    Call its methods from one thread; a fault is made from another one meanwhile.
    """

    def __init__(self, people: dict[str, tuple[str, str]]) -> None:
        super().__init__(Loop())
        self.puids = {email: puid for email, (_, puid) in people.items()}
        self._people = [[email, proof] for email, (proof, _) in people.items()]
        self.auditors: list[Auditor] = []
        self.lost: list[str] = []

    def bring(self, *ports: int) -> None:
        """Bring all, the same number to each port; who is lost comes back to the last one."""
        share = -(-len(self._people) // len(ports))
        for number, port in enumerate(ports):
            people = self._people[number * share : (number + 1) * share]
            self.devices(port, people, rate=150, tickets=True, returns=True, seconds=60)
        assert self.fleet.signed_in == len(self._people), self.report()

    def audit(self, port: int, appid: str, key: str) -> Auditor:
        """Let an application's service watch, and wait for its snapshot."""
        auditor = Auditor(self.loop, port, appid, key)
        self.auditors.append(auditor)
        auditor.come()
        assert self.loop.run(lambda: auditor.counts["snapshots"] > 0, 60), auditor.counts
        return auditor

    def lose(self, devices: list[Device]) -> None:
        """Disconnect some devices for good."""
        fleet = self.fleet
        fleet.returns = False
        for device in devices:
            device.drop()
        fleet.returns = True
        self.lost += [device.email for device in devices]
        fleet.devices = [device for device in fleet.devices if device not in devices]

    def _ring(self) -> Iterator[Any]:
        """Return the devices that are free, again and again; when none is, an update is left out."""
        while True:
            found = False
            for device in self.fleet.devices:
                if device.signed_in and not device.sent_at:
                    found = True
                    yield device
            if not found:
                yield Nobody()

    def spread(self, ports: list[int]) -> None:
        """Let those who come back go to any of some ports, as behind a load balancer; the list may change."""
        for one in (self.fleet, *self.auditors):
            one.port = random.choice(ports)
        self.loop.later(0.01, lambda: self.spread(ports))

    def wrong(self, auditor: Auditor) -> list[str]:
        """Return the people an application is wrong about."""
        truth = dict.fromkeys(self.lost, "offline")
        truth |= {device.email: device.status if device.signed_in else "offline" for device in self.fleet.devices}
        return [email for email, status in truth.items() if auditor.seen.get(self.puids[email], "offline") != status]

    def agree(self, seconds: float) -> float:
        """Wait until every application is right about everybody, and return how long that took; infinite if it does not happen."""
        start = time.monotonic()
        held = self.loop.run(lambda: not any(self.wrong(auditor) for auditor in self.auditors), seconds)
        return time.monotonic() - start if held else float("inf")

    def all_in(self, seconds: float) -> bool:
        """Wait until every device is signed in; return whether that happened."""
        return self.loop.run(lambda: self.fleet.signed_in == len(self.fleet.devices), seconds)

    def say_again(self) -> None:
        """Have each device change its status once, and wait for the answers."""
        for device in self.fleet.devices:
            if device.signed_in:
                device.update()
        assert self.loop.run(lambda: not any(device.sent_at for device in self.fleet.devices), 30)

    def end(self) -> None:
        """Drop every socket."""
        self.fleet.closing = True
        for auditor in self.auditors:
            auditor.closing = True
        for each in (*self.auditors, *self.fleet.devices):
            each.drop()


@contextmanager
def crowd(people: dict[str, tuple[str, str]]) -> Iterator[Crowd]:
    """A crowd that is dropped in the end."""
    made = Crowd(people)
    try:
        yield made
    finally:
        made.end()
