"""Makes the changes that are due at a time, such as the end of an override (docs/decisions/0033-schedule.md)."""

from __future__ import annotations

from ..backends.directory import Directory
from ..backends.tracker import Tracker
from ..errors import BackendUnavailable
from .outbox import Outbox
from .scheduling import yield_to_loop

SECONDS = 0.5
"""Seconds between two runs; a change is made within two of them."""
_CLAIM_SECONDS = 0.4
_PAGE = 200
"""Accounts that are changed in one transaction. It takes some 20 ms, in which other durable changes wait."""


class Schedule:
    """Makes due changes. One process at a time looks for them; a change is made once even if two do."""

    def __init__(self, directory: Directory, tracker: Tracker, outbox: Outbox) -> None:
        self._directory = directory
        self._tracker = tracker
        self._outbox = outbox

    def run(self) -> None:
        """Make all changes that are due, and apply their effects.

        :raises BackendUnavailable: a backend is unavailable; the next run continues.
        """
        if not self._may_run():
            return
        while users := self._directory.due(_PAGE):
            changed = self._directory.make_due_changes(users)
            self._outbox.apply_now(*changed)
            yield_to_loop()
            if not changed:  # other transactions are changing them
                return

    def _may_run(self) -> bool:
        """Return whether no other process has just run; True if the tracker does not say so, as each change is made once anyway."""
        try:
            return self._tracker.claim("schedule", _CLAIM_SECONDS)
        except BackendUnavailable:
            return True
