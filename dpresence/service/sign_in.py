"""The result of a sign-in, by an assertion, a ticket or a device credential."""

from __future__ import annotations

from msgspec import Struct

from ..model import Account, Identity


class SignIn(Struct, frozen=True):
    """A successful sign-in.

    :param ends_at: time (milliseconds) at which the channel's identity expires.
    :param device: name of the device that signed in, None for a new nameless one.
    :param family: the ticket family that the sign-in belongs to, or None.
    :param ticket: the next ticket, if one was requested.
    :param identity: the result of verifying an assertion, None for a ticket or a device credential.
    :param digest: that of a ticket.
    """

    account: Account
    ends_at: int
    device: str | None
    family: str | None = None
    ticket: str | None = None
    identity: Identity | None = None
    digest: bytes = b""
