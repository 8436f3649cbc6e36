"""A Redis that was emptied and filled again by another process: no reader goes on at an offset of the earlier feeds."""

from __future__ import annotations

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.model import GrantSet
from dpresence.tests.support import FakeClock, view_and_head
from dpresence.tests.waiting import eventually

from .tracker_values import JANE, SECOND, connect, flap, grant, head, read, seen, update

JOE = grant("joe")


@pytest.fixture
def one(redis_server, trackers):
    return trackers(redis_server.server(), clock=FakeClock())


@pytest.fixture
def empty(one, redis_server, trackers):
    """Return a function that empties the server, and has a new process add a number of entries to the feed."""

    def empty(entries: int = 20) -> None:
        redis_server.client.flushall()
        other = trackers(redis_server.server(), clock=FakeClock())
        other.connect("joe", "phone", "c9", "online", GrantSet(0, (JOE,)), 20, 0)
        for number in range(entries - 1):
            other.update("joe", "phone", "c9", ("unavailable", "online")[number % 2], GrantSet(0, (JOE,)))

    return empty


@pytest.fixture
def position(one):
    """An offset in the feed of the process, with its cursor."""
    connect(one)
    flap(one, 4)
    return head(one), one.cursor(head(one))


def test_an_earlier_offset_is_not_covered(one, position, empty):
    offset, cursor = position
    empty()
    assert one.read("chess", offset, 10) is None
    assert one.read("chess", offset, 10) is None
    assert one.offset("chess", cursor) is None


def test_an_earlier_cursor_that_is_looked_at_first_is_not_covered(one, position, empty):
    empty()
    assert one.offset("chess", position[1]) is None
    assert one.offset("chess", position[1]) is None


def test_an_earlier_offset_keeps_its_cursor(one, position, empty):
    offset, cursor = position
    empty()
    one.ping()
    assert one.cursor(offset) == cursor
    assert one.cursor(head(one)) != cursor


def test_the_new_feed_is_read_like_any_other(one, position, empty):
    empty()
    assert seen(one) == {JOE.puid: "unavailable"}
    offset = head(one)
    assert one.read("chess", offset, 10) == []
    assert one.offset("chess", one.cursor(offset)) == offset
    connect(one)
    assert [(entry.offset, entry.puid, entry.status) for entry in read(one, offset=offset)] == [(offset + 1, JANE.puid, "online")]
    assert head(one) == offset + 1


def test_new_entries_are_not_taken_for_those_after_an_earlier_offset(one, position, empty):
    offset, _ = position
    found = []
    one.subscribe(lambda topic, key: topic == "feed" and found.append(one.read_now("chess", offset, 10)), lambda appid: True)
    empty(entries=offset)
    connect(one)
    update(one, "unavailable")
    eventually(lambda: len(found) >= 2)
    assert [entries for entries in found if entries is not None] == []
    assert [entry.offset & 0xFF for entry in read(one, offset=head(one) - 2)] == [offset + 1, offset + 2]


def fill(client, people):
    """Write a feed with so many people, as they were added one after the other."""
    names = [f"{name}-{number}" for name, count in people.items() for number in range(1, count + 1)]
    entries = {name: f"{offset} {name} online {SECOND} explicit" for offset, name in enumerate(names, 1)}
    client.delete("dpresence:t:view:chess", "dpresence:t:log:chess", "dpresence:t:feed:chess")
    client.hset("dpresence:t:view:chess", mapping=entries)
    client.hset("dpresence:t:feed:chess", mapping={"head": len(entries), "floor": 0, "size": len(entries)})
    for number, entry in enumerate(entries.values(), 1):
        client.xadd("dpresence:t:log:chess", {"e": entry}, id=f"{number}-0")


@pytest.mark.slow
def test_a_view_whose_pages_would_be_of_two_epochs_is_refused(one, empty, redis_server, monkeypatch):
    fill(redis_server.client, {"old": 1200})
    real, pages = one._client.call, []

    def call(*operation):
        if operation[0] == "view":
            pages.append(operation)
            if len(pages) == 2:
                empty()
                fill(redis_server.client, {"new": 1500})
        return real(*operation)

    monkeypatch.setattr(one._client, "call", call)
    with pytest.raises(BackendUnavailable):
        view_and_head(one, "chess")
    view, offset = view_and_head(one, "chess")
    assert len(view) == 1500
    assert one.read("chess", offset, 10) == []
