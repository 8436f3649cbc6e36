"""The backends of an app: chosen by the settings, pinged one by one, closed together."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dpresence.backends import Backends, load
from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.migrate import revision
from dpresence.backends.tracker.memory import MemoryTracker
from dpresence.errors import BackendUnavailable, SettingError
from dpresence.settings import Settings, StorageSettings
from dpresence.tests.contract.sql import drop_tables
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import PATIENCE_SECONDS


def settings(url: str) -> Settings:
    return Settings(storage=StorageSettings(directory_url=url))


@pytest.fixture
def backends(tmp_path):
    backends = load(settings(f"sqlite:///{tmp_path}/presence.db"), FakeClock())
    yield backends
    backends.close()


def test_the_settings_choose_the_backends(backends):
    assert [type(one) for one in (backends.directory, backends.tracker, backends.mailbox)] == [SqlDirectory, MemoryTracker, SqlMailbox]


def test_directory_and_mailbox_share_one_migrated_database(backends):
    assert backends.directory.database is backends.mailbox.database
    assert revision(backends.directory.database) is not None


def test_a_ping_names_the_role_that_is_away(backends):
    assert backends.ping() == {"directory": True, "tracker": True, "mailbox": True}
    drop_tables(backends.directory.database)
    assert backends.ping() == {"directory": False, "tracker": True, "mailbox": False}


def test_after_closing_nothing_answers(backends):
    backends.close()
    with pytest.raises(BackendUnavailable):
        backends.directory.ping()
    with pytest.raises(BackendUnavailable):
        backends.mailbox.ping()


def test_a_wrong_url_stops_the_start():
    with pytest.raises(SettingError, match=r"^directory\.url: must be a sqlite or postgresql\+psycopg URL; "):
        load(settings("postgresql://db/presence"), FakeClock())


def test_a_file_that_is_no_database_is_unavailable_at_the_start(tmp_path):
    (tmp_path / "presence.db").write_bytes(b"not a database. " * 512)
    with pytest.raises(BackendUnavailable):
        load(settings(f"sqlite:///{tmp_path}/presence.db"), FakeClock())


def test_drivers_are_not_imported_with_the_package():
    script = (
        "import sys, dpresence.backends; print(sorted({'sqlalchemy', 'alembic', 'sqlite3', 'gevent', 'redis', 'ssl'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_SECONDS).stdout == "[]\n"


def test_backends_cannot_be_exchanged_while_running(backends):
    with pytest.raises(AttributeError):
        backends.tracker = None
    assert isinstance(backends, Backends)
