"""Bring a database to the tables this version works with. Runs at every start; there is no alembic.ini.

A new revision: ``alembic.command.revision`` with ``configuration(connection)`` and ``autogenerate=True``.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection

from ...errors import SettingError
from .engine import Database

UPGRADE_SECONDS = 300.0


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection whose transaction the caller ends."""
    config = Config(attributes={"connection": connection})
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def migrate(database: Database) -> None:
    """Upgrade to the newest revision in one transaction; nothing happens when it is there.

    :raises SettingError: the database was made by a newer version.
    :raises BackendUnavailable: it is away, or no database.
    """
    try:
        database.run(lambda connection: command.upgrade(configuration(connection), "head"), UPGRADE_SECONDS)
    except CommandError as error:
        raise SettingError(f"directory.url = {database.url}: must be a database of this version or an older one ({error})") from None


def revision(database: Database) -> str | None:
    """Return the revision a database is at, None when it holds nothing yet."""
    return database.run(lambda connection: MigrationContext.configure(connection).get_current_revision())
