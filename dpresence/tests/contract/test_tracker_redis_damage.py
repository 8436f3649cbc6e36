"""Keys of a Redis that are lost or broken: what is damaged concerns nobody else, begins anew, and is not read before it is whole."""

from __future__ import annotations

import gevent
import msgspec
import pytest

from dpresence.errors import BackendUnavailable
from dpresence.model import GrantSet
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from .tracker_values import GO, JANE, SignalListener, changes, connect, flap, grant, head, seen, sweep, update

T = "dpresence:t:"
JOE = grant("joe", "go")
UNSEEN = {("log", "head"), ("log", "view"), ("log", "latest")}
"""These do not look at the log."""
HARMLESS = {("gone", "lost")}
"""It goes by itself with the last revocation in the log."""
FEED_KEYS = ["feed", "view", "log", "gone"]
DAMAGE = {
    "a string": lambda client, key: client.set(key, "garbage"),
    "a list": lambda client, key: client.rpush(key, "garbage"),
    "lost": lambda client, key: None,
}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def tracker(redis_server, trackers, clock):
    return trackers(redis_server.server(), clock=clock)


@pytest.fixture
def client(redis_server):
    return redis_server.client


def damage(client, key, how):
    client.delete(key)
    DAMAGE[how](client, key)


def read_view(tracker):
    return list(tracker.view("chess"))


def refused(call, *args):
    with pytest.raises(BackendUnavailable):
        call(*args)


@pytest.mark.parametrize(("key", "how"), [(key, how) for key in FEED_KEYS for how in DAMAGE if (key, how) not in HARMLESS])
def test_a_damaged_feed_concerns_its_application_alone_and_is_whole_again_when_rebuilt(tracker, client, key, how):
    tracker.append_revocation(grant("jim"))
    connect(tracker, grants=(JANE, GO))
    flap(tracker, 3, JANE, GO)
    old = [tracker.cursor(offset) for offset in range(head(tracker) + 1)]
    listener = SignalListener(tracker)
    damage(client, f"{T}{key}:chess", how)
    tracker.append_revocation(grant("jack"))
    assert update(tracker, "online", (JANE, GO)) is True  # the feed is not all there is
    assert connect(tracker, user="joe", grants=(JOE,)).device == "phone"
    assert seen(tracker, "go") == {GO.puid: "online", JOE.puid: "online"}
    assert ("damaged", "chess") in listener.received()
    refused(read_view, tracker)
    refused(tracker.latest, "chess", [JANE.puid])
    refused(tracker.read, "chess", 0, 10)
    refused(tracker.offset, "chess", old[0])
    tracker.append_current_status(JANE, 0)
    tracker.rebuilt("chess")
    assert seen(tracker) == {JANE.puid: "online"}
    assert [tracker.offset("chess", cursor) for cursor in old] == [None] * len(old)
    start = head(tracker)
    assert tracker.offset("chess", tracker.cursor(start)) == start
    update(tracker, "unavailable", (JANE, GO))
    assert changes(tracker, offset=start) == [("unavailable", "explicit")]


@pytest.mark.parametrize(
    ("key", "call"),
    [(key, call) for key in ("feed", "view", "log") for call in ("head", "view", "latest", "read", "offset") if (key, call) not in UNSEEN],
)
def test_reading_a_damaged_feed_is_refused_and_has_it_rebuilt(tracker, client, key, call):
    connect(tracker)
    flap(tracker, 3)
    args = {"head": (), "view": (), "latest": ([JANE.puid],), "read": (2, 10), "offset": (tracker.cursor(2),)}[call]
    listener = SignalListener(tracker)
    client.set(f"{T}{key}:chess", "garbage")
    refused(lambda: list(getattr(tracker, call)("chess", *args)))
    assert ("damaged", "chess") in listener.received()


@pytest.mark.parametrize("text", ["garbage", " ", "1 p online", "x p online 1 explicit", "1 p online x explicit"])
def test_an_entry_that_cannot_be_read_has_the_feed_rebuilt(tracker, client, text):
    connect(tracker)
    listener = SignalListener(tracker)
    client.hset(f"{T}view:chess", JANE.puid, text)
    refused(read_view, tracker)
    assert ("damaged", "chess") in listener.received()
    tracker.append_current_status(JANE, 0)
    tracker.rebuilt("chess")
    client.xadd(f"{T}log:chess", {"e": text})
    refused(tracker.read, "chess", head(tracker) - 1, 10)
    tracker.append_current_status(JANE, 0)
    tracker.rebuilt("chess")
    assert seen(tracker) == {JANE.puid: "online"}


