"""Changes that are due at a time."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import Mock

from dpresence.service.schedule import Schedule


class Due:
    """Accounts that are due, of which some are locked by other transactions."""

    def __init__(self, users: Sequence[str], locked: str) -> None:
        self.users = list(users)
        self._locked = locked

    def due(self, limit: int) -> Sequence[str]:
        return self.users[:limit]

    def make_due_changes(self, users: Sequence[str]) -> Sequence[str]:
        changed = [user for user in users if user != self._locked]
        self.users = [user for user in self.users if user not in changed]
        return changed


def test_an_account_that_is_locked_keeps_the_changes_of_nobody_else_for_the_next_run() -> None:
    directory, tracker = Due(["locked", *(f"user-{n}" for n in range(1000))], "locked"), Mock()
    tracker.claim.return_value = True
    Schedule(directory, tracker, Mock()).run()  # type: ignore[arg-type]
    assert directory.users == ["locked"]
