"""The three backends of an app, chosen by the ini. Drivers are imported in ``load`` only, after the server has patched."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..clock import Clock
from ..errors import BackendUnavailable
from ..settings import Settings
from .directory import Directory
from .mailbox import Mailbox
from .tracker import Tracker


@dataclass(frozen=True)
class Backends:
    """One backend for each role."""

    directory: Directory
    tracker: Tracker
    mailbox: Mailbox

    def ping(self) -> dict[str, bool]:
        """Return for each role whether its store answers; takes as long as the slowest deadlines together."""
        return {field.name: _answers(getattr(self, field.name)) for field in fields(self)}

    def close(self) -> None:
        """Release what all of them hold; nothing may be called after it."""
        for field in fields(self):
            getattr(self, field.name).close()


def _answers(backend: Directory | Tracker | Mailbox) -> bool:
    try:
        backend.ping()
    except BackendUnavailable:
        return False
    return True


def load(settings: Settings, clock: Clock) -> Backends:
    """Open what the settings name, its tables brought up to date.

    :raises SettingError: a URL or a database this version cannot work with.
    :raises BackendUnavailable: the database does not answer.
    """
    from .directory.sql import SqlDirectory
    from .mailbox.sql import SqlMailbox
    from .sql.engine import Database
    from .sql.migrate import migrate
    from .tracker.memory import MemoryTracker

    database = Database(settings.storage.directory_url)
    try:
        migrate(database)
    except Exception:
        database.close()
        raise
    mailboxes = {"sql": lambda: SqlMailbox(database)}
    trackers = {"memory": lambda: MemoryTracker(settings.presence, clock)}
    return Backends(SqlDirectory(database), trackers[settings.storage.tracker](), mailboxes[settings.storage.mailbox]())
