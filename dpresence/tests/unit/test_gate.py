"""Admission of sockets; the clock is a fake."""

from __future__ import annotations

import dataclasses
import re

import pytest

from dpresence.addresses import network
from dpresence.channels.gate import Gate
from dpresence.errors import BackendUnavailable, SlowDown
from dpresence.metrics import Metrics
from dpresence.settings import ChannelSettings, Settings
from dpresence.tests.support import FakeClock


class Socket:
    """The part of a connection that the gate uses."""

    def __init__(self, address="198.51.100.1", behind=False):
        self.address = address
        self.backlog = (7, True) if behind else (0, False)
        self.ended = None
        self.bucket = self.previous = self.following = None

    def close(self, code, reason):
        self.ended = (int(code), reason)


@pytest.fixture
def clock():
    return FakeClock()


class PlainSocket:
    """The part of a plain connection's socket that closing it uses."""

    def __init__(self):
        self._sock = self
        self.ended = False

    def shutdown(self, how):
        self.ended = True


def enter(gate, count, busy=True):
    """Let plain connections in, each of an address of its own."""
    sockets = [PlainSocket() for _ in range(count)]
    for number, sock in enumerate(sockets):
        assert gate.plain.enter(sock, f"203.0.113.{number}")
        if busy:
            gate.plain.mark_busy(sock)
    return sockets


def gate(clock, **channels):
    return Gate(dataclasses.replace(Settings(), channels=ChannelSettings(**channels)), clock, Metrics(clock))


def test_open_unsigned_and_slow_connections_are_counted(clock):
    one = gate(clock)
    enter(one, 3)
    sockets = [Socket(), Socket("198.51.100.2", behind=True), Socket("198.51.100.2")]
    for socket in sockets:
        one.admit(socket)
    one.signed_in(sockets[2])
    one.sending.add(sockets[1])
    most = one.settings.channels.sockets
    counts = {"sockets": 6, "channels": 3, "unsigned": 2, "behind": 1, "send_buffer_bytes": 7, "waiting": 0, "most": most}
    assert one.counts() == counts
    for socket in sockets:
        one.leave(socket)
    assert one.counts() == {**dict.fromkeys(counts, 0), "sockets": 3, "most": most}


def test_names_are_unique_and_not_to_be_guessed(clock):
    names = {gate(clock).new_id() for _ in range(100)}
    assert len(names) == 100


def test_an_address_has_so_many_channels_that_have_not_signed_in(clock):
    doors = gate(clock, unsigned_per_address=2)
    first = Socket()
    doors.admit(first)
    doors.admit(Socket())
    with pytest.raises(SlowDown) as refused:
        doors.admit(Socket())
    assert refused.value.retry_after == 10
    doors.admit(Socket("198.51.100.2"))
    doors.signed_in(first)
    doors.admit(Socket())
    with pytest.raises(SlowDown):
        doors.admit(Socket())


def test_signing_in_and_leaving_twice_count_once(clock):
    doors = gate(clock, unsigned_per_address=2)
    first, second = Socket(), Socket()
    doors.admit(first)
    doors.admit(second)
    for _ in range(2):
        doors.signed_in(first)
        doors.leave(first)
    doors.admit(Socket())
    with pytest.raises(SlowDown):
        doors.admit(Socket())
    assert len(doors.connections) == 2


def test_a_refused_socket_is_not_counted(clock):
    doors = gate(clock, unsigned_per_address=1)
    doors.admit(Socket())
    with pytest.raises(SlowDown):
        doors.admit(Socket())
    assert len(doors.connections) == 1


def test_all_sockets_together_have_a_bound(clock):
    doors = gate(clock, sockets=3)
    enter(doors, 1)
    for number in range(3):
        doors.admit(Socket(f"198.51.100.{number}"))
    with pytest.raises(BackendUnavailable):
        doors.admit(Socket())


def test_plain_connections_count_among_the_sockets(clock):
    doors = gate(clock, sockets=3)
    enter(doors, 4)
    with pytest.raises(BackendUnavailable):
        doors.admit(Socket())


def test_newcomers_come_in_at_a_rate_and_those_refused_get_their_turns(clock):
    doors = gate(clock, accept_rate=2.0, accept_burst=3)
    for number in range(3):
        doors.admit(Socket(f"198.51.100.{number}"))
    waits = []
    for _ in range(6):
        with pytest.raises(BackendUnavailable) as refused:
            doors.admit(Socket())
        waits.append(refused.value.retry_after)
    assert waits == [1, 1, 2, 2, 3, 3]
    clock.advance(1)
    doors.admit(Socket("198.51.100.4"))
    doors.admit(Socket("198.51.100.5"))
    with pytest.raises(BackendUnavailable):
        doors.admit(Socket())


