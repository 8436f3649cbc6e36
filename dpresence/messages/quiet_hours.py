"""Bodies of a user's quiet hours (docs/protocol.md, section 6). Those that are received are in ``model.hours``."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ..model import Account


class ShownInterval(Struct, rename={"start": "from", "end": "to"}):
    """A part of the day on some days of the week; see ``model.hours.Interval``."""

    days: list[str]
    start: str
    end: str


class ShownHours(Struct):
    """Weekly hours in a time zone; see ``model.hours.Hours``."""

    zone: str
    weekly: list[ShownInterval]


def shown_hours(stored: str | None) -> ShownHours | None:
    """Return stored hours as they are shown."""
    return None if stored is None else msgspec.json.decode(stored, type=ShownHours)


class HoursBody(Struct):
    """The answer to ``GET /hours`` and ``PUT /hours`` (section 6).

    :param hours: null without any.
    :param quiet: whether they hold now.
    """

    hours: ShownHours | None
    quiet: bool

    @classmethod
    def of(cls, item: Account, quiet: bool) -> HoursBody:
        """Return the quiet hours of an account."""
        return cls(shown_hours(item.hours), quiet)
