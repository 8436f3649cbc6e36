"""PostgreSQL in a process that gevent has patched: deadlines, bounds and losses. ``test_postgresql`` starts one for it."""

from __future__ import annotations

import time

import gevent
import gevent.event
import pytest
from gevent import monkey
from sqlalchemy import text

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.postgresql import CONNECTIONS, SLOTS
from dpresence.errors import BackendUnavailable
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from . import mailbox
from .directory_values import CALLS, END, NOW, application, at_once, person
from .postgresql import empty, sessions
from .postgresql_calls import check_sessions, fill, mode, sleep, turning, write

assert monkey.is_module_patched("select"), "a query that hangs would hang the tests"


@pytest.fixture
def make(migrated):
    """Make databases on one that is empty at first."""
    made = [Database(migrated)]
    empty(made[0])

    def make(**options: float) -> Database:
        made.append(Database(migrated, **options))
        return made[-1]

    yield make
    for database in made:
        database.close()


def test_the_hub_keeps_turning_during_a_query(make):
    database = make()
    database.run(mode)
    began = time.monotonic()
    with turning():
        database.run(sleep(0.3))
    assert time.monotonic() - began >= 0.3


def test_the_hub_keeps_turning_while_connections_are_made(make):
    with turning(3):
        gevent.joinall([gevent.spawn(make().run, mode) for _ in range(20)], raise_error=True)


def test_calls_run_side_by_side_on_a_bounded_number_of_connections(make):
    database = make()
    began, seen = time.monotonic(), []

    def work(connection):
        sleep(0.1)(connection)
        seen.append(sessions(connection))

    gevent.joinall([gevent.spawn(database.run, work) for _ in range(3 * CONNECTIONS)], raise_error=True)
    assert max(seen) <= CONNECTIONS + 1  # one is the fixture's
    assert time.monotonic() - began >= 0.3
    assert max(seen) > CONNECTIONS / 2, "side by side"


def test_one_application_holds_no_more_than_its_share_of_the_connections(make):
    database, began = make(), []

    def work(name):
        return lambda connection: began.append(name) or sleep(0.1)(connection)

    fill(database, 0.05)  # each connection is open
    flood = [gevent.spawn(database.run, work("app"), key="app") for _ in range(60)]
    gevent.sleep(0.02)
    others = [gevent.spawn(database.run, work("jane"), key="jane"), gevent.spawn(database.run, work("sign-in"), key="joe", urgent=True)]
    gevent.joinall(others, raise_error=True)
    assert began.count("app") <= 2 * SLOTS["each"], "they waited for none of those that wait: connections are left"
    gevent.joinall(flood, raise_error=True)
    assert len(began) == 62


def test_too_many_waiting_calls_are_refused_at_once(make):
    database = make(waiting=2)
    waiting = [gevent.spawn(database.run, sleep(0.1), key="jane") for _ in range(2)]
    gevent.sleep(0)
    with pytest.raises(BackendUnavailable):
        database.run(mode, key="joe")
    gevent.joinall(waiting, raise_error=True)
    assert database.run(mode) is None


def test_a_call_past_its_deadline_changes_nothing(make):
    database = make(deadline_seconds=0.3)

    def slow(connection):
        write(connection)
        for _ in range(10):
            sleep(0.1)(connection)

    with pytest.raises(BackendUnavailable):
        database.run(slow)
    assert database.run(mode) is None
    database.run(write)


def test_two_that_wait_for_each_other_both_end_well(make):
    database = make()
    people = [person(SqlDirectory(database), name).id for name in ("jane", "joe")]

    def visit(*users):
        def work(connection):
            for user in users:
                connection.execute(text("UPDATE accounts SET created_at = created_at + 1 WHERE id = :user"), {"user": user})
                gevent.sleep(0.1)

        database.run(work)

    gevent.joinall([gevent.spawn(visit, *people), gevent.spawn(visit, *reversed(people))], raise_error=True)
    counted = database.run(lambda connection: connection.scalars(text("SELECT created_at % 10 FROM accounts")).all())
    assert len(set(counted)) == 1


