"""Counts of looks: an application was told, or could read, the status of its users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Via = Literal["channel", "rest", "webhook"]


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks of an application at a user's status on one day.

    :param day: UTC, ``YYYY-MM-DD``.
    :param channel: sign-ins of its service on its channel; at least 1 if a channel stayed open.
    :param rest: calls that read the status.
    :param webhook: deliveries to its webhook.
    """

    day: str
    channel: int = 0
    rest: int = 0
    webhook: int = 0


def day_of(at: int) -> str:
    """Return the day (UTC, ``YYYY-MM-DD``) of a time in milliseconds."""
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
