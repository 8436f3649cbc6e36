"""Stores of a table with its cursor, and of a device's ticket. Files are replaced atomically and only their owner can read them."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Protocol, Union

from .errors import StoreError
from .table import Table
from .values import Entry

_VERSION = 1


class Store(Protocol):
    """Keeps a table together with its cursors. Write your own to keep them in a database: all in one transaction."""

    def load(self, appid: str) -> Table | None:
        """Return the stored table of an application; None if there is none.

        :raises StoreError: what is stored cannot be used.
        """

    def save(self, appid: str, table: Table) -> None:
        """Store the entries, ``cursor`` and ``outcomes`` of a table, all or none of them."""


class Tickets(Protocol):
    """Keeps the ticket of a device's next connection."""

    def load(self) -> str | None:
        """Return the stored ticket, or None."""

    def save(self, ticket: str | None) -> None:
        """Store a ticket; None removes it."""


class FileStore:
    """Keeps a table in a JSON file. The table is in memory as well, and each ``save`` writes all of it.

    :param path: the file; its folder exists.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self._path = Path(path)

    def __repr__(self) -> str:
        return f"FileStore({str(self._path)!r})"

    def load(self, appid: str) -> Table | None:
        """Return the stored table; None if the file does not exist.

        :raises StoreError: the file cannot be read, or holds something else, or the table of another application.
        """
        text = _read(self._path)
        if text is None:
            return None
        try:
            stored = json.loads(text)
            owner = stored["appid"]
            entries = {puid: _entry(entry) for puid, entry in stored["table"].items()}
            table = Table(entries, _text(stored["cursor"]), _text(stored.get("outcomes", "")))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise StoreError(f"{self._path}: not a table of dpresence-client; remove the file to begin with a snapshot") from None
        if owner != appid:
            raise StoreError(f"{self._path}: the table of another application ({owner}); use one file for each application")
        return table

    def save(self, appid: str, table: Table) -> None:
        """Replace the file.

        :raises StoreError: the file cannot be written; it is unchanged.
        """
        stored: Dict[str, Any] = {
            "version": _VERSION,
            "appid": appid,
            "cursor": table.cursor,
            "outcomes": table.outcomes,
            "table": table.copy(),
        }
        _replace(self._path, json.dumps(stored, separators=(",", ":")))


class FileTickets:
    """Keeps a device's ticket in a file, so that the next start of the program needs no new assertion.

    :param path: the file; its folder exists. One file belongs to one device.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self._path = Path(path)

    def __repr__(self) -> str:
        return f"FileTickets({str(self._path)!r})"

    def load(self) -> str | None:
        """Return the stored ticket, or None.

        :raises StoreError: the file cannot be read.
        """
        return (_read(self._path) or "").strip() or None

    def save(self, ticket: str | None) -> None:
        """Replace the file.

        :raises StoreError: the file cannot be written; it is unchanged.
        """
        _replace(self._path, ticket or "")


class MemoryStore:
    """Keeps nothing beyond the end of the program: each start begins with a snapshot."""

    def load(self, appid: str) -> Table | None:
        """Return None."""
        return None

    def save(self, appid: str, table: Table) -> None:
        """Do nothing: the client itself has the table."""


class MemoryTickets:
    """Keeps nothing beyond the end of the program: each start needs a new assertion."""

    def load(self) -> str | None:
        """Return None."""
        return None

    def save(self, ticket: str | None) -> None:
        """Do nothing: the client itself has the ticket."""


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None


def _replace(path: Path, text: str) -> None:
    """Write a file beside the old one, which it replaces after it has reached the disk."""
    name = ""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        if name:
            with suppress(OSError):
                os.unlink(name)
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error


def _entry(entry: Any) -> Entry:
    status, at = entry
    if not isinstance(at, int):
        raise TypeError
    return Entry(_text(status), at)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def stored_table(store: Store, appid: str) -> Table:
    """Return the table of a store, or an empty one."""
    return store.load(appid) or Table()


__all__ = ["FileStore", "FileTickets", "MemoryStore", "MemoryTickets", "Store", "Tickets", "stored_table"]
