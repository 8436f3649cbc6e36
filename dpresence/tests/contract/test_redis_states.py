"""A Redis that is full, that forgets its scripts, or that becomes a replica: what still works, what the log says, and the recovery."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.backends.redis import state
from dpresence.errors import BackendUnavailable
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from .mailbox import kept, push, settle
from .redis import running
from .tracker_values import SETTINGS, SignalListener, connect, seen, update


@pytest.fixture
def tracker(redis_server, trackers):
    return trackers(redis_server.server(), SETTINGS, FakeClock())


@pytest.fixture
def mailbox(redis_server):
    mailbox = RedisMailbox(redis_server.server(), allow_volatile=False)
    yield mailbox
    mailbox.close()


@pytest.fixture
def full(redis_server):
    """Return a function that fills the server."""
    yield lambda: redis_server.client.config_set("maxmemory", "1")
    redis_server.client.config_set("maxmemory", "0")


def test_a_full_redis_refuses_what_has_to_be_stored_and_still_deletes(mailbox, full, redis_server):
    push(mailbox, "a", "b")
    full()
    with pytest.raises(BackendUnavailable):
        push(mailbox, "c")
    assert settle(mailbox, "jane", ["a"]) == 1
    assert kept(mailbox) == ["b"]
    assert mailbox.purge("jane") == 1
    redis_server.client.config_set("maxmemory", "0")
    assert push(mailbox, "d") == [1]


def test_the_command_that_the_documents_name_makes_room(mailbox, full, redis_server):
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    command = re.search(r"^redis-cli (CONFIG SET maxmemory .*)$", text, re.MULTILINE)[1]
    full()
    with pytest.raises(BackendUnavailable):
        push(mailbox, "a")
    redis_server.client.execute_command(*command.split())
    assert push(mailbox, "a") == [1]


def test_a_call_that_a_full_redis_refuses_costs_no_other_its_connection(tracker, full, redis_server):
    connect(tracker)
    generation = tracker._registration._generation
    full()
    for _ in range(3):
        with pytest.raises(BackendUnavailable):
            update(tracker, "unavailable")
    redis_server.client.config_set("maxmemory", "0")
    assert update(tracker, "unavailable") is True
    assert tracker._registration._generation == generation, "nothing was registered again"
    assert seen(tracker) == {"jane-in-chess": "unavailable"}


def test_no_call_fails_when_the_scripts_are_forgotten(tracker, mailbox, redis_server):
    connect(tracker)
    push(mailbox, "a")
    for _ in range(3):
        redis_server.client.script_flush()
        assert update(tracker, "unavailable") is True
        assert kept(mailbox) == ["a"]
    redis_server.client.flushall()
    redis_server.client.script_flush()
    tracker.ping()  # registers with the other script
    assert tracker._client._server.state.errors == 0


@pytest.mark.slow
def test_calls_and_signals_leave_a_primary_that_was_made_a_replica_without_ending_the_connections(redis_server, trackers):
    """As when a name or a virtual address is moved by hand."""
    with running() as new:
        servers = [redis_server.server(), redis_server.server()]
        one, two = (trackers(server, SETTINGS, FakeClock()) for server in servers)
        listener = SignalListener(two)
        redis_server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            for server in servers:
                server._options = {**server._options, "path": str(new.socket)}
            eventually(lambda: one.ping() is None and two.ping() is None)
            assert [server.state.switches for server in servers] == [1, 1]
            eventually(lambda: one.signal("mail", "jane") or ("mail", "jane") in listener._signals)
            eventually(lambda: new.client.pubsub_numsub("dpresence:t:wakes") == [(b"dpresence:t:wakes", 2)])
        finally:
            redis_server.client.execute_command("REPLICAOF", "NO", "ONE")


class Now:
    """A monotonic clock."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_an_outage_is_logged_when_it_begins_once_a_minute_and_when_it_ends(caplog):
    caplog.set_level(logging.INFO)
    now = Now()
    server = state.ServerState(now)
    for _ in range(1200):
        server.failed(ConnectionError("refused"), "refused")
        now.seconds += 0.1
    assert [record.getMessage() for record in caplog.records] == ["redis: ConnectionError: refused; this Redis does not answer"] * 2
    server.answered(wrote=False)
    assert caplog.messages[2:] == ["redis: available again after 120.0 s"]
    assert server.errors == 1200


def test_only_a_write_ends_a_state_in_which_writes_are_refused():
    server = state.ServerState()
    for text, expected in (("OOM command not allowed", "full"), ("MISCONF Redis is configured to save", "refuses_writes")):
        server.failed(state.ResponseError(text), text)
        server.answered(wrote=False)
        assert server.current == expected
        server.answered(wrote=True)
        assert server.current == "ok"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Error running script (call to f_1): @user_script:9: -READONLY You can't write against a read only replica.", "replica"),
        ("LOADING Redis is loading the dataset in memory", "loading"),
        ("NOREPLICAS Not enough good replicas to write.", "refuses_writes"),
        ("NOPERM this user has no permissions to run the 'evalsha' command", "denied"),
        ("Error running script: The user executing the script can't run this command or subcommand", "denied"),
        ("BUSY Redis is busy running a script.", "failing"),
    ],
)
def test_a_state_is_read_from_the_error(text, expected):
    assert state.state_of(state.ResponseError(text)) == expected
