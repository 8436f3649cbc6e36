"""Those the load plays: devices by the thousand, and the one application that watches them."""

from __future__ import annotations

import http.client
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from dpresence.tests.support import WITH_TOKEN

from .loop import Loop
from .sockets import Socket, text

MOST_BACKOFF_SECONDS = 10.0
DEVICE = "d"
"""Name of everybody's device."""
_STATUSES = ("online", "unavailable")


class AnyDevice(Protocol):
    """A device of any protocol; ``sent_at`` is set while an update waits for its answer."""

    sent_at: float
    signed_in: bool

    @property
    def status(self) -> str:
        """The status that it set last."""

    def come(self) -> None:
        """Connect and sign in."""

    def update(self) -> None:
        """Set another status."""

    def leave(self) -> None:
        """Close the connection as the protocol says."""

    @property
    def gone(self) -> bool:
        """True if there is no connection."""


class Device(Socket):
    """One device of one person; ``sent_at`` is set while an update waits for its answer."""

    __slots__ = ("_attempts", "_fleet", "_turn", "_updates", "email", "proof", "sent_at", "signed_in", "source")

    def __init__(self, fleet: Fleet, number: int, email: str, proof: str) -> None:
        super().__init__(fleet.loop)
        self._fleet = fleet
        self._attempts = 0
        self._turn = 0
        self._updates = [text(json.dumps({"email": email, "status": status})) for status in _STATUSES]
        self.email = email
        self.proof = proof
        self.signed_in = False
        self.sent_at = 0.0
        self.source = f"127.1.{number // 250}.{number % 250 + 1}"

    def come(self) -> None:
        """Connect and sign in as online."""
        if not self._fleet.closing:
            self.sent_at = time.perf_counter()
            self.connect(self._fleet.port, "/presence", self.source)

    def opened(self) -> None:
        first = {"email": self.email, "assertion": self.proof, "status": "online", "device": DEVICE, "ticket": self._fleet.tickets}
        if not self._fleet.tickets:
            del first["ticket"]
        self._turn = 0
        self.sent_at = time.perf_counter()
        self.send(text(json.dumps(first)))

    def update(self) -> None:
        """Say the other of two statuses."""
        self._turn ^= 1
        self.sent_at = time.perf_counter()
        self.send(self._updates[self._turn])

    @property
    def status(self) -> str:
        """The status that the device sent last."""
        return _STATUSES[self._turn]

    def message(self, payload: bytes) -> None:
        if not payload.startswith(b'{"result"'):
            return
        seconds, self.sent_at = time.perf_counter() - self.sent_at, 0.0
        if payload[11:13] != b"OK":
            self._refused(json.loads(payload)["errno"])
            return
        if self.signed_in:
            self._fleet.answered(seconds)
            return
        self.signed_in, self._attempts = True, 0
        if self._fleet.tickets:
            self.proof = json.loads(payload).get("ticket", self.proof)  # stock knows of no tickets
        self._fleet.came(seconds)

    def _refused(self, errno: int) -> None:
        self._fleet.refused[errno] += 1
        self._fleet.refused_people.add(self.email)
        if self.signed_in:
            return
        if errno == 34 and self._fleet.tickets:  # the ticket was used and its successor lost on the way
            self.proof = fresh_assertion(self._fleet.port, self.email)
        self.drop("refused")

    def ended(self, code: int, reason: str) -> None:
        self._fleet.went(self, code)
        self.signed_in, self.sent_at = False, 0.0
        if self._fleet.returns and not self._fleet.closing:
            self._attempts += 1
            assigned = re.search(r"retry_after=(\d+)", reason)
            least = float(assigned[1]) if assigned else 0.0
            self.loop.later(least + random.uniform(0, min(MOST_BACKOFF_SECONDS, 0.5 * 2**self._attempts)), self.come)


def fresh_assertion(port: int, email: str) -> str:
    """Return a new proof, from the development issuer; rare enough to wait for."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Content-Type": "application/json", **WITH_TOKEN}
        connection.request("POST", "/__dev__/assertion", json.dumps({"email": email}), headers)
        return str(json.loads(connection.getresponse().read())["assertion"])
    finally:
        connection.close()


class Fleet:
    """All devices and what happened to them."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.devices: list[AnyDevice] = []
        self.port = 0
        self.tickets = self.returns = self.closing = False
        self.signed_in = self.done = 0
        self.sign_ins: list[float] = []
        self.answers: list[float] = []
        self.refused: Counter[int] = Counter()
        self.refused_people: set[str] = set()
        self.ends: Counter[int] = Counter()
        self.all_in_at = 0.0
        self.next: Callable[[], None] = lambda: None

    def came(self, seconds: float) -> None:
        self.signed_in += 1
        self.sign_ins.append(seconds)
        self.all_in_at = time.time()

    def went(self, device: AnyDevice, code: int) -> None:
        self.ends[code] += 1
        self.signed_in -= device.signed_in

    def answered(self, seconds: float) -> None:
        self.done += 1
        self.answers.append(seconds)
        self.next()


class Watcher(Socket):
    """An application's channel. It keeps what it received last for each PUID and its cursor."""

    __slots__ = ("_first", "_key", "_path", "_port", "at_snapshot", "closing", "counts", "cursor", "delivered", "returns", "seen")

    def __init__(self, loop: Loop, port: int, path: str, key: str, returns: bool) -> None:
        super().__init__(loop)
        self._port, self._path, self._key = port, path, key
        self.returns, self.closing = returns, False
        self.cursor: str | None = None
        self.seen: dict[str, str] = {}
        self.at_snapshot: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.delivered = 0
        self._first = True

    def come(self) -> None:
        """Connect and authenticate, from where it stood."""
        if not self.closing:
            self.connect(self._port, self._path)

    def opened(self) -> None:
        frame = {"action": "auth", "key": self._key, **({"since": self.cursor} if self.cursor else {})}
        self.send(text(json.dumps(frame)))

    def message(self, payload: bytes) -> None:
        frame = json.loads(payload)
        for entry in frame.get("updates", ()):
            self.seen[entry["puid"]] = entry["status"]
            self.counts[f"{entry['status']} {entry['reason']}"] += 1
        self.delivered += len(frame.get("updates", ()))
        if "snapshot" in frame:
            self._snapshot(frame)
        if "recovery" in frame:
            self.counts[frame["recovery"]] += 1
        if frame.get("result") == "KO":
            self.counts[f"KO {frame['errno']}"] += 1
        self.cursor = frame.get("cursor", self.cursor)

    def _snapshot(self, frame: dict[str, Any]) -> None:
        if self._first:
            self.at_snapshot.clear()
        self._first = frame["last"]
        for entry in frame["snapshot"]:
            self.seen[entry["puid"]] = entry["status"]
            self.at_snapshot[entry["status"]] += 1
        if frame["last"]:
            self.counts["snapshots"] += 1

    def ended(self, code: int, reason: str) -> None:
        self.counts[f"ended {code}"] += 1
        if self.returns and not self.closing:
            self.loop.later(random.uniform(0.1, 1.0), self.come)
