"""Devices and users as the tracker in memory keeps them."""

from __future__ import annotations

from ...model import Status


class LiveDevice:
    """A live device; without a connection it is in grace."""

    __slots__ = ("connection", "name", "signed", "since", "status")

    def __init__(self, name: str) -> None:
        self.name = name
        self.status: Status = "offline"
        self.connection: str | None = None
        self.since = 0
        self.signed = 0


class LiveUser:
    """A user who has a live device, their merged status, and the one that applications were told."""

    __slots__ = ("devices", "status", "told")

    def __init__(self) -> None:
        self.devices: dict[str, LiveDevice] = {}
        self.status: Status = "offline"
        self.told: Status = "offline"