def test_those_who_are_being_signed_in_let_nobody_else_in(clock):
    doors = gate(clock, accept_rate=100.0, accept_burst=3)
    sockets = [Socket(f"198.51.100.{number}") for number in range(3)]
    for socket in sockets:
        doors.admit(socket)
    clock.advance(0.9)
    with pytest.raises(BackendUnavailable):
        doors.admit(Socket())
    doors.signed_in(sockets[1])
    doors.admit(Socket("198.51.100.4"))
    doors.leave(sockets[0])
    doors.admit(Socket("198.51.100.5"))


def test_a_connection_slow_to_sign_in_keeps_nobody_out(clock):
    doors = gate(clock, accept_rate=100.0, accept_burst=3)
    for number in range(6):
        doors.admit(Socket(f"198.51.100.{number}"))
        clock.advance(0.4)


def test_nobody_is_asked_to_stay_away_for_more_than_a_minute(clock):
    doors = gate(clock, accept_rate=1.0, accept_burst=1)
    doors.admit(Socket())
    for _ in range(200):
        with pytest.raises(BackendUnavailable) as refused:
            doors.admit(Socket())
        assert 1 <= refused.value.retry_after <= 60


def test_one_address_in_a_storm_leaves_half_of_the_places_to_others(clock):
    doors = gate(clock, accept_rate=10.0, accept_burst=20, unsigned_per_address=1000)
    let_in = 0
    with pytest.raises(BackendUnavailable):
        while True:
            doors.admit(Socket())
            let_in += 1
    assert let_in == 10
    for number in range(5):
        for _ in range(2):
            doors.admit(Socket(f"203.0.113.{number}"))
    with pytest.raises(BackendUnavailable):
        doors.admit(Socket("203.0.113.99"))


def test_one_address_alone_has_the_whole_rate(clock):
    doors = gate(clock, accept_rate=10.0, accept_burst=20, unsigned_per_address=1000)
    let_in = 0
    for _ in range(100):
        clock.advance(0.1)
        try:
            doors.admit(Socket())
            let_in += 1
        except BackendUnavailable:
            pass
    assert let_in >= 95


def test_a_look_at_the_door_spends_nothing(clock):
    doors = gate(clock, accept_burst=3)
    for _ in range(100):
        doors.check("198.51.100.1")
    doors.admit(Socket())


def test_a_plain_connection_that_waits_makes_room_for_a_channel(clock):
    doors = gate(clock, sockets=3)
    waiting, busy = enter(doors, 2, busy=False), enter(doors, 2)
    doors.admit(Socket())
    assert [sock.ended for sock in (*waiting, *busy)] == [True, False, False, False]


def test_no_more_sockets_are_let_in_than_there_are_files(clock):
    doors = gate(clock, sockets=1000)
    doors.limit_to_files(40)
    assert (doors.most, doors.spare) == (30, 10)
    doors.limit_to_files(100_000)
    assert (doors.most, doors.spare) == (1000, 100)


def test_nobody_is_admitted_while_draining(clock):
    doors = gate(clock)
    doors.draining = True
    with pytest.raises(BackendUnavailable):
        doors.admit(Socket())


def test_a_close_of_all_spreads_their_return_over_the_time_it_takes_to_let_them_in(clock):
    doors = gate(clock, accept_rate=10.0, accept_burst=1000, unsigned_per_address=1000)
    sockets = [Socket() for _ in range(100)]
    for socket in sockets:
        doors.admit(socket)
    doors.close_all()
    waits = [int(re.fullmatch(r"the server is stopping; retry_after=(\d+)", socket.ended[1])[1]) for socket in sockets]
    assert {socket.ended[0] for socket in sockets} == {4200}
    assert 1 <= min(waits) <= max(waits) <= 10
    assert len(set(waits)) > 3


@pytest.mark.parametrize(("address", "counts_as"), [
    ("198.51.100.1", "198.51.100.1"), ("2001:db8::1", "2001:db8::/64"), ("2001:db8::ffff:1", "2001:db8::/64"), ("", ""),
    ("64:ff9b::c633:6401", "198.51.100.1"), ("64:ff9b:0:0:1::1", "64:ff9b::/64"),
])  # fmt: skip
def test_an_ipv6_client_is_its_network(address, counts_as):
    assert network(address) == counts_as