def test_a_rebuilt_feed_wakes_its_application(tracker, client):
    connect(tracker)
    client.set(f"{T}feed:chess", "garbage")
    update(tracker, "unavailable")
    listener = SignalListener(tracker)
    tracker.rebuilt("chess")
    tracker.rebuilt("chess")
    assert listener.received() == [("feed", "chess")]


def test_of_the_operations_of_a_batch_one_that_fails_fails_alone(tracker, client):
    client.set(f"{T}users:{tracker._registration.process}", "garbage")
    calls = [gevent.spawn(refused, connect, tracker)] + [gevent.spawn(tracker.append_grant, grant(f"user-{n}"), 0) for n in range(5)]
    gevent.joinall(calls, raise_error=True)
    assert len(seen(tracker)) == 5


BAD_RECORDS = {
    "no msgpack": b"\xc1garbage",
    "cut off": b"\x82\xa6status",
    "a number": msgspec.msgpack.encode(7),
    "no status": msgspec.msgpack.encode({"devices": {}}),
    "no devices": msgspec.msgpack.encode({"status": "online"}),
    "a device that is none": msgspec.msgpack.encode({"status": "online", "devices": {"phone": 7}}),
    "a device without a process": msgspec.msgpack.encode({"status": "online", "devices": {"phone": {"status": "online"}}}),
    "a status that is none": msgspec.msgpack.encode({"status": "busy", "devices": {}}),
}


@pytest.mark.parametrize("kind", [*BAD_RECORDS, "a list"])
def test_a_record_that_cannot_be_read_is_gone_and_its_devices_are_asked_to_connect_again(tracker, client, kind):
    connect(tracker)
    listener = SignalListener(tracker)
    client.delete(f"{T}user:jane")
    if kind == "a list":
        client.rpush(f"{T}user:jane", "garbage")
    else:
        client.set(f"{T}user:jane", BAD_RECORDS[kind])
    assert update(tracker, "unavailable") is False
    assert ("forgotten", "jane") in listener.received()
    assert tracker.signed_out("jane", "phone", "c1", 0) is False
    assert (tracker.status("jane"), list(tracker.devices("jane"))) == ("offline", [])
    connect(tracker, status="unavailable")
    assert changes(tracker) == [("online", "explicit"), ("unavailable", "explicit")]


def test_a_device_in_grace_whose_record_cannot_be_read_is_offline_after_it(tracker, client, clock):
    connect(tracker)
    tracker.leave("jane", "phone", "c1")
    client.set(f"{T}user:jane", "garbage")
    clock.advance(15)
    sweep(tracker)
    assert changes(tracker) == [("online", "explicit"), ("offline", "lost")]
    assert list(tracker.due()) == []


@pytest.mark.slow
def test_an_idle_device_whose_record_is_lost_is_asked_to_connect_again(tracker, client):
    for number in range(300):
        connect(tracker, user=f"user-{number}", grants=())
    connect(tracker)
    client.delete(f"{T}user:jane")
    listener = SignalListener(tracker)
    for _ in range(300):
        tracker.renew()
    forgotten = [signal for signal in listener.received() if signal[0] == "forgotten"]
    assert set(forgotten) == {("forgotten", "jane")}


def test_a_device_that_leaves_while_its_record_is_lost_is_offline_after_grace(tracker, client, clock):
    connect(tracker)
    client.delete(f"{T}user:jane")
    tracker.leave("jane", "phone", "c1")
    clock.advance(14)
    sweep(tracker)
    assert seen(tracker) == {JANE.puid: "online"}
    clock.advance(1)
    sweep(tracker)
    assert changes(tracker) == [("online", "explicit"), ("offline", "lost")]
    assert list(tracker.due()) == []


def test_a_device_that_leaves_after_it_was_signed_out_is_not_looked_for(tracker, client, clock):
    connect(tracker)
    tracker.remove("jane", "phone", GrantSet(0, (JANE,)))
    tracker.leave("jane", "phone", "c1")
    clock.advance(15)
    assert list(tracker.due()) == []


@pytest.mark.parametrize("key", ["meta", "processes"])
def test_without_what_says_who_is_there_everything_begins_anew(tracker, client, key):
    listener = SignalListener(tracker)
    connect(tracker)
    client.set(f"{T}{key}", "garbage")
    eventually(lambda: tracker.ping() is None)
    assert ("forgotten", "") in listener.received()
    connect(tracker, connection="c2")
    assert seen(tracker) == {JANE.puid: "online"}
