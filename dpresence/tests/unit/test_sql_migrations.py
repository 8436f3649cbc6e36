"""Migrations build exactly the tables the code works with, and leave everything else alone."""

from __future__ import annotations

import logging
import re

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox import QueuedNotification
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import check, configuration, migrate, revision
from dpresence.backends.sql.tables import metadata
from dpresence.errors import BackendUnavailable, SettingError
from dpresence.model import Notification
from dpresence.tests.contract.earlier_outcomes import check_migrated_outcomes
from dpresence.tests.contract.earlier_tickets import check_migrated_tickets
from dpresence.tests.shared_tables import shared_tables


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/presence.db")
    yield database
    database.close()


def statements(connection):
    """Return the statements that created the schema in SQLite, with uniform white space, without the triggers for versions before."""
    query = "select sql from sqlite_master where sql is not null and tbl_name <> 'alembic_version' and type <> 'trigger'"
    rows = connection.execute(text(query))
    return sorted(re.sub(r"\s+", " ", sql) for (sql,) in rows)


def test_migrations_build_what_the_metadata_says(database):
    migrate(database)
    assert database.run(lambda connection: compare_metadata(MigrationContext.configure(connection), metadata)) == []
    built = database.run(statements)
    fresh = Database("sqlite://")
    fresh.run(metadata.create_all)
    assert built == fresh.run(statements), "also what Alembic does not compare: checks and foreign keys"
    fresh.close()


def test_the_tables_that_tests_copy_are_those_of_the_migrations(database):
    migrate(database)
    copied = Database("sqlite://")
    with shared_tables():
        migrate(copied)
        migrate(copied)  # up to date: changes nothing
    assert copied.run(statements) == database.run(statements)
    assert revision(copied) == revision(database)
    copied.close()


def test_an_empty_database_has_no_revision_and_a_migrated_one_the_newest(database):
    assert revision(database) is None
    migrate(database)
    script = ScriptDirectory.from_config(database.run(configuration))
    assert revision(database) == script.get_current_head()


def test_migrating_twice_is_harmless(database):
    migrate(database)
    database.run(lambda connection: connection.execute(text("insert into service (id, mode) values (1, 'production')")))
    migrate(database)
    assert database.run(lambda connection: connection.scalar(text("select mode from service"))) == "production"


def test_a_migration_that_fails_leaves_nothing_behind(database):
    database.run(lambda connection: connection.execute(text("create table notifications (id integer)")))
    with pytest.raises(BackendUnavailable):
        migrate(database)
    assert database.run(lambda connection: connection.scalars(text("select name from sqlite_master")).all()) == ["notifications"]


def stamp(database, number):
    database.run(lambda connection: connection.execute(text(f"update alembic_version set version_num = '{number}'")))


def test_a_database_of_a_newer_version_stops_the_start(database):
    migrate(database)
    stamp(database, "9999")
    with pytest.raises(SettingError, match=r"^directory.url: must be a database of this version or an older one \(.*9999"):
        migrate(database)


def test_a_newer_database_that_names_this_revision_is_used_as_it_is(database, caplog):
    migrate(database)
    head = revision(database)
    newest = head[:4]
    stamp(database, f"9999_since_{newest}")
    migrate(database)
    assert revision(database) == f"9999_since_{newest}" and check(database) == (f"9999_since_{newest}", head)
    assert f"the database is of a newer version, with revision 9999_since_{newest}, which this version can use" in caplog.messages
    SqlDirectory(database).counts()
    stamp(database, "9999_since_9998")
    for refusing in (migrate, check):
        with pytest.raises(SettingError, match=r"^directory.url: must be a database of this version or an older one \(.*9999"):
            refusing(database)


def test_no_number_of_the_outbox_comes_twice_and_what_waited_before_that_held_waits_on(database):
    database.run(lambda connection: command.upgrade(configuration(connection), "0004"))
    row = "insert into outbox (id, owner, kind, user, appid, detail, revision) values (41, 'jane', 'mail', 'jane', '', '', 0)"
    database.run(lambda connection: connection.execute(text(row)))
    migrate(database)
    directory = SqlDirectory(database)
    entries = directory.outbox(None, 0, 10)
    assert [entry.id for entry in entries] == [directory.version().revision] == [41]
    directory.clear_outbox(entries)
    assert directory.version().revision == 41


def test_notifications_that_waited_before_positions_were_unique_wait_on_and_come_first(database):
    row = "(position, user, id, appid, puid, source, message, action, sent_at, expires_at) values"
    database.run(lambda connection: command.upgrade(configuration(connection), "0002"))
    sql = f"insert into notifications {row} (41, 'jane', 'a', 'app', 'puid', 'Chess', 'hi', 'move', 5, 9999999999999)"
    database.run(lambda connection: connection.execute(text(sql)))
    migrate(database)
    mailbox = SqlMailbox(database)
    assert list(mailbox.pending("jane", 0, 10)) == [(41, Notification("a", "app", "puid", "Chess", "hi", "move", 5))]
    mailbox.purge("jane")
    [stored] = mailbox.enqueue([QueuedNotification("jane", Notification("b", "app", "puid", "", "", "", 6), 1000)], 10)
    assert (stored.position, stored.size) == (42, 1)


def test_tickets_of_the_previous_revision_are_as_usable_as_before(database):
    check_migrated_tickets(database)


def test_outcomes_of_the_previous_revision_keep_their_positions_and_its_processes_go_on(database):
    check_migrated_outcomes(database)


def test_migrating_leaves_logging_and_stdout_alone(database, capfd):
    def state():
        root = logging.getLogger()
        loggers = {name: getattr(logger, "disabled", None) for name, logger in logging.root.manager.loggerDict.items()}
        return root.level, list(root.handlers), loggers

    before = state()
    migrate(database)
    assert state() == before
    assert capfd.readouterr() == ("", "")


def test_a_folder_with_a_percent_sign_is_no_trouble(monkeypatch, tmp_path):
    monkeypatch.setattr("dpresence.backends.sql.migrate.__file__", str(tmp_path / "100%" / "migrate.py"))
    config: Config = configuration(None)
    assert config.get_main_option("script_location") == str(tmp_path / "100%" / "migrations")
