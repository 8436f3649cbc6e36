"""Whose share of the database's queue a call takes: no stranger that of a developer, and no account more than its own."""

from __future__ import annotations

import threading
from dataclasses import replace
from unittest.mock import patch

import gevent
import pytest

from dpresence.backends.directory import OutboxEntry
from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.fair import FairQueue
from dpresence.logouts import ProviderLogout
from dpresence.model import Pairing
from dpresence.tasks import enter_job, on_behalf_of
from dpresence.tests.contract import mailbox
from dpresence.tests.contract.directory_values import END, GRANT, LATER, NOW, PAIRING, PUSH, TICKET, application, person
from dpresence.tests.shared_tables import make_tables
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually


@pytest.fixture
def database():
    """A database of which reads wait in the queue as well, as they do in PostgreSQL."""
    database = Database("sqlite://", deadline_seconds=60)
    make_tables(database)
    yield database
    database.close()


@pytest.fixture
def keys(database):
    """The keys of the calls that were made."""
    made, slot = [], FairQueue.slot
    with patch.object(FairQueue, "slot", lambda queue, key, urgent=False: made.append(key) or slot(queue, key, urgent)):
        yield made


BY_A_USER = {
    "grant": lambda it, user: it.grant("app-1", user),
    "add_grant": lambda it, user: it.add_grant(replace(GRANT, user=user)),
    "change_grant": lambda it, user: it.change_grant("app-1", user, {"paused": True}, NOW),
    "revoke": lambda it, user: it.revoke("app-1", user),
    "clear_outbox": lambda it, user: it.clear_outbox([OutboxEntry(1, "app-1", "granted", user, "app-1")]),
    "clear_outbox of an account": lambda it, user: it.clear_outbox([OutboxEntry(1, user, "account")]),
}


@pytest.mark.parametrize("call", BY_A_USER)
def test_a_stranger_takes_nothing_of_the_share_of_a_developer(database, keys, call):
    directory = SqlDirectory(database)
    dev, jane = person(directory, "dev"), person(directory, "jane")
    application(directory, dev)
    assert directory.application("app-1"), "its owner is known"
    keys.clear()
    BY_A_USER[call](directory, jane.id)
    assert set(keys) == {jane.id}


def test_the_delivery_to_many_people_takes_nothing_of_the_share_of_a_developer(database, keys):
    directory = SqlDirectory(database)
    dev = person(directory, "dev")
    application(directory, dev)
    assert directory.application("app-1")
    keys.clear()
    directory.active(["app-1"])
    assert dev.id not in keys and "" not in keys


BY_A_DEVELOPER = {
    "enqueue": lambda it: it.enqueue([mailbox.one("o-1", "jane")], 100),
    "cancel": lambda it: it.cancel("jane", "puid-1", "o-1"),
    "queue_size": lambda it: it.queue_size("jane", "puid-1", 0),
    "pending": lambda it: it.pending("jane", 0, 10),
    "first_position": lambda it: it.first_position("jane", "puid-1"),
    "purge_grants": lambda it: it.purge_grants([GRANT]),
}


@pytest.mark.parametrize("call", BY_A_DEVELOPER)
def test_a_sender_does_not_wait_in_the_share_of_the_person(database, keys, call):
    directory, box = SqlDirectory(database), SqlMailbox(database)
    dev = person(directory, "dev")
    application(directory, dev)
    assert directory.application("app-1")
    for caller in (dev.id, "app-1"):
        keys.clear()
        with on_behalf_of(caller):
            BY_A_DEVELOPER[call](box)
        assert set(keys) == {dev.id}


def test_what_a_job_does_for_somebody_waits_for_nobody(database, keys):
    def work():
        with on_behalf_of("jane"):
            SqlDirectory(database).grant("app-1", "jane")

    gevent.spawn(in_a_job, work).get()
    assert set(keys) == {""}


def test_a_client_with_many_addresses_of_one_network_is_one_queue(database, keys):
    for code, address in (("BCDFGHJK", "2001:db8::1"), ("BCDFGHJL", "2001:db8::2")):
        SqlDirectory(database).add_pairing(replace(PAIRING, hash=code.encode(), code=code, address=address))
    assert set(keys) == {"2001:db8::/64"}


