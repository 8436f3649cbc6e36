"""What one process counts, and how the figures of several become one picture (docs/protocol.md, section 6, For operators).

Counting costs an addition; everything else happens when a sample is taken. What is kept is bounded, and says nothing about
who is online: an event names a person by a masked e-mail only, and none is about a device.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .clock import Clock
from .errors import CloseCode, InternalError, errno_table

MINUTES = 60
MOST_EVENTS = 50
GAUGES = ("devices", "users", "applications", "sockets", "unsigned", "behind")
"""What is there at one moment: connected devices, their users, channels of app services, open connections, channels on
which nobody has signed in, and those whose outbox is more than half full.
"""
_MINUTE_MS = 60_000
_RATE_SAMPLES = 6
_OTHER = 0
"""Stands for every close code that only peers use."""
_CLOSES = {code.value: code.name.lower().replace("_", " ") for code in CloseCode} | {
    1001: "going away",
    1005: "no code",
    1006: "lost without a close frame",
    _OTHER: "any other",
}
_TROUBLE = (CloseCode.INTERNAL_ERROR, CloseCode.BAD_FRAMES, CloseCode.SLOW_DOWN_IGNORED, CloseCode.SLOW_READER)


class Minute(msgspec.Struct):
    """One minute of the last hour: what was there at its end, and what was counted in it; ``at`` is its beginning, milliseconds."""

    at: int
    devices: int
    users: int
    applications: int
    updates: int
    errors: int
    slow_readers: int


class Event(msgspec.Struct):
    """Something an operator may want to look into.

    :param who: a masked e-mail, an application's domain, or nothing.
    :param times: how often it happened in a row; ``at`` is the last time, milliseconds.
    """

    at: int
    what: str
    who: str = ""
    times: int = 1


class Report(msgspec.Struct):
    """The figures of one process; counts are since ``started_at``.

    :param rate: updates a second, over the last samples.
    :param health: whether each backend answered when it was last asked.
    """

    pid: int
    started_at: int
    memory_bytes: int
    gauges: dict[str, int]
    rate: float
    updates: int
    errors: dict[int, int]
    closes: dict[int, int]
    health: dict[str, bool]
    minutes: list[Minute]
    events: list[Event]


class Metrics:
    """The figures of this process.

    :ivar updates: status changes of devices.
    :ivar health: see ``Report``.
    """

    def __init__(self, clock: Clock) -> None:
        self.updates = 0
        self.errors: Counter[int] = Counter()
        self.closes: Counter[int] = Counter()
        self.minutes: deque[Minute] = deque(maxlen=MINUTES)
        self.events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self.health: dict[str, bool] = {}
        self._clock = clock
        self._started_at = clock.now()
        self._gauges = dict.fromkeys(GAUGES, 0)
        self._totals = self._before = (0, 0, 0)  # of the last sample, and when the present minute began
        self._marks = deque([(clock.monotonic(), 0)], maxlen=_RATE_SAMPLES)
        self.event("started")

    # -- counting

    def refused(self, errno: int) -> None:
        """Count an answer KO, on a channel or by HTTP."""
        self.errors[errno] += 1
        if errno == InternalError.errno:
            self.event("internal error")

    def closed(self, code: int) -> None:
        """Count the end of a channel."""
        self.closes[code if code in _CLOSES else _OTHER] += 1
        if code in _TROUBLE:
            self.event(f"channel closed, {code:d}: {_CLOSES[code]}")

    def event(self, what: str, who: str = "") -> None:
        """Keep an event; one that repeats the newest is counted with it.

        :param who: an application's domain, or an e-mail, which is masked here.
        """
        event = Event(self._clock.now(), what, masked(who))
        last = self.events[-1] if self.events else None
        if last and (last.what, last.who) == (event.what, event.who):
            event.times += self.events.pop().times
        self.events.append(event)

    def answers(self, health: Mapping[str, bool]) -> None:
        """Note which backends answered."""
        for role, well in health.items():
            if well != self.health.get(role, True):
                self.event(f"the {role} {'answers again' if well else 'does not answer'}")
        self.health = dict(health)

    # -- looking

    def sample(self, gauges: Mapping[str, int]) -> None:
        """Note what is there now, by the words of ``GAUGES``; every few seconds."""
        at = self._clock.now() // _MINUTE_MS * _MINUTE_MS
        if not self.minutes or self.minutes[-1].at != at:
            self._before = self._totals
        else:
            self.minutes.pop()
        self._gauges = {name: gauges.get(name, 0) for name in GAUGES}
        self._totals = (self.updates, self.errors.total(), self.closes[CloseCode.SLOW_READER])
        counted = (total - before for total, before in zip(self._totals, self._before, strict=True))
        self.minutes.append(Minute(at, *(self._gauges[name] for name in GAUGES[:3]), *counted))
        self._marks.append((self._clock.monotonic(), self.updates))

    def report(self) -> Report:
        """Return all of it, as of the last sample."""
        (began, first), (ended, last) = self._marks[0], self._marks[-1]
        return Report(
            pid=os.getpid(),
            started_at=self._started_at,
            memory_bytes=_memory_bytes(),
            gauges=self._gauges,
            rate=(last - first) / (ended - began) if ended > began else 0.0,
            updates=self.updates,
            errors=dict(self.errors),
            closes=dict(self.closes),
            health=self.health,
            minutes=list(self.minutes),
            events=list(self.events),
        )


def masked(who: str) -> str:
    """Return an e-mail with all but the first character of its local part left out; other text as it is."""
    local, at, domain = who.rpartition("@")
    return f"{local[:1]}…@{domain}" if at else who


def _memory_bytes() -> int:
    """Return what this process has in memory; 0 where Linux does not say it."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


