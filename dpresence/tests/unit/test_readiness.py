"""One epoll object watches the sockets of all connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import gevent
import pytest

from dpresence.channels.readiness import BATCH, Readiness, readiness_of
from dpresence.tests.waiting import eventually


class Reader:
    """Counts the events of readable bytes; reads them unless ``leaves`` is set."""

    def __init__(self) -> None:
        self.ours, self.peer = socket.socketpair()
        self.leaves = False
        self.events = 0

    def on_readable(self) -> None:
        self.events += 1
        if not self.leaves:
            self.ours.recv(100)

    def close(self) -> None:
        self.ours.close()
        self.peer.close()


@pytest.fixture
def readiness() -> Readiness:
    return readiness_of(gevent.get_hub())


@pytest.fixture
def readers(readiness: Readiness) -> Iterator[list[Reader]]:
    readers = [Reader() for _ in range(3)]
    for reader in readers:
        readiness.watch(reader.ours.fileno(), reader)
    yield readers
    for reader in readers:
        readiness.unwatch(reader.ours.fileno())
        reader.close()


def test_a_hub_has_one(readiness: Readiness) -> None:
    assert readiness_of(gevent.get_hub()) is readiness


def test_only_a_connection_whose_socket_has_bytes_is_reported(readers: list[Reader]) -> None:
    readers[1].peer.send(b"x")
    eventually(lambda: readers[1].events)
    gevent.sleep(0.01)
    assert [reader.events for reader in readers] == [0, 1, 0]


def test_bytes_that_are_left_are_reported_again(readers: list[Reader]) -> None:
    readers[0].leaves = True
    readers[0].peer.send(b"x")
    eventually(lambda: readers[0].events >= 3)


def test_a_connection_that_is_not_watched_is_not_reported_until_it_is_again(readiness: Readiness, readers: list[Reader]) -> None:
    file = readers[0].ours.fileno()
    readiness.unwatch(file)
    readiness.unwatch(file)
    for reader in readers:
        reader.peer.send(b"x")
    eventually(lambda: readers[1].events and readers[2].events)
    assert not readers[0].events
    readiness.watch(file, readers[0])
    eventually(lambda: readers[0].events)


def test_a_connection_that_another_one_of_the_batch_closed_is_not_reported(readiness: Readiness, readers: list[Reader]) -> None:
    events: list[int] = []

    def close_the_others(number: int) -> None:
        events.append(number)
        readers[number].ours.recv(100)
        for reader in readers:
            if reader is not readers[number]:
                readiness.unwatch(reader.ours.fileno())

    for number, reader in enumerate(readers):
        reader.on_readable = lambda number=number: close_the_others(number)  # type: ignore[method-assign,misc]
        reader.peer.send(b"x")
    eventually(lambda: events)
    gevent.sleep(0.01)
    assert len(events) == 1


def test_a_number_that_a_new_socket_has_again_is_watched_for_the_new_one(readiness: Readiness) -> None:
    old = Reader()
    file = old.ours.fileno()
    readiness.watch(file, old)
    readiness.unwatch(file)
    old.close()
    new = Reader()
    assert file in (new.ours.fileno(), new.peer.fileno())
    if new.ours.fileno() != file:
        new.ours, new.peer = new.peer, new.ours
    readiness.watch(file, new)
    new.peer.send(b"x")
    eventually(lambda: new.events)
    assert not old.events
    readiness.unwatch(file)
    new.close()


def test_more_sockets_than_one_batch_are_all_reported(readiness: Readiness) -> None:
    many = [Reader() for _ in range(BATCH + 20)]
    for reader in many:
        readiness.watch(reader.ours.fileno(), reader)
        reader.peer.send(b"x")
    eventually(lambda: all(reader.events for reader in many))
    for reader in many:
        readiness.unwatch(reader.ours.fileno())
        reader.close()
