"""The table of users' statuses and the cursor up to which it is complete (docs/protocol.md, section 5)."""

from __future__ import annotations

from typing import Dict, Iterator, List, Mapping, Sequence

from .values import Batch, Change, Entry, Update

MAX_REVOKED = 10_000
"""Number of revoked PUIDs that are remembered, to recognise a repeated ``revoked``."""


class Table(Mapping[str, Entry]):
    """Every user who granted the application access, by PUID. It is read like a dictionary; only ``apply`` changes it.

    :param entries: a table that was stored together with its cursors.
    :ivar cursor: position up to which the table is complete; None before the first snapshot.
    :ivar outcomes: position up to which the program has processed the outcomes of notifications; "" before the first one.
    """

    def __init__(self, entries: Mapping[str, Entry] | None = None, cursor: str | None = None, outcomes: str = "") -> None:
        self._entries: Dict[str, Entry] = dict(entries or {})
        self._revoked: Dict[str, None] = {}
        self.cursor = cursor
        self.outcomes = outcomes

    def __getitem__(self, puid: str) -> Entry:
        return self._entries[puid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        """Leave out the PUIDs, which are private data of their users."""
        return f"<Table of {len(self)} users>"

    def copy(self) -> Dict[str, Entry]:
        """Return a dictionary with the same entries, which does not change."""
        return dict(self._entries)

    def is_revoked(self, puid: str) -> bool:
        """Return True if a PUID was revoked, as far as this table remembers."""
        return puid in self._revoked

    def apply(self, batch: Batch) -> List[Change]:
        """Bring the table to the state after a batch; return the changes. Repeated updates are no changes."""
        self.cursor = batch.cursor
        return self._replace(batch.updates) if batch.origin == "snapshot" else self._update(batch.updates, batch.origin)

    def _update(self, updates: Sequence[Update], origin: str) -> List[Change]:
        changes: List[Change] = []
        entries, revoked = self._entries, self._revoked
        for puid, status, reason, at in updates:
            if puid in revoked and reason != "granted":
                continue
            revoked.pop(puid, None)
            if reason == "revoked":
                self._revoke(puid)
            elif entries.get(puid) == (status, at) and reason != "granted":
                continue
            else:
                entries[puid] = Entry(status, at)
            changes.append(Change(puid, status, reason, at, origin))
        return changes

    def _revoke(self, puid: str) -> None:
        self._entries.pop(puid, None)
        self._revoked[puid] = None
        if len(self._revoked) > MAX_REVOKED:
            del self._revoked[next(iter(self._revoked))]

    def _replace(self, updates: Sequence[Update]) -> List[Change]:
        """Replace the table; a user who is not in the snapshot has revoked the grant."""
        old, self._entries = self._entries, {}
        changes: List[Change] = []
        for puid, status, reason, at in updates:
            entry = self._entries[puid] = Entry(status, at)
            self._revoked.pop(puid, None)  # as after the restore of a backup
            if old.pop(puid, None) != entry:
                changes.append(Change(puid, status, reason, at, "snapshot"))
        for puid, (_, at) in old.items():
            self._revoke(puid)
            changes.append(Change(puid, "offline", "revoked", at, "snapshot"))
        return changes
