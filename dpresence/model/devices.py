"""Stored descriptions of devices."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """The stored description of a named device of a user. A text that is not known is empty.

    :param given: the label that the device gives itself.
    :param label: the label that the user gives it.
    :param seen_on: last day (UTC) of a sign-in, ``YYYY-MM-DD``.
    """

    user: str
    device: str
    given: str = ""
    label: str = ""
    kind: str = ""
    seen_on: str = ""
