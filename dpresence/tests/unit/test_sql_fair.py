"""One application floods the database: log-in, heartbeat and all other users continue. Positions are counted, not seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import gevent
import pytest
from gevent import monkey
from sqlalchemy import Connection

from dpresence.backends.directory import SignedIn
from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.owners import MAX_NAMES, Owners
from dpresence.backends.sql.transactions import owner_of
from dpresence.errors import BackendUnavailable, NotFound
from dpresence.model import Account
from dpresence.tasks import on_behalf_of
from dpresence.tests.contract import directory_values, mailbox
from dpresence.tests.contract.directory_values import END, IDENTITY, KEY, NOW, SESSION, TICKET, application, person
from dpresence.tests.shared_tables import make_tables
from dpresence.tests.waiting import PATIENCE_SECONDS

native_sleep = monkey.get_original("time", "sleep")
FLOOD = 90
"""Calls of one application that wait, within what is documented for its rate."""
JANE = Account("jane", "jane@example.org", "issuer", "subject", NOW)
AHEAD = 2 + 1
"""Calls that a call may find before it: those that are with the SQL thread, and one of each other application."""


@pytest.fixture(params=["file", "memory"])
def database(request, tmp_path):
    url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/presence.db"
    database = Database(url, deadline_seconds=60)
    make_tables(database)
    yield database
    database.close()


class Flood:
    """Calls of an application that wait behind one that is under way until somebody else has asked for something."""

    def __init__(self, database: Database) -> None:
        self.made: list[str] = []
        self._go_on = threading.Event()
        self._calls = [gevent.spawn(database.run, lambda connection: self._go_on.wait(PATIENCE_SECONDS), key="app-1")]
        self._calls += [gevent.spawn(database.run, self._call, key="app-1") for _ in range(FLOOD)]
        settle()

    def _call(self, connection: Connection) -> None:
        native_sleep(0.005)  # as a real one takes: else several fit into the moment in which the answer to another call is taken
        self.made.append("app-1")

    def ahead_of(self, call: Callable[[], object]) -> int:
        """Return how many calls of the flood were made before a call was answered."""
        asked = gevent.spawn(lambda: (call(), len(self.made))[1])
        settle()
        self._go_on.set()
        return int(asked.get(timeout=PATIENCE_SECONDS))

    def end(self) -> None:
        self._go_on.set()
        gevent.joinall(self._calls, raise_error=True)
        assert len(self.made) == FLOOD


@pytest.fixture
def flood(database):
    flood = Flood(database)
    yield flood
    flood.end()


def settle() -> None:
    for _ in range(4):
        gevent.sleep(0)


SIGN_IN = {
    "sign_in": lambda it: it.sign_in(IDENTITY, NOW),
    "use_assertion": lambda it: it.use_assertion(b"digest", END),
    "ping": lambda it: it.ping(),
    "account": lambda it: it.account("jane"),
    "session": lambda it: it.session(b"s1", NOW),
}


@pytest.mark.parametrize("call", SIGN_IN)
def test_a_sign_in_and_a_heartbeat_wait_behind_no_flood(database, flood, call):
    assert flood.ahead_of(lambda: SIGN_IN[call](SqlDirectory(database))) <= AHEAD


@pytest.mark.parametrize("call", [lambda it: it.revoke("app-2", "jane"), lambda it: it.erase("jane"), lambda it: it.activate("app-2", KEY)])
def test_somebody_elses_call_waits_for_one_turn_of_the_flood(database, flood, call):
    def ask():
        with suppress(NotFound):
            call(SqlDirectory(database))

    assert flood.ahead_of(ask) <= 2 * AHEAD, "an erasure has two turns: the second empties the log"


@pytest.mark.slow
def test_the_flood_is_refused_where_its_own_queue_is_full_and_nobody_else_is(database):
    began = gevent.spawn(database.run, lambda connection: native_sleep(0.1), key="app-1")
    box = SqlMailbox(database)
    pushes = [gevent.spawn(box.enqueue, [mailbox.one(f"n{n}")], 100) for n in range(200)]
    gevent.sleep(0.02)
    assert person(SqlDirectory(database), "joe")
    gevent.joinall([began, *pushes])
    refused = [push for push in pushes if isinstance(push.exception, BackendUnavailable)]
    assert 0 < len(refused) == 200 - sum(push.successful() for push in pushes) <= 100


@pytest.mark.parametrize(
    ("args", "owner"),
    [
        (("jane", "x"), "jane"),
        ((SESSION,), "jane"),
        ((TICKET,), "jane"),
        ((directory_values.GRANT, "x"), "jane"),
        (([directory_values.GRANT],), "jane"),
        ((KEY, 1), "app-1"),
        ((directory_values.APPLICATION, 1), "jane"),
        ((IDENTITY, 1), "jane@example.org"),
        ((b"hash",), b"hash".hex()),
        (([7, 8],), "7"),
        (([("jane", "puid")],), "jane"),
        (({"jane": {"puid"}},), "jane"),
        (({"jane"},), "jane"),
        (("app-1", {}, JANE), "jane"),
        (("app-1", SignedIn(SESSION, JANE)), "jane"),
        ((KEY, 1, JANE), "jane"),
        (([],), ""),
        ((), ""),
    ],
)
def test_a_call_belongs_to_who_has_proven_it_or_whom_its_first_argument_names(args, owner):
    assert owner_of(args) == owner


@pytest.mark.slow
def test_pushes_of_one_application_to_many_people_are_one_queue(database):
    made, box = [], SqlMailbox(database)
    began = gevent.spawn(database.run, lambda connection: native_sleep(0.1), key="app-1")

    def push(user, appid):
        box.enqueue([mailbox.one("n", user, appid)], 100)
        made.append(appid)

    pushes = [gevent.spawn(push, f"user-{n}", "app-1") for n in range(FLOOD)] + [gevent.spawn(push, "jane", "app-2")]
    gevent.joinall([began, *pushes], raise_error=True)
    assert made.index("app-2") <= AHEAD


@pytest.mark.slow
def test_pushes_of_all_applications_of_one_developer_are_one_queue(database):
    made, box = [], SqlMailbox(database)
    began = gevent.spawn(database.run, lambda connection: native_sleep(0.1), key="mallory")

    def push(appid, sender):
        with on_behalf_of(sender):
            box.enqueue([mailbox.one("n", "user", appid)], 100)
        made.append(sender)

    pushes = [gevent.spawn(push, f"app-{n}", "mallory") for n in range(FLOOD)] + [gevent.spawn(push, "other", "dev")]
    gevent.joinall([began, *pushes], raise_error=True)
    assert made.index("dev") <= AHEAD


@pytest.fixture
def queued():
    """A database of which reads wait in the queue as well, as they do in PostgreSQL."""
    database = Database("sqlite://", deadline_seconds=60)
    make_tables(database)
    yield database
    database.close()


APPLICATIONS = 20
"""Applications of one developer."""
AS_AN_APPLICATION = {
    "a read": lambda database, n: SqlDirectory(database).count_grants(f"app-{n}"),
    "a snapshot": lambda database, n: SqlDirectory(database).grants_by_puid(f"app-{n}", ["puid"]),
    "a write": lambda database, n: SqlDirectory(database).publish_outcomes(f"app-{n}", {}),
    "a sign-in": lambda database, n: SqlDirectory(database).key(f"key-{n}", NOW),
    "a cancel": lambda database, n: SqlMailbox(database).cancel(f"accomplice-{n}", "puid", "id"),
}


@pytest.mark.parametrize("call", AS_AN_APPLICATION)
def test_a_developer_who_calls_as_many_applications_is_one_queue(queued, call):
    directory, made = SqlDirectory(queued), []
    mallory, dev = person(directory, "mallory"), person(directory, "dev")
    for n in range(APPLICATIONS + 1):
        application(directory, mallory if n < APPLICATIONS else dev, f"app-{n}")
        directory.add_key(replace(KEY, id=f"key-{n}", appid=f"app-{n}"), NOW)
        assert directory.key(f"key-{n}", NOW) and directory.application(f"app-{n}"), "as a sign-in reads them"
    began = gevent.spawn(queued.run, lambda connection: native_sleep(0.1), key="somebody")

    def ask(n):
        with on_behalf_of(f"app-{n}"):
            AS_AN_APPLICATION[call](queued, n)
        made.append(n)

    gevent.joinall([began, *(gevent.spawn(ask, n) for n in range(APPLICATIONS + 1))], raise_error=True)
    assert made.index(APPLICATIONS) <= AHEAD


@pytest.mark.parametrize("call", [lambda it: it.application("app-1"), lambda it: it.icon("app-1", "version")])
def test_somebody_who_asks_for_the_icon_of_an_application_again_and_again_takes_nothing_of_its_developers_share(queued, call):
    directory, refused, made = SqlDirectory(queued), [], []
    application(directory, person(directory, "dev"))
    assert directory.application("app-1")
    began = gevent.spawn(queued.run, lambda connection: native_sleep(0.1), key="somebody")

    def ask():
        try:
            call(directory)
        except BackendUnavailable:
            refused.append(1)
        made.append("asked")

    def use():
        directory.count_grants("app-1")
        made.append("used")

    gevent.joinall([began, *(gevent.spawn(ask) for _ in range(2 * FLOOD)), gevent.spawn(use)], raise_error=True)
    answered = made[len(refused) :]
    assert refused and answered.index("used") <= AHEAD


def test_a_developer_with_many_cookies_and_assertions_is_one_queue(queued):
    directory = SqlDirectory(queued)
    mallory = person(directory, "mallory")
    cookies = [bytes([n]) for n in range(5)]
    for cookie in cookies:
        directory.add_session(replace(SESSION, id_hash=cookie, user=mallory.id))
        assert directory.session(cookie, NOW)
    assert person(directory, "mallory") == mallory
    assert {queued.owners.of(owner_of([name])) for name in (*cookies, mallory.email, mallory.id)} == {mallory.id}


def test_what_is_remembered_of_owners_is_bounded():
    owners = Owners()
    for n in range(MAX_NAMES + 2):
        owners.remember(f"app-{n}", "mallory")
    assert owners.of("app-0") == "app-0" and owners.of(f"app-{MAX_NAMES + 1}") == "mallory"
