"""Plain connections: a share for each address, and which of them makes room."""

from __future__ import annotations

import pytest

from dpresence.channels.plain_connections import PlainConnections
from dpresence.settings import ChannelSettings


class Socket:
    """The part of a socket that closing it uses."""

    def __init__(self) -> None:
        self._sock = self
        self.ended = False

    def shutdown(self, how: int) -> None:
        self.ended = True


@pytest.fixture
def plain() -> PlainConnections:
    return PlainConnections(ChannelSettings(plain_per_address=2))


def test_the_one_of_its_address_that_has_waited_longest_makes_room(plain: PlainConnections) -> None:
    first, second, third, foreign = Socket(), Socket(), Socket(), Socket()
    assert plain.enter(foreign, "b")
    assert all(plain.enter(sock, "a") for sock in (first, second))
    plain.mark_busy(first)
    plain.mark_waiting(first)  # it has had an answer since
    assert plain.enter(third, "a")
    assert [sock.ended for sock in (first, second, third, foreign)] == [False, True, False, False]


def test_a_busy_one_is_never_ended(plain: PlainConnections) -> None:
    busy = [Socket(), Socket()]
    for sock in busy:
        assert plain.enter(sock, "a")
        plain.mark_busy(sock)
    assert not plain.enter(Socket(), "a")
    assert plain.enter(Socket(), "b")
    assert not any(sock.ended for sock in busy)


def test_a_trusted_proxys_address_has_no_bound(plain: PlainConnections) -> None:
    assert all(plain.enter(Socket(), "proxy", shared=True) for _ in range(10))


def test_the_oldest_of_all_makes_room_once(plain: PlainConnections) -> None:
    first, second = Socket(), Socket()
    plain.enter(first, "a")
    plain.enter(second, "b")
    assert [plain.make_room(), plain.make_room(), plain.make_room()] == [True, True, False]
    assert first.ended
    assert second.ended


def test_closed_connections_are_forgotten(plain: PlainConnections) -> None:
    for _ in range(5):
        sock = Socket()
        assert plain.enter(sock, "a")
        plain.leave(sock)
    assert len(plain) == 0
    assert not plain.make_room()
    assert not plain._counts
    assert not plain._waiting_by_address
