"""Bodies and a frame of the status of a whole person (docs/protocol.md, sections 3, 4 and 6)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ..model import Status
from .base import Frame
from .fields import Email, Until

_Status = Annotated[Status, Meta(description="one of online, unavailable, offline")]


class StatusChange(Struct, forbid_unknown_fields=True):
    """``PUT /status``.

    :param status: counts instead of the statuses of all devices.
    :param until: when the override ends by itself, milliseconds since the epoch. Null or omitted: never.
    """

    status: _Status
    until: Until | None = None


class OverrideUpdate(Frame, kw_only=True):
    """A change of the override from a device (section 3).

    :param email: the address that the assertion proves.
    :param override: counts instead of the statuses of all devices. Null ends the override.
    :param until: see ``StatusChange``.
    """

    email: Email
    override: Annotated[Status | None, Meta(description="one of online, unavailable, offline, or null")]
    until: Until | None = None


class StatusBody(Struct):
    """The answer to ``GET /status`` and ``PUT /status`` (section 6).

    :param status: the user's status: offline without a live device, else the override or, without one, ``merged``.
    :param merged: the merged status of the live devices.
    :param override: null without one.
    :param until: when the override ends by itself, milliseconds since the epoch; null if never.
    """

    status: Status
    merged: Status
    override: Status | None
    until: int | None
