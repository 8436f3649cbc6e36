"""The PUID of each member, in a SQLite file. A PUID is private data of its member: no page shows it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any


class Members:
    """The members who let the club see when they are reachable.

    :param path: the file, which only its owner can read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        Path(path).touch(0o600)
        Path(path).chmod(0o600)  # that of an earlier version could be read by others
        self._do("CREATE TABLE IF NOT EXISTS members (name TEXT PRIMARY KEY, puid TEXT NOT NULL UNIQUE)")

    def _do(self, statement: str, values: Sequence[str] = ()) -> list[Any]:
        with closing(sqlite3.connect(self._path)) as database, database:
            return database.execute(statement, values).fetchall()

    def join(self, name: str, puid: str) -> list[str]:
        """Store a PUID; return the names whose status this changes. A person who was somebody else here before is now this member."""
        before = self.name(puid)
        self._do("INSERT OR REPLACE INTO members VALUES (?, ?)", (name, puid))
        return [name] if before in (None, name) else [before, name]

    def forget(self, puid: str) -> None:
        """Remove a PUID: the person has revoked the access, and it is invalid for good."""
        self._do("DELETE FROM members WHERE puid = ?", (puid,))

    def puid(self, name: str) -> str | None:
        """Return the PUID of a member, None without one."""
        return next((row[0] for row in self._do("SELECT puid FROM members WHERE name = ?", (name,))), None)

    def name(self, puid: str) -> str | None:
        """Return the member with a PUID, None without one."""
        return next((row[0] for row in self._do("SELECT name FROM members WHERE puid = ?", (puid,))), None)

    def names(self) -> list[str]:
        """Return all members."""
        return [row[0] for row in self._do("SELECT name FROM members ORDER BY name")]
