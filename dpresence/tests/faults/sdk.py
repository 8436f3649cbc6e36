"""Clients like those of a careful SDK: they reconnect with backoff, keep their ticket, their cursor and their table, and acknowledge."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from bench.loop import Loop
from bench.sockets import Socket, text
from dpresence.tests.contract_check import check_frame

from .crowd import Auditor

MOST_BACKOFF_SECONDS = 5.0
SIGNED_OUT = 4009
FIRST = "first"
STATUSES = ("online", "unavailable", "offline")


class Device(Socket):
    """A device of somebody; it acknowledges what it receives and says its status until that is answered OK.

    :param port: returns the port to connect to.
    :param proof: returns a new assertion.
    :param book: keeps account of notifications.
    :ivar wanted: the status it says; ``away`` makes it leave and stay away.
    """

    __slots__ = ("_acks", "_attempts", "_book", "_came_at", "_numbers", "_port", "_proof", "_said", "_source", "_ticket", "away",
                 "email", "ends", "name", "refused", "settled", "signed_in", "wanted")  # fmt: skip

    def __init__(self, loop: Loop, port: int, email: str, name: str, source: str, proof: Callable[[], str], book: Book) -> None:
        super().__init__(loop)
        self._port, self._proof, self._book, self._source = port, proof, book, source
        self.email, self.name = email, name
        self.wanted, self.away = "online", False
        self.signed_in, self.settled = False, ""
        self.ends: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self._ticket = ""
        self._said = ""
        self._attempts = self._numbers = 0
        self._came_at = 0.0
        self._acks: dict[int, list[str]] = {}

    @property
    def agreed(self) -> bool:
        """True if the device has the wanted status and was answered OK."""
        return not self.signed_in if self.away else self.signed_in and self.settled == self.wanted

    def come(self) -> None:
        """Connect, unless it is or is to stay away."""
        if not self.away and self._sock is None:
            self._came_at = time.monotonic()
            self.connect(self._port, "/presence", self._source)

    def say(self, status: str) -> None:
        """Say another status, now or once it is connected."""
        self.wanted = status
        if self.signed_in and not self._said:
            self._say()

    def leave(self) -> None:
        """End without a word and stay away."""
        self.away = True
        self.drop()

    def opened(self) -> None:
        self._said = self.wanted
        first = {"email": self.email, "assertion": self._ticket or self._proof(), "status": self.wanted, "device": self.name}
        self._send(first | {"ack": True, "ticket": True, "id": FIRST})

    def message(self, payload: bytes) -> None:
        frame = json.loads(payload)
        check_frame("/presence", frame)
        if "notifications" in frame:
            self._take(frame["notifications"])
        elif frame["id"] == FIRST:
            self._signed_in(frame)
        elif frame["id"] in STATUSES:
            self._status_answered(frame)
        else:
            self._acknowledged(frame)

    def ended(self, code: int, reason: str) -> None:
        self.ends[code] += 1
        self.signed_in, self.settled, self._said = False, "", ""
        self._acks.clear()
        if code == SIGNED_OUT:  # somebody signed it out: its person signs in again
            self._ticket = ""
        assigned = re.search(r"retry_after=(\d+)", reason)
        self._attempts += 1
        backoff = random.uniform(0, min(MOST_BACKOFF_SECONDS, 0.5 * 2**self._attempts))
        self.loop.later((float(assigned[1]) if assigned else 0.0) + backoff, self.come)

    def _send(self, frame: dict[str, Any]) -> None:
        self.send(text(json.dumps(frame)))

    def _say(self) -> None:
        if self.signed_in:
            self._said = self.wanted
            self._send({"email": self.email, "status": self.wanted, "id": self.wanted})

    def _signed_in(self, frame: dict[str, Any]) -> None:
        self._ticket = frame.get("ticket", self._ticket)
        if frame["result"] == "KO":
            self.refused[frame["errno"]] += 1
            if frame["errno"] == 34:
                self._ticket = ""
            self.drop(f"retry_after={frame.get('retry_after', 0)}")
            return
        self.signed_in, self._attempts = True, 0
        self._settle(self._said)

    def _status_answered(self, frame: dict[str, Any]) -> None:
        if frame["result"] == "OK" or frame["errno"] == 117:  # what came too quickly is kept and applied when the time is up
            self._settle(frame["id"])
            return
        self.refused[frame["errno"]] += 1
        self.loop.later(frame.get("retry_after", 1), self._say)

    def _settle(self, status: str) -> None:
        self.settled, self._said = status, ""
        if status != self.wanted:
            self._say()

    def _take(self, items: list[dict[str, Any]]) -> None:
        ids = [item["id"] for item in items]
        for id in ids:
            self._book.came(id, self._came_at)
        self._acknowledge(ids)

    def _acknowledge(self, ids: list[str]) -> None:
        self._numbers += 1
        self._acks[self._numbers] = ids
        self._send({"action": "ack", "notifications": ids, "id": self._numbers})

    def _acknowledged(self, frame: dict[str, Any]) -> None:
        ids = self._acks.pop(frame["id"], [])
        if frame["result"] == "OK":
            self._book.acknowledged(ids)
        else:
            self.refused[frame["errno"]] += 1
            self.loop.later(frame.get("retry_after", 1), lambda: self._acknowledge(ids) if self.signed_in else None)


class Service(Auditor):
    """An application's service: its table is ``seen``; it sends notifications on its channel.

    :ivar after_revoke: number of updates of a PUID received after its revocation.
    """

    __slots__ = ("_asked", "_book", "_dead", "_gaps", "_page", "_trace", "after_revoke", "appid", "signed_in")

    def __init__(self, loop: Loop, port: int, appid: str, key: str, book: Book, trace: Callable[..., None]) -> None:
        super().__init__(loop, port, appid, key)
        self.appid, self.signed_in, self.after_revoke = appid, False, 0
        self._book, self._trace = book, trace
        self._dead: set[str] = set()
        self._gaps = 0
        self._page: set[str] = set()
        self._asked: dict[int, list[dict[str, Any]]] = {}

    def notify(self, puid: str, ttl: int) -> None:
        """Send a notification, if the channel is open."""
        if self.signed_in:
            number = self._book.number()
            self._asked[number] = [{"puid": puid, "message": f"number {number}", "ttl": ttl}]
            self.send(text(json.dumps({"action": "notify", "id": number, "notifications": self._asked[number]})))

    def message(self, payload: bytes) -> None:
        frame = json.loads(payload)
        if "id" in frame:
            check_frame(self._path, frame)
            self._notified(frame)
            return
        super().message(payload)
        self.signed_in |= "recovery" in frame
        for update in frame.get("updates", ()):
            self._update(update)
        if "snapshot" in frame:
            self._replace(frame)

    def ended(self, code: int, reason: str) -> None:
        self.signed_in = False
        self._asked.clear()
        self._page.clear()
        super().ended(code, reason)

    def _compare(self, before: str, after: str, updates: int) -> None:
        """Count a hole; a replay leaves out what came before a PUID's `revoked`, which then has to come (protocol, section 5)."""
        holes = self.holes
        super()._compare(before, after, updates)
        if before.partition(":")[0] == after.partition(":")[0]:
            self._gaps += self.holes - holes

    def _update(self, update: dict[str, Any]) -> None:
        puid = update["puid"]
        self._trace(puid, f"{self.appid} receives", update["status"], update["reason"])
        if update["reason"] == "revoked":
            self._dead.add(puid)
            self.seen.pop(puid, None)
            self.holes, self._gaps = self.holes - self._gaps, 0
        else:
            self.after_revoke += puid in self._dead

    def _replace(self, frame: dict[str, Any]) -> None:
        """A snapshot takes the place of the table."""
        self._page |= {entry["puid"] for entry in frame["snapshot"]}
        for entry in frame["snapshot"]:
            self._trace(entry["puid"], f"{self.appid} reads in a snapshot", entry["status"])
        if frame["last"]:
            self.seen = {puid: status for puid, status in self.seen.items() if puid in self._page}
            self._page = set()

    def _notified(self, frame: dict[str, Any]) -> None:
        asked = self._asked.pop(frame["id"])
        for item, answer in zip(asked, frame.get("notifications", ()), strict=False):
            if answer["result"] == "OK":
                self._book.answered(answer["id"], item["puid"], item["ttl"])


