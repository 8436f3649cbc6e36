"""The part of the directory that stores tickets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from ...model import Identity, Ticket
from .values import Redeemed, Requester


def _nobody(user: str) -> bool:
    return False


class TicketStore(ABC):
    """Tickets; a part of ``Directory``."""

    @abstractmethod
    def add_ticket(self, ticket: Ticket, requester: Requester | None = None, identity: Identity | None = None) -> None:
        """Store a new ticket.

        :param identity: see ``add_session``.
        :raises SessionEnded: see ``add_session``; or the session that the ticket belongs to has ended.
        """

    @abstractmethod
    def use_ticket(
        self, hash: bytes, now: int, device: str | None, successor: bytes | None, wants_grants: Callable[[str], bool] = _nobody
    ) -> Redeemed | None:
        """Use a ticket and record the device that used it (docs/protocol.md, section 2).

        The use ends all earlier tickets of the family, and a successor that an earlier use of this ticket created. The same device
        can use the ticket again until a successor is used or the ticket expires; a ticket used without a successor cannot be used again.

        :param device: the device name given at the sign-in, or None. A nameless device that uses a ticket again gets the same name.
        :param successor: hash of the ticket that follows this one, or None. The successor expires at the ticket's
            ``session_ends_at`` and has the same family, session and user.
        :param wants_grants: returns whether the result shall contain the grants of a user, which a sign-in needs next. Does not block.
        :returns: None if the ticket is unknown, has expired unused, or has expired by ``now`` but not by the clock of the store. Any
            other invalid use deletes the whole family.
        """

    @abstractmethod
    def tickets(self, user: str, now: int) -> Sequence[Ticket]:
        """Return a user's usable tickets in order of expiry."""

    @abstractmethod
    def family_exists(self, family: str) -> bool:
        """Return whether a ticket or a device credential of a family exists."""

    @abstractmethod
    def set_family_device(self, family: str, device: str) -> None:
        """Record the device of a ticket family that signed in without a device name."""

    @abstractmethod
    def sign_out_device(self, user: str, device: str, requester: Requester | None = None) -> None:
        """Delete the ticket families that ``device`` of ``user`` was the last to use, its credential and its pairings."""
