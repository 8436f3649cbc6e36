"""Bodies of the pairing of devices (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from msgspec import Meta, Struct

from .. import texts
from ..model import DeviceCredential, Pairing
from ..web_addresses import refusal
from .fields import DeviceName, Flag, Name, checked


class BeginPairing(Struct, forbid_unknown_fields=True):
    """``POST /pair``.

    :param client: name of the program.
    """

    device: DeviceName
    client: Name

    def __post_init__(self) -> None:
        self.client = checked(self, "client", texts.name)
        if refused := refusal(self.client):
            raise ValueError(f"client: {refused}")


class RedeemPairing(Struct, forbid_unknown_fields=True):
    """``POST /pair/token``."""

    device_code: Annotated[str, Meta(max_length=64, description="the device code, as text")]


class PairingAnswer(Struct, forbid_unknown_fields=True):
    """``POST /pair/answer``, as JSON."""

    code: Annotated[str, Meta(max_length=64, description="the code that the device shows")]
    allow: Flag


class StartedPairing(Struct):
    """The answer to ``POST /pair`` (section 6).

    :param device_code: secret by which the device asks for the result.
    :param user_code: the code that the device shows to the user.
    :param verification_uri: the page on which the user enters the code.
    :param verification_uri_complete: the same page with the code.
    :param expires_in: seconds until the codes expire.
    :param interval: shortest time between two polls, in seconds.
    """

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class NewCredential(Struct):
    """The answer to ``POST /pair/token`` (section 6).

    :param credential: opens the device channel (section 2).
    :param email: the address of the user.
    """

    credential: str
    email: str
    device: str


class PairingQuestion(Struct):
    """The answer to ``GET /pair`` (section 6).

    :param address: the IP address from which the device asked.
    :param expires_at: milliseconds since the epoch.
    """

    device: str
    client: str
    address: str
    expires_at: int

    @classmethod
    def of(cls, item: Pairing) -> Self:
        """Return a pairing for the user who has entered its code."""
        return cls(item.device, item.client, item.address, item.expires_at)


class PairingAnswered(Struct):
    """The answer to ``POST /pair/answer`` (section 6)."""

    result: Literal["OK"] = "OK"


class PairedDeviceBody(Struct):
    """A device with a credential (section 6). Times are milliseconds since the epoch.

    :param last_used: accurate to a day; null before the first use.
    """

    device: str
    client: str
    paired_at: int
    last_used: int | None
    expires_at: int

    @classmethod
    def of(cls, item: DeviceCredential) -> Self:
        """Return a credential without its secret."""
        return cls(item.device, item.client, item.created_at, item.used_at, item.expires_at)
