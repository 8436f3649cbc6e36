"""Weekly hours in a time zone: around changes of the clock, over midnight, and in every zone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from dpresence.errors import WrongValue
from dpresence.messages import Hours, parse
from dpresence.model import encode_hours, next_change, within

EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def hours(start: str, end: str, days: list[str] | None = None, zone: str = "Europe/Berlin") -> str:
    text = encode_hours(parse(Hours, encode(zone, [{"days": days or EVERY_DAY, "from": start, "to": end}])))
    assert text is not None
    return text


def encode(zone: object, weekly: object) -> str:
    return json.dumps({"zone": zone, "weekly": weekly})


def at(text: str) -> int:
    """Return a time given in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def changes(stored: str, start: str, count: int) -> list[str]:
    """Return the next changes, in UTC, with what holds from then on."""
    now, found = at(start), []
    for _ in range(count):
        following = next_change(stored, now)
        assert following is not None and following > now and within(stored, following - 1) == within(stored, now)
        now = following
        found.append(f"{datetime.fromtimestamp(now / 1000, UTC):%d %H:%M} {'in' if within(stored, now) else 'out'}")
    return found


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    weekdays = hours("22:00", "07:00", ["fri"])
    assert changes(weekdays, "2026-11-25 12:00", 3) == ["27 21:00 in", "28 06:00 out", "04 21:00 in"]
    assert within(weekdays, at("2026-11-28 05:59")) and not within(weekdays, at("2026-11-27 05:59"))


def test_a_whole_day_ends_at_midnight_and_whole_weeks_have_no_gap() -> None:
    assert changes(hours("00:00", "24:00", ["sat"]), "2026-11-25 12:00", 2) == ["27 23:00 in", "28 23:00 out"]
    always = hours("00:00", "24:00")
    assert all(within(always, at(f"2026-11-{day} {hour:02}:00")) for day in range(20, 28) for hour in range(24))


def test_intervals_that_touch_or_overlap_are_one() -> None:
    weekly = [{"days": ["mon"], "from": one, "to": other} for one, other in (("08:00", "10:00"), ("10:00", "12:00"), ("09:00", "11:00"))]
    stored = encode_hours(parse(Hours, encode("UTC", weekly)))
    assert stored and changes(stored, "2026-11-30 00:00", 2) == ["30 08:00 in", "30 12:00 out"]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [  # in Berlin, 2:00 becomes 3:00 (1:00 UTC) on 29 March 2026
        (("01:00", "04:00"), ["29 00:00 in", "29 02:00 out"]),
        (("02:30", "03:30"), ["29 01:00 in", "29 01:30 out"]),
        (("01:30", "02:30"), ["29 00:30 in", "29 01:00 out"]),
        (("02:15", "02:45"), ["30 00:15 in", "30 00:45 out"]),
    ],
)
def test_a_local_time_that_does_not_occur_is_the_moment_of_the_change(interval: tuple[str, str], expected: list[str]) -> None:
    assert changes(hours(*interval), "2026-03-28 12:00", 2) == expected


@pytest.mark.parametrize(
    ("interval", "expected"),
    [  # in Berlin, 3:00 becomes 2:00 (1:00 UTC) on 25 October 2026
        (("01:00", "04:00"), ["24 23:00 in", "25 03:00 out"]),
        (("02:30", "02:45"), ["25 00:30 in", "25 01:45 out"]),
        (("22:00", "02:30"), ["24 20:00 in", "25 01:30 out"]),
    ],
)
def test_a_local_time_that_occurs_twice_begins_at_the_first_and_ends_at_the_second(interval: tuple[str, str], expected: list[str]) -> None:
    assert changes(hours(*interval), "2026-10-24 12:00", 2) == expected


@pytest.mark.parametrize(
    "zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "UTC"]
)
def test_on_ordinary_days_hours_are_those_of_the_clock_on_the_wall(zone: str) -> None:
    stored, start = hours("22:00", "07:00", zone=zone), at("2026-07-01 00:00")
    for now in range(start, start + 8 * 86_400_000, 1_800_000):
        hour = datetime.fromtimestamp(now / 1000, ZoneInfo(zone)).hour
        assert within(stored, now) == (hour >= 22 or hour < 7)


def test_without_hours_nothing_changes() -> None:
    assert (within(None, 0), next_change(None, 0)) == (False, None)


def test_a_zone_that_is_no_longer_known_counts_as_utc() -> None:
    stored = hours("22:00", "23:00").replace("Europe/Berlin", "Europe/Atlantis")
    assert within(stored, at("2026-07-01 22:30"))


ONE = {"days": ["mon"], "from": "22:00", "to": "07:00"}


@pytest.mark.parametrize(
    ("zone", "weekly", "error"),
    [
        ("Europe/Atlantis", [ONE], "zone: a time zone, such as Europe/Berlin"),
        ("../etc/passwd", [ONE], "zone: a time zone, such as Europe/Berlin"),
        ("localtime", [ONE], "zone: a time zone, such as Europe/Berlin"),
        (1, [ONE], "zone: a time zone, such as Europe/Berlin"),
        ("UTC", [], "weekly: a list of 1 to 28 intervals"),
        ("UTC", [ONE] * 29, "weekly: a list of 1 to 28 intervals"),
        ("UTC", [{**ONE, "days": []}], "weekly[0].days: a list of mon, tue, wed, thu, fri, sat, sun, each once"),
        ("UTC", [{**ONE, "days": ["mon", "mon"]}], "weekly[0].days: a list of mon, tue, wed, thu, fri, sat, sun, each once"),
        ("UTC", [ONE, {**ONE, "days": ["someday"]}], "weekly[1].days[0]: a list of mon, tue, wed, thu, fri, sat, sun, each once"),
        ("UTC", [{**ONE, "from": "24:00"}], "weekly[0].from: a time of day, 00:00 to 23:59"),
        ("UTC", [{**ONE, "to": "7:00"}], "weekly[0].to: a time of day, 00:00 to 24:00, other than from"),
        ("UTC", [{**ONE, "to": "22:00"}], "weekly[0].to: a time of day, 00:00 to 24:00, other than from"),
    ],
)
def test_errors_are_named(zone: object, weekly: object, error: str) -> None:
    with pytest.raises(WrongValue) as refused:
        parse(Hours, encode(zone, weekly))
    assert refused.value.error == error
