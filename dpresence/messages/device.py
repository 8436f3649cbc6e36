"""Frames of the device channel (docs/protocol.md, section 3)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ..model import Status
from .base import Frame
from .fields import Assertion, DeviceName, Email, Flag


class StatusUpdate(Frame, kw_only=True):
    """A status update from a device (section 3)."""

    email: Email
    status: Annotated[Status, Meta(description="one of online, unavailable, offline")]
    assertion: Assertion | None = None
    device: DeviceName | None = None
    ack: Flag = False
    ticket: Flag = False


class Acknowledge(Frame, kw_only=True):
    """An acknowledgement of notifications from a device (section 3)."""

    action: str
    notifications: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=10_000, description="a list of notification ids")]
