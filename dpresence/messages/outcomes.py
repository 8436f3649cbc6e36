"""Outcomes of notifications: frames of both channels, and an answer of REST (docs/protocol.md, sections 3, 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from msgspec import Struct

from ..model.outcomes import Followed, NotificationOutcome, NotificationState, PublishedOutcome
from .base import Frame
from .fields import NotificationIds


class ReportOutcome(Frame, kw_only=True):
    """A device has shown notifications to its user, or the user has opened them (section 3).

    :param notifications: ids of notifications, which are acknowledged as well.
    """

    action: Literal["shown", "opened"]
    notifications: NotificationIds


class OutcomeEntry(Struct, gc=False):
    """An outcome of a notification (section 5).

    :param at: when the application could first know it: milliseconds since the epoch, whole seconds.
    """

    id: str
    puid: str
    outcome: NotificationOutcome
    at: int

    @classmethod
    def of(cls, outcome: PublishedOutcome) -> Self:
        """Return the entry of an outcome."""
        return cls(outcome.id, outcome.puid, outcome.outcome, outcome.at)


class OutcomeFrame(Struct, gc=False):
    """A frame of outcomes, 1 to 500 (section 5).

    :param cursor: position after this frame, the ``outcomes`` of a later ``auth``.
    """

    outcomes: list[OutcomeEntry]
    cursor: str

    @classmethod
    def of(cls, outcomes: Sequence[PublishedOutcome]) -> Self:
        """Return a frame of outcomes, which are one at least."""
        return cls([OutcomeEntry.of(each) for each in outcomes], str(outcomes[-1].position))


class FollowedNotification(Struct):
    """The answer to ``GET /myapps/<appid>/notifications/<id>`` (section 6).

    :param state: the last outcome; ``waiting`` without one.
    :param sent: when it was sent: milliseconds since the epoch, whole seconds, so never after an outcome.
    """

    id: str
    puid: str
    state: NotificationState
    sent: int
    outcomes: list[OutcomeEntry]

    @classmethod
    def of(cls, item: Followed, outcomes: Sequence[PublishedOutcome]) -> Self:
        """Return a notification with its published outcomes."""
        entries = [OutcomeEntry.of(each) for each in outcomes]
        return cls(item.id, item.puid, entries[-1].outcome if entries else "waiting", item.sent_at // 1000 * 1000, entries)


def position_of(cursor: str | None) -> int | None:
    """Return the position in a cursor of outcomes: 0 if it is none, None without one."""
    if cursor is None:
        return None
    return int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 19 else 0
