"""The status that a user sets above those of all their devices (docs/protocol.md, section 4)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ..backends.directory import Directory, Requester
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import SessionEnded, WrongValue
from ..model import Account, Status, merge
from .grants import Grants


class CurrentStatus(NamedTuple):
    """A user's status and what it follows from.

    :param status: see ``Tracker.status``.
    :param merged: the merged status of the live devices.
    :param override: see ``Account``.
    :param until: when the override ends.
    """

    status: Status
    merged: Status
    override: Status | None
    until: int | None


class Overrides:
    """Operations on overrides. A change is stored first; the outbox then publishes it."""

    def __init__(self, directory: Directory, tracker: Tracker, grants: Grants, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._grants = grants
        self._clock = clock

    def set(self, user: str, status: Status | None, until: int | None, requester: Requester | None = None) -> Account:
        """Set or end the override of a user.

        :param status: None ends it.
        :param until: when it ends by itself, milliseconds; None if never.
        :raises WrongValue: ``until`` is not in the future.
        :raises SessionEnded: the account does not exist any more, or see ``Grants.grant``.
        """
        if until is not None and (status is None or until <= self._clock.steady.now()):
            raise WrongValue("until: a time in the future, in milliseconds since the epoch, and only with a status")
        account = self._grants.commit(user, partial(self._directory.set_override, user, status, until, requester))
        if account is None:
            raise SessionEnded()
        return account

    def current(self, account: Account) -> CurrentStatus:
        """Return the status of a user.

        :param account: as read for this call.
        """
        merged = merge([device.status for device in self._tracker.devices(account.id)])
        return CurrentStatus(self._tracker.status(account.id), merged, account.override, account.override_until)
