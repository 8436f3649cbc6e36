"""Quiet hours of a person: weekly hours in which all their grants are paused (docs/protocol.md, sections 5 and 6)."""

from __future__ import annotations

from functools import partial

from ..backends.directory import Directory, Requester
from ..clock import Clock
from ..errors import SessionEnded
from ..model import Account, Hours, encode_hours, within
from .grants import Grants


class QuietHours:
    """Operations on quiet hours. A change is stored first; the outbox then publishes the changed grants."""

    def __init__(self, directory: Directory, grants: Grants, clock: Clock) -> None:
        self._directory = directory
        self._grants = grants
        self._clock = clock

    def set(self, user: str, hours: Hours | None, requester: Requester | None = None) -> Account:
        """Set or remove the quiet hours of a user.

        :raises SessionEnded: the account does not exist any more, or see ``Grants.grant``.
        """
        account = self._grants.commit(user, partial(self._directory.set_hours, user, encode_hours(hours), requester))
        if account is None:
            raise SessionEnded()
        return account

    def are_now(self, account: Account) -> bool:
        """Return whether the quiet hours of an account hold now."""
        return within(account.hours, self._clock.steady.now())
