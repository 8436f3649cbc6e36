"""Bodies of what is known of a user's devices, and the label that a device gives itself (docs/protocol.md, sections 3 and 6)."""

from __future__ import annotations

from typing import Annotated, Literal, Self, cast

from msgspec import Meta, Struct

from .. import texts
from ..errors import WrongValue
from ..model import KnownDevice
from ..web_addresses import refusal
from .fields import Name

DeviceKind = Literal["browser", "phone", "program", "terminal", "other"]
Kind = Annotated[DeviceKind | None, Meta(description="one of browser, phone, program, terminal, other")]
Label = Annotated[Name | None, Meta(description="1 to 64 printable characters, or null")]


def checked_label(label: str | None) -> str:
    """Return the normal form of a label, "" for none.

    :raises WrongValue: it is no name (section 6), or contains a web address.
    """
    if label is None:
        return ""
    try:
        name = texts.name(label)
    except ValueError as error:
        raise WrongValue(f"label: 1 to 64 printable characters, {error}") from None
    if refused := refusal(name):
        raise WrongValue(f"label: {refused}")
    return name


class DeviceChange(Struct, forbid_unknown_fields=True):
    """``PATCH /devices/<device>``.

    :param label: the name that the user gives the device. Null: the one that it gives itself.
    """

    label: Label


class KnownDeviceBody(Struct):
    """The description of a device (section 6).

    :param label: the name that the user has given it, or that it gives itself.
    :param last_seen: the day of its last sign-in in which it said what it is, or null.
    """

    device: str
    label: str | None
    kind: DeviceKind | None
    last_seen: str | None

    @classmethod
    def of(cls, item: KnownDevice) -> Self:
        """Return a device."""
        return cls(item.device, item.label or item.given or None, cast("DeviceKind | None", item.kind or None), item.seen_on or None)
