"""Peers that read slowly, stop in the middle of a frame or do not answer a ping."""

from __future__ import annotations

import time

import pytest

from .conftest import HASTY
from .support import frame
from .test_connection import GAP

# Slow readers


def test_a_slow_reader_is_closed_while_others_are_served(server):
    with server.connect(receive_buffer=4096) as slow, server.connect() as other:
        slow.text("pour 100 16000")  # 1.6 MB: the outbox and what the kernel takes
        for _ in range(20):
            other.text("still there")
            assert other.answer() == "still there"
        stats = server.stats()
        assert stats["gap"] < GAP
        assert slow.close_code()[0] == 4102


@pytest.mark.slow
def test_a_reader_that_stops_for_good_is_dropped(hasty):
    with hasty.connect(receive_buffer=4096) as stuck:
        name = stuck.name()
        stuck.text("pour 60 16000")
        assert hasty.end_of(name) == [4102, False]


def test_a_backlog_within_bounds_arrives_whole_and_in_order(server):
    with server.connect(receive_buffer=4096) as client:
        client.text("pour 60 16000")
        time.sleep(0.1)
        assert [len(client.answer()) for _ in range(60)] == [16000] * 60
        client.text("and then")
        assert client.answer() == "and then"


@pytest.mark.slow
def test_draining_waits_for_a_slow_reader_and_loses_nothing(server):
    with server.connect(receive_buffer=4096) as client:
        client.text("drain 2000 16000")
        assert sum(len(client.answer()) for _ in range(2000)) == 2000 * 16000
        assert server.wait_for(lambda stats: stats["drained"])


@pytest.mark.slow
def test_draining_gives_up_a_reader_that_stops(hasty):
    with hasty.connect(receive_buffer=4096) as client:
        name = client.name()
        client.text("drain 1000 65536")
        assert hasty.end_of(name) == [4102, False]
        assert hasty.stats()["drained"]


# Silence


@pytest.mark.slow
def test_half_a_frame_that_goes_on_for_ever_is_dropped(hasty):
    with hasty.connect() as client:
        name, started = client.name(), time.monotonic()
        data = frame(1, b"x" * 1000)
        sent = next(index for index in range(100) if client.send(data[index : index + 1]) or client.hung_up(0.05))
        assert time.monotonic() - started > HASTY["idle_seconds"] * 0.8
        assert sent * 0.05 < HASTY["idle_seconds"] * 2
    assert hasty.end_of(name) == [1006, False]


@pytest.mark.slow
def test_half_a_message_is_dropped_too(hasty):
    with hasty.connect() as client:
        client.send(frame(1, b"x", final=False))
        assert client.hung_up()


@pytest.mark.slow
def test_a_silent_client_is_pinged_and_a_pong_keeps_it(pinging):
    with pinging.connect() as client:
        started = time.monotonic()
        for _ in range(4):
            assert client.receive()[0] == 9
            client.send(frame(10))
        assert time.monotonic() - started > 1.2
        client.text("alive")
        assert client.answer() == "alive"


@pytest.mark.slow
def test_any_bytes_at_all_are_an_answer_to_a_ping(pinging):
    with pinging.connect() as client:
        for _ in range(3):
            assert client.receive()[0] == 9
            client.text("hello")
            assert client.answer() == "hello"


@pytest.mark.slow
def test_a_client_that_does_not_answer_a_ping_is_given_up(giving_up):
    with giving_up.connect() as client:
        name = client.name()
        assert client.receive()[0] == 9
        assert client.close_code() == (4201, "no pong")
        assert client.hung_up()
    assert giving_up.end_of(name) == [4201, False]


def test_pings_of_clients_that_came_together_do_not_leave_together(pinging):
    clients = [pinging.connect() for _ in range(10)]
    started, first = time.monotonic(), []
    for client in clients:
        client.receive()
        first.append(time.monotonic() - started)
    for client in clients:
        client.sock.close()
    assert first[0] < 30
    assert max(first) - min(first) > 0


def test_a_channel_ticks_while_it_is_idle(pinging):
    before = pinging.stats()["ticks"]
    with pinging.connect():
        pinging.wait_for(lambda stats: stats["ticks"] >= before + 5)
