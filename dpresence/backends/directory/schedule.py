"""The part of the directory that makes changes at their time: ends of overrides and of grants, begins and ends of quiet hours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ...model import Account
from .values import Requester


class ScheduleStore(ABC):
    """Changes that are due at a time by the clock of the store; a part of ``Directory`` (docs/decisions/0033-schedule.md).

    Each change that sets a time also stores the earliest time of its account.
    """

    @abstractmethod
    def set_hours(self, user: str, hours: str | None, requester: Requester | None = None) -> Account | None:
        """Set the quiet hours of a person, encoded, or None to remove them; return the account, None if there is none."""

    @abstractmethod
    def due(self, limit: int) -> Sequence[str]:
        """Return up to ``limit`` accounts for which a change is due, the one that is due for longest first."""

    @abstractmethod
    def make_due_changes(self, users: Sequence[str]) -> Sequence[str]:
        """Make the changes that are due for some accounts, with their entries of the outbox; return the accounts that were changed.

        Accounts that another transaction is changing are skipped, so that each change is made once; they stay due.
        """
