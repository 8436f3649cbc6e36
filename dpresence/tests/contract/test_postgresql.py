"""PostgreSQL as the database: its tables and migrations, and all the rest in a process that gevent has patched."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import configuration, migrate, revision
from dpresence.backends.sql.postgresql import DEADLINE_SECONDS
from dpresence.backends.sql.tables import metadata
from dpresence.errors import BackendUnavailable, SettingError
from dpresence.tests.waiting import PATIENCE_SECONDS

from .directory_values import application, person
from .earlier_outcomes import check_migrated_outcomes
from .earlier_tickets import check_migrated_tickets
from .sql import nowhere

HERE = Path(__file__).parent
PATCHED = "from gevent import monkey; monkey.patch_all(); import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"

LOSES = "a loss of power may undo acknowledged changes or corrupt the database"
COLUMNS = """
    SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, collname, pg_get_expr(adbin, adrelid)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_collation ON pg_collation.oid = attcollation LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
        AND relname <> 'alembic_version' ORDER BY 1, 2
"""
CONSTRAINTS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid IS DISTINCT FROM to_regclass('alembic_version') ORDER BY 1
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"


@pytest.fixture
def make(postgresql, request):
    """Make an empty database, named after the test."""
    made = []

    def make() -> Database:
        name = re.sub(r"\W", "_", request.node.name)[-50:]
        made.append(Database(postgresql.make_database(f"{name}_{len(made)}")))
        return made[-1]

    yield make
    for database in made:
        database.close()


def built(connection):
    return [[tuple(row) for row in connection.execute(text(query))] for query in (COLUMNS, CONSTRAINTS, INDEXES)]


MEETING = "at_once or of_two or of_many or patched"
SUITES = (
    "test_directory_postgresql.py",
    "test_mailbox_postgresql.py",
    "patched_races.py",
    "patched_logout_races.py",
    "patched_push_races.py",
    "patched_postgresql.py",
    "patched_interruptions.py",
)


@pytest.mark.slow
def test_it_holds_where_greenlets_really_meet():
    arguments = [
        sys.executable,
        "-c",
        PATCHED,
        "-q",
        "--tb=short",
        "--show-capture=no",
        "-k",
        MEETING,
        *[str(HERE / name) for name in SUITES],
    ]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout[-10000:] + run.stderr[-2000:]


@pytest.mark.slow
def test_migrations_build_what_the_metadata_says(make):
    migrated, fresh = make(), make()
    migrate(migrated)
    assert migrated.run(lambda connection: compare_metadata(MigrationContext.configure(connection), metadata)) == []
    fresh.run(metadata.create_all)
    assert migrated.run(built) == fresh.run(built)
    assert len(migrated.run(built)[0]) > 50


def test_text_is_ordered_by_its_bytes(make):
    database = make()
    migrate(database)
    columns, _, _ = database.run(built)
    assert {collation for _, _, kind, _, collation, _ in columns if kind == "character varying"} == {"C"}


def test_pages_of_ids_are_in_the_order_of_their_bytes(database):
    directory = SqlDirectory(database)
    jane = person(directory)
    ids = sorted(["a-b", "a_b", "aB", "ab", "B", "_", "-", "0", "Zz", "z"])
    for appid in reversed(ids):
        application(directory, jane, appid)
    assert [app.id for app in directory.applications(jane.id, "", 100)] == ids
    assert [app.id for app in directory.applications(jane.id, ids[4], 100)] == ids[5:]


@pytest.mark.slow
def test_every_earlier_revision_is_upgraded_with_its_rows(make):
    script = ScriptDirectory.from_config(make().run(configuration))
    for one in script.walk_revisions():
        database = make()
        database.run(lambda connection, one=one: command.upgrade(configuration(connection), one.revision))
        row = "INSERT INTO accounts (id, email, issuer, subject, created_at, blocked) VALUES ('j', 'jane@example.org', 'i', 's', 1, false)"
        database.run(lambda connection, row=row: connection.execute(text(row)))
        migrate(database)
        assert revision(database) == script.get_current_head()
        assert SqlDirectory(database).account("j").email == "jane@example.org"


@pytest.mark.slow
def test_tickets_of_the_previous_revision_are_as_usable_as_before(make):
    check_migrated_tickets(make())


@pytest.mark.slow
def test_outcomes_of_the_previous_revision_keep_their_positions_and_its_processes_go_on(make):
    check_migrated_outcomes(make())


def test_a_migration_that_fails_leaves_nothing_behind(make):
    database = make()
    database.run(lambda connection: connection.execute(text("CREATE TABLE notifications (id integer)")))
    with pytest.raises(BackendUnavailable):
        migrate(database)
    names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert database.run(lambda connection: connection.scalars(text(names)).all()) == ["notifications"]


def test_a_migration_may_take_longer_than_a_call(shipped_deadlines, make, monkeypatch):
    values = []

    def look(connection):
        values.append(connection.scalar(text("SHOW statement_timeout")))

    database = make()
    monkeypatch.setattr("alembic.command.upgrade", lambda config, _: look(config.attributes["connection"]))
    migrate(database)
    database.run(look)
    assert values == ["5min", "2s"]


def test_a_database_of_a_newer_version_stops_the_start_and_hides_its_password(make):
    database = make()
    migrate(database)
    database.run(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    secret = Database(database._engine.url.set(password="secret").render_as_string(hide_password=False))
    with pytest.raises(SettingError, match=r"^directory.url: must be a database of this version"):
        migrate(secret)
    secret.close()


def test_a_missing_driver_stops_the_start(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingError) as caught:
        Database("postgresql+psycopg://joe:secret@db/presence")
    words = "directory.url: needs psycopg: install dpresence[postgresql]"
    assert str(caught.value) == words


def test_the_url_may_say_otherwise_but_cannot_take_the_limits_away(shipped_deadlines, migrated):
    database = Database(f"{migrated}&application_name=mine&options=-c%20statement_timeout%3D1h%20-c%20work_mem%3D1MB")
    asked = ("application_name", "work_mem", "statement_timeout", "idle_in_transaction_session_timeout", "transaction_isolation")
    values = database.run(lambda connection: [connection.scalar(text(f"SHOW {name}")) for name in asked])
    database.close()
    assert values == ["mine", "1MB", "2s", "5s", "read committed"]


def test_a_server_that_is_not_there_is_unavailable_at_the_start(tmp_path):
    with nowhere(tmp_path) as database, pytest.raises(BackendUnavailable):
        migrate(database)


COMMAND = """
import sys, time
from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.errors import BackendUnavailable
directory = SqlDirectory(Database(sys.argv[1]))
directory.ping()
print("ready", flush=True)
sys.stdin.readline()
began = time.monotonic()
try:
    directory.ping()
