"""A PostgreSQL that has turned read-only: no connection to it is used again, and the writable primary is found by itself."""

from __future__ import annotations

from contextlib import contextmanager

import gevent
import pytest
from sqlalchemy import text

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.backends.sql.write_check import ACCEPTED_SECONDS, REFUSED_SECONDS
from dpresence.errors import BackendUnavailable
from dpresence.tests.faults.proxy import Proxy, to_unix
from dpresence.tests.support import FakeClock

from . import mailbox
from .directory_values import END, person
from .postgresql import Standby

READING = "SHOW transaction_read_only"


@pytest.fixture
def demote(postgresql):
    """Make the server refuse every write for a while; connections stand, as at a planned switch to another primary."""

    @contextmanager
    def demote():
        with postgresql.set(default_transaction_read_only="on"):
            yield

    return demote


def session(database):
    """Return the server's number of the connection that is used next."""
    return database.run(lambda connection: connection.scalar(text("SELECT pg_backend_pid()")))


def test_a_server_that_turned_read_only_is_unavailable_to_writers_and_readers(database, demote):
    directory = SqlDirectory(database)
    jane = person(directory)
    with demote():
        for _ in range(3):
            with pytest.raises(BackendUnavailable):
                directory.use_assertion(b"digest", END)
            with pytest.raises(BackendUnavailable):
                directory.account(jane.id)


def test_its_heartbeat_proves_a_write(migrated, demote):
    clock = FakeClock()
    database = Database(migrated, clock=clock)
    backends = SqlDirectory(database), SqlMailbox(database)
    SqlDirectory(database).claim_mode("production")
    for backend in backends:
        backend.ping()
    with demote():
        clock.advance(ACCEPTED_SECONDS)
        for backend in backends:
            with pytest.raises(BackendUnavailable):
                backend.ping()
    clock.advance(REFUSED_SECONDS)
    for backend in backends:
        backend.ping()
    database.close()


def test_it_is_used_again_as_soon_as_it_is_writable(database, demote):
    directory = SqlDirectory(database)
    jane = person(directory)
    with demote(), pytest.raises(BackendUnavailable):
        directory.use_assertion(b"digest", END)
    assert directory.use_assertion(b"digest", END)
    assert directory.account(jane.id) == jane


def test_no_connection_outlives_the_demotion(database, demote):
    before = session(database)
    with demote(), pytest.raises(BackendUnavailable):
        SqlDirectory(database).use_assertion(b"digest", END)
    assert session(database) != before


def test_a_call_that_the_end_of_a_server_broke_off_is_not_made_twice(database):
    """The commit may have been under way; a write that was refused as read-only has changed nothing and may be."""
    made = []

    def work(connection):
        made.append(1)
        connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'going' USING ERRCODE = '57P01'; END $$"))

    with pytest.raises(BackendUnavailable):
        database.run(work)
    assert made == [1]


def test_a_url_may_ask_for_another_kind_of_server(migrated, demote):
    database = Database(f"{migrated}&target_session_attrs=any")
    with demote():
        assert database.run(lambda connection: connection.scalar(text(READING))) == "on"
    database.close()


@pytest.mark.parametrize("state", ["25006", "57P01", "57P02", "57P03", "57P05", "25P03", "08006"])
def test_whatever_says_that_the_server_goes_ends_every_connection(database, state):
    """25006 of a single transaction is the server's word, too: none of ours begins READ ONLY."""
    before = session(database)
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'going' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(BackendUnavailable):
        database.run(lambda connection: connection.execute(text(raising)))
    assert session(database) != before


def test_an_error_of_a_statement_ends_no_connection(database):
    before = session(database)
    with pytest.raises(BackendUnavailable):
        database.run(lambda connection: connection.execute(text("SELECT 1 / 0")))
    assert session(database) == before


@pytest.fixture
def pair(postgresql, request):
    """A primary with our tables and its standby, both behind one port that leads to the primary."""
    url = postgresql.make_database(request.node.name[:50])
    standby = Standby(postgresql)
    targets = [to_unix(postgresql.socket)]
    with Proxy(lambda: targets[0]()) as proxy:
        database = Database(url.partition("?")[0].replace("@/", f"@127.0.0.1:{proxy.port}/"))
        migrate(database)
        yield database, standby, targets
        database.close()
    standby.remove()


def test_the_promoted_standby_behind_the_same_name_takes_over(pair, demote, postgresql):
    database, standby, targets = pair
    directory, box = SqlDirectory(database), SqlMailbox(database)
    jane = person(directory)
    mailbox.push(box, mailbox.one("a", jane.id))
    standby.catch_up(postgresql)
    with demote():
        with pytest.raises(BackendUnavailable):
            directory.use_assertion(b"lost", END)
        standby.promote()
        targets[0] = to_unix(standby.socket)
        assert directory.use_assertion(b"kept", END), "the first call after the name leads elsewhere"
        calls = [gevent.spawn(directory.use_assertion, bytes([n]), END) for n in range(50)]
        gevent.joinall(calls, raise_error=True)
        assert directory.account(jane.id) == jane
        assert mailbox.kept(box, jane.id) == ["a"]


def test_the_name_may_lead_to_a_standby_for_a_while(pair, postgresql):
    database, standby, targets = pair
    directory = SqlDirectory(database)
    jane = person(directory)
    targets[0] = to_unix(standby.socket)
    postgresql.end_sessions()
    for call in (lambda: directory.account(jane.id), lambda: directory.use_assertion(b"x", END), directory.ping):
        with pytest.raises(BackendUnavailable):
            call()
    standby.promote()
    assert directory.use_assertion(b"x", END)
