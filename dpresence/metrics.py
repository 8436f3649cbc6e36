"""Metrics of one process, and the merged metrics of all processes (docs/protocol.md, section 6, For operators).

Counting is one addition; all other work happens when a sample is taken. The stored data is bounded and does not show which users
are online: an event contains a masked e-mail address at most, and none says that a device connects or disconnects.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import perf_counter, process_time
from types import TracebackType

import msgspec

from .clock import Clock
from .errors import BackendUnavailable, CloseCode, InternalError, Refused, SlowDown, errno_table
from .measures import Histogram
from .messages import BackendHealth, CloseCount, ErrorCount, Event, Figures, Minute, ProcessBody
from .model import Status

MINUTES = 60
MAX_EVENTS = 50
GAUGES = ("devices", "users", "applications", "sockets", "unsigned", "behind")
"""Names of the gauges: connected devices, their users, channels of app services, open connections, channels without a sign-in,
and channels whose outbox is more than half full.
"""
_MINUTE_MS = 60_000
_RATE_SAMPLES = 6
_OTHER = 0
"""Key for all close codes that this service does not send."""
_CLOSES = {code.value: code.name.lower().replace("_", " ") for code in CloseCode} | {
    1001: "going away",
    1005: "no code",
    1006: "lost without a close frame",
    _OTHER: "any other",
}
_TROUBLE = (CloseCode.INTERNAL_ERROR, CloseCode.BAD_FRAMES, CloseCode.SLOW_DOWN_IGNORED, CloseCode.SLOW_READER)


class Report(msgspec.Struct):
    """The metrics of one process. Counts are since ``started_at``.

    :param rate: updates per second, over the last samples.
    :param errors: number of refusals by errno.
    :param closes: number of closed channels by close code.
    :param health: for each backend, whether it answered the last ping.
    """

    pid: int
    started_at: int
    memory_bytes: int
    gauges: dict[str, float]
    rate: float
    updates: int
    errors: dict[int, int]
    closes: dict[int, int]
    health: dict[str, bool]
    minutes: list[Minute]
    events: list[Event]


class _Counted(AbstractContextManager[None]):
    """Counts the outcome of a block, and its duration. Each sign-in has one; a generator of ``contextlib`` costs three times as much."""

    __slots__ = ("_began", "_counts", "_duration", "_name")

    def __init__(self, counts: Counter[str], name: str, duration: Histogram | None = None) -> None:
        self._counts = counts
        self._name = name
        self._duration = duration
        self._began = perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        outcome = "ok" if error is None else _outcome(error) if isinstance(error, Refused) else "failed"
        self._counts[f"{self._name} {outcome}"] += 1
        if self._duration is not None:
            self._duration.observe(perf_counter() - self._began)


class Metrics:
    """The metrics of this process.

    :ivar changes: number of status changes of devices, by status.
    :ivar sent: number of updates sent to channels of app services, by status and reason.
    :ivar counted: other counts; see ``measures``.
    :ivar health: see ``Report``.
    """

    def __init__(self, clock: Clock) -> None:
        self.changes: dict[Status, int] = {"online": 0, "unavailable": 0, "offline": 0}
        self.sent: Counter[tuple[str, str]] = Counter()
        self.counted: Counter[str] = Counter({"process_starts": 1})
        self.errors: Counter[int] = Counter()
        self.closes: Counter[int] = Counter()
        self.minutes: deque[Minute] = deque(maxlen=MINUTES)
        self.events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.health: dict[str, bool] = {}
        self._clock = clock
        self._verifications: dict[str, Histogram] = {}
        self._started_at = clock.now()
        self._gauges: dict[str, float] = dict.fromkeys(GAUGES, 0)
        self._totals = self._totals_before_minute = (0, 0, 0)
        self._rate_samples = deque([(clock.monotonic(), 0)], maxlen=_RATE_SAMPLES)
        self.event("process started")

    # -- counting

    @property
    def updates(self) -> int:
        """Number of status changes of devices."""
        return sum(self.changes.values())

    def sign_in(self, verifier: str) -> AbstractContextManager[None]:
        """Count a check of a credential, with its outcome and duration.

        :param verifier: the verifier of an assertion, or the kind of another credential.
        """
        duration = self._verifications.get(verifier)
        if duration is None:
            duration = self._verifications[verifier] = Histogram()
        return _Counted(self.counted, f"sign_ins {verifier}", duration)

    def provider_logout(self) -> AbstractContextManager[None]:
        """Count a logout that an identity provider sends, with its outcome."""
        return _Counted(self.counted, "provider_logouts")

    def refused(self, errno: int) -> None:
        """Count a KO reply on a channel or by HTTP."""
        self.errors[errno] += 1
        if errno == InternalError.errno:
            self.event("internal error")

    def closed(self, code: int) -> None:
        """Count a closed channel."""
        self.closes[code if code in _CLOSES else _OTHER] += 1
        if code in _TROUBLE:
            self.event(f"channel closed, {code:d}: {_CLOSES[code]}")

    def event(self, what: str, who: str = "") -> None:
        """Record an event. If it repeats the newest event, the number of times of that event is raised.

        :param who: an application's domain, or an e-mail address, which is masked here.
        """
        event = Event(self._clock.now(), what, masked(who))
        last = self.events[-1] if self.events else None
        if last and (last.what, last.who) == (event.what, event.who):
            event.times += self.events.pop().times
        self.events.append(event)

    def record_health(self, health: Mapping[str, bool]) -> None:
        """Record which backends answered a ping, with an event for each change."""
        for role, healthy in health.items():
            if healthy != self.health.get(role, True):
                self.event(f"{role} {'available again' if healthy else 'unavailable'}")
        self.health = dict(health)

    # -- sampling

    def sample(self, gauges: Mapping[str, float]) -> None:
        """Take a sample. It is called every few seconds.

        :param gauges: current values; a missing one of ``GAUGES`` is 0.
        """
        at = self._clock.now() // _MINUTE_MS * _MINUTE_MS
        if not self.minutes or self.minutes[-1].at != at:
            self._totals_before_minute = self._totals
        else:
            self.minutes.pop()
        self._gauges = {**dict.fromkeys(GAUGES, 0), **gauges}
        self._totals = (self.updates, self.errors.total(), self.closes[CloseCode.SLOW_READER])
        counted = (total - before for total, before in zip(self._totals, self._totals_before_minute, strict=True))
        self.minutes.append(Minute(at, *(int(self._gauges[name]) for name in GAUGES[:3]), *counted))
        self._rate_samples.append((self._clock.monotonic(), self.updates))

    def counts(self) -> dict[str, float]:
        """Return all counts of this process by key, see ``measures``."""
        found: dict[str, float] = {**self.counted, "cpu_seconds": process_time()}
        found |= {f"status_changes {status}": count for status, count in self.changes.items()}
        found |= {f"updates_sent {status} {reason}": count for (status, reason), count in self.sent.items()}
        found |= {f"refusals {errno}": count for errno, count in self.errors.items()}
        found |= {f"channels_closed {code or 'other'}": count for code, count in self.closes.items()}
        for verifier, histogram in self._verifications.items():
            histogram.add_to(found, f"verification {verifier}")
        return found

    def report(self) -> Report:
        """Return the metrics of this process; gauges, minutes and rate are those of the last sample."""
        (began, first), (ended, last) = self._rate_samples[0], self._rate_samples[-1]
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


def _outcome(refused: Refused) -> str:
    """Return the value of the label ``outcome`` for a refusal."""
    return {SlowDown: "slow_down", BackendUnavailable: "unavailable"}.get(type(refused), "refused")


def masked(who: str) -> str:
    """Return an e-mail address with only the first character of its local part; return other text unchanged."""
    local, at, domain = who.rpartition("@")
    return f"{local[:1]}…@{domain}" if at else who


def _memory_bytes() -> int:
    """Return the resident memory of this process in bytes, 0 where ``/proc`` is not available."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


