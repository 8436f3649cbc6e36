"""The users for whom notifications may wait, known without a read: nearly all users who sign in have none."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from ...sql.engine import Database
from ...sql.tables import notifications

MOST = 10_000
"""Maximum number of users that are stored; with more, nothing is known."""


class Recipients:
    """Users for whom notifications may wait. Nothing is known unless this process uses the database alone, and so stores all of them.

    :ivar additions: number of calls of ``add``.
    """

    def __init__(self, database: Database) -> None:
        self.additions = 0
        self._users: set[str] | None = set() if database.alone else None
        if database.alone:
            self.add(database.read(_stored))

    def may_have(self, user: str) -> bool:
        """Return whether notifications may wait for a user; False if certainly none do."""
        return self._users is None or user in self._users

    def add(self, users: Iterable[str]) -> None:
        """Add users, after their notifications are stored and before anybody is told."""
        self.additions += 1
        if self._users is not None:
            self._users.update(users)
            if len(self._users) > MOST:
                self._users = None

    def discard(self, user: str, additions: int) -> None:
        """Remove a user for whom a read has found none, unless users were added since it began.

        :param additions: ``additions`` before the read.
        """
        if self._users is not None and additions == self.additions:
            self._users.discard(user)


def _stored(connection: Connection) -> list[str]:
    return list(connection.scalars(select(notifications.c.user).distinct().limit(MOST + 1)))