class Book:
    """Every notification: that it was answered OK, came, was acknowledged."""

    def __init__(self) -> None:
        self.total = self.doubled = 0
        self._numbers = 0
        self._waiting: dict[str, tuple[str, float]] = {}
        self._came: set[str] = set()
        self._acknowledged: dict[str, float] = {}

    def number(self) -> int:
        """Return the number of the next frame."""
        self._numbers += 1
        return self._numbers

    def answered(self, id: str, puid: str, ttl: int) -> None:
        """Note one that must come, unless it expires or is revoked."""
        self.total += 1
        if id not in self._came:
            self._waiting[id] = (puid, time.monotonic() + ttl)

    def came(self, id: str, connected_at: float) -> None:
        """Note that a device received one; twice is after its acknowledgement was answered OK, on a later connection."""
        self._came.add(id)
        self._waiting.pop(id, None)
        self.doubled += self._acknowledged.get(id, float("inf")) < connected_at

    def acknowledged(self, ids: list[str]) -> None:
        """Note that an acknowledgement was answered OK."""
        now = time.monotonic()
        for id in ids:
            self._acknowledged.setdefault(id, now)

    def missing(self, reachable: set[str]) -> dict[str, str]:
        """Return id and PUID of those that have not come though their person may get them now.

        :param reachable: PUIDs with a connected device and a grant that is not paused.
        """
        now = time.monotonic()
        return {id: puid for id, (puid, ends) in self._waiting.items() if puid in reachable and ends > now}

    def forget(self, alive: set[str]) -> None:
        """Expect no more what was sent to a PUID that has ended."""
        self._waiting = {id: (puid, ends) for id, (puid, ends) in self._waiting.items() if puid in alive}