# -- metrics of all processes


def merge_reports(reports: Sequence[Report], now: int) -> Figures:
    """Merge the reports of all processes into the metrics of the service (docs/protocol.md, section 6).

    A user with devices at two processes counts twice. The counts of a process that has ended are not included.
    """
    texts = {errno: cls.text for errno, cls in errno_table().items()}
    return Figures(
        at=now,
        **{name: int(sum(report.gauges.get(name, 0) for report in reports)) for name in GAUGES},
        updates_per_second=round(sum(report.rate for report in reports), 2),
        updates=sum(report.updates for report in reports),
        slow_readers=sum(report.closes.get(CloseCode.SLOW_READER, 0) for report in reports),
        health=[_health(role, reports) for role in dict.fromkeys(role for report in reports for role in report.health)],
        errors=[ErrorCount(*item) for item in _named((report.errors for report in reports), texts)],
        closes=[CloseCount(*item) for item in _named((report.closes for report in reports), _CLOSES)],
        minutes=_minutes(minute for report in reports for minute in report.minutes),
        events=sorted((event for report in reports for event in report.events), key=lambda event: event.at)[-MAX_EVENTS:],
        processes=[
            ProcessBody(report.pid, report.started_at, int(report.gauges.get("sockets", 0)), report.memory_bytes)
            for report in sorted(reports, key=lambda report: report.started_at)
        ],
    )


def _health(role: str, reports: Sequence[Report]) -> BackendHealth:
    answers = [report.health[role] for report in reports if role in report.health]
    return BackendHealth(role, sum(answers), len(answers))


def _named(counts: Iterable[Mapping[int, int]], texts: Mapping[int, str]) -> list[tuple[int, str, int]]:
    """Return the sums of counts by number, in ascending order: number, its meaning, sum."""
    total: Counter[int] = Counter()
    for counted in counts:
        total.update(counted)
    return [(number, texts.get(number, "any other"), count) for number, count in sorted(total.items())]


def _minutes(minutes: Iterable[Minute]) -> list[Minute]:
    """Return the sums of the minutes of all processes: the newest hour, oldest minute first."""
    added: dict[int, Counter[str]] = {}
    for minute in minutes:
        counts = msgspec.structs.asdict(minute)
        added.setdefault(counts.pop("at"), Counter()).update(counts)
    newest = max(added, default=0)
    return [Minute(at=at, **added[at]) for at in sorted(added) if at > newest - MINUTES * _MINUTE_MS]
