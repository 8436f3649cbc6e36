"""Weekly hours in a time zone: whether they hold at a time, and when that changes next (docs/decisions/0033-schedule.md).

An interval is given in local time. Where a clock is set back, a local time occurs twice: an interval begins at the first one and ends at
the second one. Where it is set forward, a local time does not occur: the moment of the change stands for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from msgspec import Meta, Struct

MAX_INTERVALS = 28
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS_BEFORE, _DAYS_AFTER = 2, 9
"""Days around a time whose intervals are looked at: an interval may end on the next day, in any time zone. After a week all recur."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_Clock = Annotated[str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z", description="a time of day, 00:00 to 23:59")]
_ClockOrMidnight = Annotated[
    str, Meta(pattern=r"\A(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z", description="a time of day, 00:00 to 24:00, other than from")
]


class Interval(Struct, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """A part of the day on some days of the week.

    :param days: the days on which it begins: ``mon``, ``tue`` ..
    :param start: when it begins, local time.
    :param end: when it ends; on the next day if this is not later than ``start``.
    """

    days: Annotated[list[Day], Meta(min_length=1, max_length=7, description="a list of mon, tue, wed, thu, fri, sat, sun, each once")]
    start: _Clock
    end: _ClockOrMidnight

    def __post_init__(self) -> None:
        """Check the fields.

        :raises ValueError: a day occurs twice, or the interval is empty.
        """
        if len(set(self.days)) < len(self.days):
            raise ValueError("days: a list of mon, tue, wed, thu, fri, sat, sun, each once")
        if self.start == self.end:
            raise ValueError("to: a time of day, 00:00 to 24:00, other than from")


class Hours(Struct, forbid_unknown_fields=True):
    """Weekly hours in a time zone.

    :param zone: a name of the IANA time zone database, such as ``Europe/Berlin``.
    :param weekly: the intervals.
    """

    zone: Annotated[str, Meta(max_length=64, description="a time zone, such as Europe/Berlin")]
    weekly: Annotated[list[Interval], Meta(min_length=1, max_length=MAX_INTERVALS, description=f"a list of 1 to {MAX_INTERVALS} intervals")]

    def __post_init__(self) -> None:
        """Check the time zone.

        :raises ValueError: it is not known.
        """
        if self.zone not in _zones():
            raise ValueError("zone: a time zone, such as Europe/Berlin")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "Factory"})


def encode_hours(hours: Hours | None) -> str | None:
    """Return the form in which hours are stored."""
    return None if hours is None else msgspec.json.encode(hours).decode()


@lru_cache(maxsize=1000)
def decode_hours(stored: str) -> Hours:
    """Return stored hours. A time zone that this machine does not know any more counts as UTC."""
    try:
        return msgspec.json.decode(stored, type=Hours)
    except msgspec.ValidationError:
        return msgspec.json.decode(msgspec.json.encode({**msgspec.json.decode(stored), "zone": "UTC"}), type=Hours)


def within(stored: str | None, now: int) -> bool:
    """Return whether stored hours, if there are any, hold at a time in milliseconds."""
    return stored is not None and any(start <= now < end for start, end in _periods(decode_hours(stored), now))


def next_change(stored: str | None, now: int) -> int | None:
    """Return when stored hours begin or end next, milliseconds; None without hours."""
    if stored is None:
        return None
    for start, end in _periods(decode_hours(stored), now):
        if now < end:
            return end if start <= now else start
    return now + 86_400_000  # all intervals of the week fall into gaps, which do not recur


def _periods(hours: Hours, now: int) -> list[tuple[int, int]]:
    """Return the periods around a time, in milliseconds, in order; those that touch are one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(_occurrences(hours, now)):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        elif start < end:
            merged.append((start, end))
    return merged


def _occurrences(hours: Hours, now: int) -> Iterator[tuple[int, int]]:
    zone = ZoneInfo(hours.zone)
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    for offset in range(-_DAYS_BEFORE, _DAYS_AFTER):
        day = today + timedelta(days=offset)
        for interval in hours.weekly:
            if _DAYS[day.weekday()] in interval.days:
                following = day + timedelta(days=1) if interval.end == "24:00" or interval.end <= interval.start else day
                yield _instant(day, interval.start, zone, last=False), _instant(following, interval.end, zone, last=True)


def _instant(day: date, clock: str, zone: tzinfo, *, last: bool) -> int:
    """Return the time, in milliseconds, at which a clock shows a time of day.

    :param last: the last of two such times, not the first one.
    """
    local = datetime.combine(day, time.fromisoformat("00:00" if clock == "24:00" else clock), zone)
    moment = local.replace(fold=last).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        moment = _change_of_offset(local, zone)
    return round(moment.timestamp()) * 1000


def _change_of_offset(local: datetime, zone: tzinfo) -> datetime:
    """Return the moment at which a clock is set forward over a local time."""
    after, before = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == after.astimezone(zone).utcoffset():
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)
