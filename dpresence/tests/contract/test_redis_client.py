"""The batching client on a real Redis: operations with a callback, and deadlines of calls that share one timer."""

from __future__ import annotations

import time

import gevent
import pytest

from dpresence.backends.redis.client import BatchingClient, Unanswered
from dpresence.backends.redis.connection import ask
from dpresence.errors import BackendUnavailable
from dpresence.tests.waiting import eventually


def echo(connection):
    """Begin on a connection; a batch echoes its operations, one by one."""
    return lambda operations: [int(ask(connection, "ECHO", text)) if text.isdigit() else BackendUnavailable() for (text,) in operations]


@pytest.fixture
def clients():
    made = []

    def make(server, begin=echo):
        made.append(BatchingClient(server, begin))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_a_callback_receives_the_result_in_the_hub(redis_server, clients):
    client, found = clients(redis_server.server()), []
    client.submit(("1",), lambda result: found.append((result, gevent.getcurrent() is gevent.get_hub())))
    assert found == []
    eventually(lambda: found)
    assert found == [(1, True)]


def test_results_arrive_in_the_order_of_the_operations(redis_server, clients):
    client, found = clients(redis_server.server()), []
    for number in range(50):
        client.submit((str(number),), found.append)
    assert client.call("50") == 50
    assert found == list(range(50))


def test_an_operation_that_failed_alone_passes_its_error_to_its_callback(redis_server, clients):
    client, found = clients(redis_server.server()), []
    client.submit(("x",), found.append)
    assert client.call("1") == 1
    assert [type(result) for result in found] == [BackendUnavailable]


def test_a_callback_that_raises_costs_no_other_its_result(redis_server, clients, caplog):
    client, found = clients(redis_server.server()), []
    client.submit(("1",), lambda result: 1 / 0)
    client.submit(("2",), found.append)
    assert client.call("3") == 3
    assert found == [2]
    assert "a result was not handled" in caplog.text


def test_a_callback_that_blocks_is_refused(redis_server, clients, caplog):
    client = clients(redis_server.server())
    client.submit(("1",), lambda result: client.call("2"))
    assert client.call("3") == 3
    assert "a result was not handled" in caplog.text


def test_a_server_that_stands_still_fails_each_operation_once_at_its_deadline(redis_server, clients):
    client, found = clients(redis_server.server(seconds=0.3)), []
    eventually(lambda: client.call("1") == 1)
    with redis_server.stopped():
        for number in range(3):
            client.submit((str(number),), lambda result: found.append(type(result)))
            gevent.sleep(0.05)
        eventually(lambda: len(found) == 3)
    assert set(found) <= {BackendUnavailable, Unanswered}
    eventually(lambda: client.call("4") == 4)
    assert len(found) == 3


def test_a_call_that_waits_for_a_slow_connection_ends_at_its_deadline(redis_server, clients):
    client, found = clients(redis_server.server(seconds=0.2), lambda connection: gevent.sleep(0.6) or echo(connection)), []
    client.submit(("1",), found.append)
    eventually(lambda: found)
    assert [type(result) for result in found] == [BackendUnavailable]
    eventually(lambda: client.call("2") == 2)


def test_a_failed_call_that_calls_again_does_not_delay_the_deadline_of_the_next(redis_server, clients):
    def slow(connection):
        gevent.sleep(0.9)
        return echo(connection)

    def seconds_to_failure():
        client, failed = clients(redis_server.server(seconds=0.2), slow), []
        client.submit(("1",), lambda result: client.submit(("1",), lambda result: None))
        gevent.sleep(0.02)
        began = time.monotonic()
        client.submit(("2",), lambda result: failed.append(time.monotonic() - began))
        eventually(lambda: failed)
        return failed[0]

    eventually(lambda: seconds_to_failure() < 0.35)  # a delayed one takes 0.4 s each time, a busy machine only now and then


def test_a_batch_whose_greenlet_is_killed_fails_once_and_the_next_call_succeeds(redis_server, clients):
    def killed(connection):
        def execute(operations):
            if operations[0] == ("killed",):
                raise gevent.GreenletExit
            return echo(connection)(operations)

        return execute

    client, failed = clients(redis_server.server(), killed), []
    client.submit(("killed",), failed.append)
    eventually(lambda: failed)
    assert [type(result) for result in failed] == [Unanswered]
    eventually(lambda: client.call("1") == 1)


def test_the_end_of_a_client_fails_what_is_under_way(redis_server, clients):
    client, found = clients(redis_server.server()), []
    assert client.call("1") == 1
    with redis_server.stopped():
        client.submit(("2",), found.append)
        gevent.sleep(0.05)
        client.submit(("3",), found.append)
        client.close()
        eventually(lambda: len(found) == 2)
        assert [type(result) for result in found] == [Unanswered, BackendUnavailable]
    with pytest.raises(BackendUnavailable):
        client.submit(("4",), found.append)
    assert len(found) == 2
