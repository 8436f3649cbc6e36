"""Migrate a database to the tables of this version. Runs at every start; there is no alembic.ini.

To create a revision, call ``alembic.command.revision`` with ``configuration(connection)`` and ``autogenerate=True``.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from ...clock import Clock
from ...errors import NoDatabaseYet, SettingError
from . import postgresql, sqlite
from .engine import Database
from .locks import lock_names
from .urls import parse_url

log = logging.getLogger(__name__)

UPGRADE_SECONDS = 300.0
_SINCE = re.compile(r"[0-9]{4}_since_([0-9]{4})")
"""Revision of a migration that versions of the service from an older revision on can use as well (docs/upgrades.md)."""
_REVISION = re.compile(r"[0-9]{4}(_since_[0-9]{4})?")
"""Revision of any version of the service."""


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection; the caller ends the transaction."""
    config = Config(attributes={"connection": connection})
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def migrate(database: Database) -> None:
    """Upgrade to the newest revision in one transaction, one process at a time. Does nothing if the database is up to date.

    Large indexes of PostgreSQL are replaced before, without stopping processes that use them (``online``).

    :raises SettingError: this version cannot use a newer database, or its server does not store commits durably.
    :raises BackendUnavailable: the server is unreachable, or the file is not a database.
    """
    try:
        database.replace_indexes(UPGRADE_SECONDS)
        created = database.run(_upgrade, UPGRADE_SECONDS)
    except CommandError as error:
        raise SettingError(f"directory.url: must be a database of this version or an older one ({error})") from None
    if created:
        log.info("created a new database: %s", database.place)


def _upgrade(connection: Connection) -> bool:
    """Return whether the database held nothing before. A newer one that this version can use stays as it is."""
    if connection.dialect.name == "postgresql":
        postgresql.check_durable(connection)
        postgresql.give_time(connection, UPGRADE_SECONDS)
    lock_names(connection, "table", ["alembic_version"])
    present = MigrationContext.configure(connection).get_current_revision()
    if present and usable(present):
        log.warning("the database is of a newer version, with revision %s, which this version can use", present)
    else:
        command.upgrade(configuration(connection), "head")
    return present is None


def usable(present: str) -> bool:
    """Return whether a revision is unknown because it is of a newer version, but names this one among those that can use it."""
    since = _SINCE.fullmatch(present)
    return bool(since and since[1] <= newest_revision()) and present not in _known()


def check(database: Database) -> tuple[str | None, str]:
    """Return the revision of a database, None if it is empty, and that of this version, without a change.

    :raises SettingError: this version cannot use a newer database, or its server does not store commits durably.
    """
    present, newest = revision(database), newest_revision()
    if database.run(lambda connection: connection.dialect.name) == "postgresql":
        database.run(postgresql.check_durable)
    if present and present not in _known() and not usable(present):
        raise SettingError(f"directory.url: must be a database of this version or an older one (it has the unknown revision {present})")
    return present, newest


def is_newer(database: Database) -> bool:
    """Return whether a database is of a newer version of the service, whose revision this one does not know."""
    present = revision(database) or ""
    return bool(_REVISION.fullmatch(present)) and present not in _known()


def open_existing(url: str, clock: Clock) -> Database:
    """Open a database without migrating it.

    :raises SettingError: the URL is invalid.
    :raises NoDatabaseYet: there is no file of an SQLite database.
    """
    path = sqlite.path_of(parse_url(url))
    if path and not Path(path).is_file():
        raise NoDatabaseYet(f"directory.url: there is no database yet at {path}; the first start creates it")
    return Database(url, clock=clock)


def newest_revision() -> str:
    """Return the revision of this version."""
    return str(_scripts().get_current_head())


def _known() -> set[str]:
    return {each.revision for each in _scripts().walk_revisions()}


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).with_name("migrations")))


def revision(database: Database) -> str | None:
    """Return the revision of a database, None if it is empty."""
    return database.run(lambda connection: MigrationContext.configure(connection).get_current_revision())