except BackendUnavailable:
    print(time.monotonic() - began, flush=True)
directory.close()
"""


@pytest.mark.slow
def test_a_command_that_nothing_has_patched_does_not_wait_for_ever(postgresql, migrated):
    with subprocess.Popen([sys.executable, "-c", COMMAND, migrated], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            with postgresql.frozen():
                seconds, _ = process.communicate("go\n", timeout=PATIENCE_SECONDS)
            assert float(seconds) < 5 * DEADLINE_SECONDS
            assert process.returncode == 0
        finally:
            process.kill()


def says(database, caplog):
    """Return what the log says of a database when it is migrated."""
    caplog.clear()
    migrate(database)
    return [record.getMessage() for record in caplog.records if record.name == "dpresence.backends.sql.postgresql"]


@pytest.mark.slow
def test_a_database_that_commits_before_it_is_on_the_disk_stops_the_start(postgresql):
    url = postgresql.make_database("hasty")
    hasty = Database(f"{url}&options=-c%20synchronous_commit%3Doff")
    with pytest.raises(SettingError) as caught:
        migrate(hasty)
    hasty.close()
    assert str(caught.value).endswith(
        "must be a database with synchronous_commit = on, or a crash of the server loses acknowledged changes; "
        "options=-c%20synchronous_commit%3Don in the URL sets it for this service"
    )
    asked_for = Database(f"{url}&options=-c%20synchronous_commit%3Dlocal")
    migrate(asked_for)
    asked_for.close()


@pytest.mark.slow
def test_a_server_that_loses_data_with_the_power_is_warned_of(make, postgresql, caplog):
    database = make()
    with postgresql.set(fsync="off", full_page_writes="on"):
        assert says(database, caplog) == [f"{LOSES}: fsync = off"]
    with postgresql.set(fsync="on", full_page_writes="off"):
        assert says(database, caplog) == [f"{LOSES}: full_page_writes = off"]
    with postgresql.set(fsync="on", full_page_writes="on"):
        assert says(database, caplog) == []