# -- several processes, one picture


def together(reports: Sequence[Report], now: int) -> dict[str, Any]:
    """Return the figures of a whole service as an operator reads them.

    A user with devices at two processes counts twice. What ended with its process is no longer counted.
    """
    gauges = {name: sum(report.gauges.get(name, 0) for report in reports) for name in GAUGES}
    roles = dict.fromkeys(role for report in reports for role in report.health)
    texts = {errno: cls.text for errno, cls in errno_table().items()}
    return {
        "at": now,
        **gauges,
        "updates_per_second": round(sum(report.rate for report in reports), 2),
        "updates": sum(report.updates for report in reports),
        "slow_readers": sum(report.closes.get(CloseCode.SLOW_READER, 0) for report in reports),
        "health": [{"backend": role, **_health(role, reports)} for role in roles],
        "errors": _named("errno", (report.errors for report in reports), texts),
        "closes": _named("code", (report.closes for report in reports), _CLOSES),
        "minutes": _minutes(minute for report in reports for minute in report.minutes),
        "events": sorted((event for report in reports for event in report.events), key=lambda event: event.at)[-MOST_EVENTS:],
        "processes": [
            {
                "pid": report.pid,
                "started_at": report.started_at,
                "sockets": report.gauges.get("sockets", 0),
                "memory_bytes": report.memory_bytes,
            }
            for report in sorted(reports, key=lambda report: report.started_at)
        ],
    }


def _health(role: str, reports: Sequence[Report]) -> dict[str, int]:
    """Return how many processes reach a backend, and how many have asked it."""
    said = [report.health[role] for report in reports if role in report.health]
    return {"reached": sum(said), "asked": len(said)}


def _named(key: str, counts: Iterable[Mapping[int, int]], texts: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return what was counted by number, with the meaning of each, in order."""
    total: Counter[int] = Counter()
    for counted in counts:
        total.update(counted)
    return [{key: number, "meaning": texts.get(number, "any other"), "count": count} for number, count in sorted(total.items())]


def _minutes(minutes: Iterable[Minute]) -> list[dict[str, int]]:
    """Return the newest hour that any process knows, oldest first."""
    added: dict[int, Counter[str]] = {}
    for minute in minutes:
        counts = msgspec.structs.asdict(minute)
        added.setdefault(counts.pop("at"), Counter()).update(counts)
    newest = max(added, default=0)
    return [{"at": at, **added[at]} for at in sorted(added) if at > newest - MINUTES * _MINUTE_MS]