def test_a_deadlock_of_its_own_making_is_not_tried_for_ever(make):
    tried = []

    def work(connection):
        tried.append(1)
        connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END $$"))

    with pytest.raises(BackendUnavailable):
        make().run(work)
    assert len(tried) == 5


def test_connections_that_the_server_closed_are_not_used_again(make):
    database, other = make(), make()
    fill(database, 0.05)
    closed = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'postgres'"
    assert other.run(lambda connection: connection.scalar(text(closed))) >= CONNECTIONS
    gevent.joinall([gevent.spawn(database.run, mode) for _ in range(2 * CONNECTIONS)], raise_error=True)


def test_text_with_a_nul_finds_nothing(make):
    directory, box = SqlDirectory(make()), SqlMailbox(make())
    jane = application(directory, person(directory), "app").owner
    assert directory.application("app\0") is None
    assert directory.key("\0", NOW) is None
    assert directory.grants_by_puid("app", ["\0"]) == {}
    assert [app.id for app in directory.applications(jane, "\0", 10)] == ["app"]
    assert mailbox.settle(box, "jane", ["a\0"]) == 0


def test_a_drivers_error_is_unavailable_and_nothing_else(make):
    with pytest.raises(BackendUnavailable):
        make().run(lambda connection: connection.execute(text("SELECT :it"), {"it": "\0"}))


def test_an_error_is_logged_without_the_values(make, caplog):
    database = make()
    person(SqlDirectory(database))
    with pytest.raises(BackendUnavailable):
        database.run(lambda connection: connection.execute(text("INSERT INTO accounts SELECT 'x', email, '', '', 0, false FROM accounts")))
    words = 'database: IntegrityError: duplicate key value violates unique constraint "uq_accounts_email"'
    assert [record.getMessage() for record in caplog.records] == [words]


class TestLosses:
    """Every method while the server is unavailable, and afterwards."""

    @pytest.fixture
    def database(self, make):
        return make(deadline_seconds=0.8)

    @pytest.fixture
    def calls(self, database):
        backends = (CALLS, SqlDirectory(database)), (mailbox.CALLS, SqlMailbox(database))
        return [lambda call=call, backend=backend: call(backend) for calls, backend in backends for call in calls.values()]

    def check_away(self, calls):
        def check(call):
            with pytest.raises(BackendUnavailable), gevent.Timeout(PATIENCE_SECONDS):
                call()

        gevent.joinall([gevent.spawn(check, call) for call in calls], raise_error=True)

    def check_back(self, calls, database):
        """Each method works again; on a busy machine, all at once may take longer than the short deadline of this test."""
        eventually(lambda: database.run(mode) is None or True)
        waiting = list(calls)

        def all_answered() -> bool:
            outcomes = at_once(*waiting)
            waiting[:] = [call for call, outcome in zip(waiting, outcomes, strict=True) if isinstance(outcome, BackendUnavailable)]
            return not waiting

        eventually(all_answered)

    def test_every_method_while_the_server_is_down_and_after(self, postgresql, database, calls):
        at_once(*calls)
        postgresql.stop()
        try:
            self.check_away(calls)
        finally:
            postgresql.start()
        self.check_back(calls, database)

    def test_every_method_while_the_server_is_frozen_and_after(self, postgresql, database, calls):
        at_once(*calls)
        with postgresql.frozen():
            for _ in range(3):  # longer than any statement may take
                with turning():
                    self.check_away(calls)
        self.check_back(calls, database)
        check_sessions(database)

    def test_answered_writes_survive_a_crash_of_the_server(self, postgresql, database):
        directory, box = SqlDirectory(database), SqlMailbox(database)
        jane = person(directory)
        directory.use_assertion(b"digest", END)
        mailbox.push(box, mailbox.one("a", jane.id))
        postgresql.crash()
        with pytest.raises(BackendUnavailable):
            directory.ping()
        postgresql.start()
        eventually(lambda: directory.ping() is None)
        assert directory.account(jane.id) == jane
        assert directory.use_assertion(b"digest", END) is False
        assert mailbox.kept(box, jane.id) == ["a"]
