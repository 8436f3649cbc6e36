"""The state of the bridge that survives a restart, in SQLite: who watches whom, and the messages that are still to be answered."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, NamedTuple

_TABLES = """
CREATE TABLE IF NOT EXISTS watchers (watcher TEXT, puid TEXT, PRIMARY KEY (puid, watcher));
CREATE TABLE IF NOT EXISTS messages (
    notification TEXT PRIMARY KEY, puid TEXT, sender TEXT, stanza TEXT, wants TEXT, outcome TEXT, at INTEGER
);
CREATE INDEX IF NOT EXISTS messages_outcome ON messages (outcome) WHERE outcome IS NOT NULL;
"""
_KEPT_SECONDS = 3 * 86400
"""A notification waits for a day, and its outcomes for another one."""


class Message(NamedTuple):
    """A chat message that became a notification.

    :ivar sender: full JID.
    :ivar stanza: id of the message, "" without one.
    :ivar wants: the answers that its sender asked for: ``receipt``, ``marker``.
    """

    puid: str
    sender: str
    stanza: str
    wants: str


class Records:
    """A file.

    :param path: only its owner can read it, as PUIDs are private data of their users.
    """

    def __init__(self, path: Path) -> None:
        path.touch(0o600)
        path.chmod(0o600)  # an existing one may be readable by others
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _do(self, statement: str, *values: Any) -> list[Any]:
        return self._database.execute(statement, values).fetchall()

    # -- watchers

    def watch(self, watcher: str, puid: str) -> None:
        """Add a watcher, by bare JID."""
        self._do("INSERT OR IGNORE INTO watchers VALUES (?, ?)", watcher, puid)

    def unwatch(self, watcher: str, puid: str) -> None:
        """Remove a watcher."""
        self._do("DELETE FROM watchers WHERE watcher = ? AND puid = ?", watcher, puid)

    def watches(self, watcher: str, puid: str) -> bool:
        """Return True for a watcher."""
        return bool(self._do("SELECT 1 FROM watchers WHERE watcher = ? AND puid = ?", watcher, puid))

    def watchers(self, puid: str | None = None) -> list[tuple[str, str]]:
        """Return the watchers of a PUID, or of all, each with the PUID."""
        return self._do("SELECT watcher, puid FROM watchers WHERE ?1 IS NULL OR puid = ?1", puid)

    # -- messages

    def sent(self, notification: str, message: Message) -> None:
        """Add a message whose notification was accepted, and forget old ones. Its outcome may have been recorded before."""
        now = int(time.time())
        self._do("DELETE FROM messages WHERE at < ?", now - _KEPT_SECONDS)
        self._do(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, NULL, ?) ON CONFLICT DO UPDATE"
            " SET puid = excluded.puid, sender = excluded.sender, stanza = excluded.stanza, wants = excluded.wants",
            *(notification, *message, now),
        )

    def ended(self, notification: str, outcome: str, early: bool) -> None:
        """Record an outcome, which the sender has yet to be told.

        :param early: also of a notification that is not known yet.
        """
        if early:
            self._do("INSERT OR IGNORE INTO messages (notification, at) VALUES (?, ?)", notification, int(time.time()))
        self._do("UPDATE messages SET outcome = ? WHERE notification = ?", outcome, notification)

    def unanswered(self) -> list[tuple[str, str, Message]]:
        """Return the notifications with an outcome that the sender has yet to be told: id, outcome and message."""
        columns = "notification, outcome, puid, sender, stanza, wants"
        rows = self._do(f"SELECT {columns} FROM messages WHERE outcome IS NOT NULL AND sender IS NOT NULL")
        return [(row[0], row[1], Message(*row[2:])) for row in rows]

    def answered(self, notification: str) -> None:
        """Record that the sender was told the outcome. Others may follow."""
        self._do("UPDATE messages SET outcome = NULL WHERE notification = ?", notification)
