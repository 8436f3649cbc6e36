"""Devices and users as the in-memory tracker stores them."""

from __future__ import annotations

from ...model import Status


class LiveDevice:
    """A live device; a device without a connection is in grace."""

    __slots__ = ("connection", "name", "signed", "since", "status")

    def __init__(self, name: str) -> None:
        self.name = name
        self.status: Status = "offline"
        self.connection: str | None = None
        self.since = 0
        self.signed = 0


class LiveUser:
    """A user with at least one live device, their merged status, and the status that applications were last sent."""

    __slots__ = ("devices", "sent_status", "status")

    def __init__(self) -> None:
        self.devices: dict[str, LiveDevice] = {}
        self.status: Status = "offline"
        self.sent_status: Status = "offline"
