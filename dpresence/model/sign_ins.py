"""Domain values of sign-ins: browser sessions, tickets, pairings and credentials of devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PairingState = Literal["waiting", "allowed", "denied"]


@dataclass(frozen=True, slots=True)
class Session:
    """A browser session.

    :param id_hash: SHA-256 of the value of the cookie.
    :param provider_session: key of the identity provider's session that it was opened with, or None.
    """

    id_hash: bytes
    user: str
    created_at: int
    expires_at: int
    provider_session: str | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A credential that this service issues to open a device channel.

    :param hash: SHA-256 of the value of the ticket.
    :param family: id shared by all tickets that result from one sign-in. They are revoked together.
    :param session: ``id_hash`` of the browser session to which the ticket belongs, None for a ticket of a device.
    :param device: the device that last used a ticket of the family, or None.
    :param expires_at: when the ticket expires.
    :param session_ends_at: when the sign-in of a channel that was opened with it expires.
    :param provider_session: of a ticket of a device: see ``Session``.
    """

    hash: bytes
    family: str
    user: str
    expires_at: int
    session_ends_at: int
    session: bytes | None = None
    device: str | None = None
    provider_session: str | None = None


@dataclass(frozen=True, slots=True)
class Pairing:
    """A device's request for a credential, which a user has to confirm (docs/protocol.md, section 6).

    :param hash: SHA-256 of the device code, by which the device asks for the result.
    :param code: the code that the user enters.
    :param device: name of the device.
    :param client: name of the program, as the device gives it.
    :param address: the address from which the device asked.
    :param expires_at: until then the user can confirm it and the device can get the credential.
    :param family: the ``family`` of the credential.
    :param user: the user who has allowed it; None before, and after a refusal.
    """

    hash: bytes
    code: str
    device: str
    client: str
    address: str
    family: str
    expires_at: int
    state: PairingState = "waiting"
    user: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceCredential:
    """A credential of a paired device. It opens the device channel and nothing else.

    :param hash: SHA-256 of the credential.
    :param family: its id among the ticket families of the user.
    :param client: see ``Pairing``.
    :param used_at: when it was last used, accurate to a day; None before the first use.
    """

    hash: bytes
    family: str
    user: str
    device: str
    client: str
    created_at: int
    expires_at: int
    used_at: int | None = None