def test_all_tickets_of_an_account_are_one_queue_also_those_that_another_process_has_made(database, keys):
    directory, other = SqlDirectory(database), SqlDirectory(database)
    jane = person(directory, "jane")
    hashes = [bytes([n]) for n in range(1, 5)]
    for hash in hashes:
        other.add_ticket(replace(TICKET, hash=hash, family=f"family-{hash[0]}", user=jane.id))
    database.owners.forget()
    for hash in hashes:
        keys.clear()
        assert directory.use_ticket(hash, NOW, "phone", hash * 2).account == jane
        assert keys == [hash.hex(), jane.id], "a read that waits for nobody, then the use"
        keys.clear()
        assert directory.use_ticket(hash * 2, NOW, "phone", None)
        assert keys == [jane.id], "this process has made the successor"


def test_a_ticket_that_nobody_has_is_looked_up_under_its_own_key(database, keys):
    assert SqlDirectory(database).use_ticket(b"\x09", NOW, None, None) is None
    assert set(keys) == {"09"}


def test_the_credentials_of_an_account_are_one_queue(database, keys):
    directory = SqlDirectory(database)
    jane = person(directory, "jane")
    directory.add_pairing(PAIRING)
    assert directory.answer_pairing(PAIRING.code, NOW, jane.id, True)
    assert isinstance(directory.pairing(PAIRING.hash, NOW), Pairing)
    keys.clear()
    assert directory.add_credential(PAIRING.hash, NOW, b"\x07", LATER)
    assert directory.credential(b"\x07", NOW)
    directory.renew_credential(b"\x07", NOW, LATER)
    assert keys == [jane.id, "07", jane.id]


OF_A_JOB = {
    "make_due_changes": lambda it: it.make_due_changes(["mallory", "jane"]),
    "grants_of_user": lambda it: it.grants_of_user("mallory"),
    "grants_of_users": lambda it: it.grants_of_users(["mallory", "jane"]),
    "existing": lambda it: it.existing(["app-1", "app-2"]),
    "active": lambda it: it.active(["app-1"]),
    "account": lambda it: it.account("mallory"),
    "outbox": lambda it: it.outbox(["mallory"], 0, 10),
    "clear_outbox": lambda it: it.clear_outbox([OutboxEntry(1, "mallory", "account")]),
    "publish_outcomes": lambda it: it.publish_outcomes("app-1", {}),
}


@pytest.mark.parametrize("call", OF_A_JOB)
def test_a_call_of_a_periodic_job_waits_for_nobody_whoever_it_is_about(database, keys, call):
    directory = SqlDirectory(database)

    gevent.spawn(in_a_job, lambda: OF_A_JOB[call](directory)).get()
    assert set(keys) == {""}
    keys.clear()
    OF_A_JOB[call](directory)
    assert "" not in keys, "for anybody else it is the call of somebody"


def test_the_changes_that_are_due_are_made_although_the_first_of_their_users_fills_their_share(database):
    directory = SqlDirectory(database)
    mallory, jane = person(directory, "mallory"), person(directory, "jane")
    for account in (mallory, jane):
        assert directory.set_override(account.id, "offline", NOW + 1)
    go_on = threading.Event()
    calls = [gevent.spawn(database.run, lambda connection: go_on.wait(PATIENCE_SECONDS), key="somebody")]
    calls += [gevent.spawn(database.run, lambda connection: None, key=mallory.id) for _ in range(200)]
    eventually(lambda: any(call.ready() for call in calls))  # their share is full
    made = gevent.spawn(in_a_job, lambda: directory.make_due_changes([mallory.id, jane.id]))
    gevent.sleep(0.01)
    go_on.set()
    assert set(made.get()) == {mallory.id, jane.id}
    gevent.joinall(calls)


def in_a_job(work):
    enter_job()
    return work()


def test_the_results_of_pushes_are_not_the_services_own_calls(database, keys):
    SqlDirectory(database).record_push_attempt(PUSH, None, pushed=True)
    assert keys == [PUSH.puid]


def test_messages_of_a_provider_are_not_the_services_own_calls(database, keys):
    logout = ProviderLogout(b"digest", "login.example.org", "sid", "", NOW, END)
    SqlDirectory(database).end_provider_session(logout)
    assert keys == [logout.key]
