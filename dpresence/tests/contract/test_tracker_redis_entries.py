"""Entries in the answers of Redis: the listeners of a process read what it has added without a second call, and never miss an entry."""

from __future__ import annotations

import gevent
import pytest

from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from .tracker_values import GO, JANE, connect, grant, head, read, update


class Reader:
    """Reads a feed as the fan-out does: without waiting after a signal, and with a call if that is impossible.

    :ivar calls: number of calls.
    """

    def __init__(self, backend, appid="chess"):
        self.backend, self.appid = backend, appid
        self.entries, self.calls, self.offset = [], 0, head(backend, appid)
        self._scheduled = False
        backend.subscribe(self._on_signal, lambda appid: appid == self.appid)

    def _on_signal(self, topic, key):
        if (topic, key, self._scheduled) == ("feed", self.appid, False):
            self._scheduled = True
            gevent.get_hub().loop.run_callback(self._read_now)

    def _read_now(self):
        self._scheduled = False
        found = self.backend.read_now(self.appid, self.offset, 500)
        if found is None:
            self.calls += 1
            gevent.spawn(self._read)
        else:
            self._take(found)

    def _read(self):
        self._take(self.backend.read(self.appid, self.offset, 500))

    def _take(self, found):
        self.entries += [entry for entry in found if entry.offset > self.offset]
        self.offset = max([self.offset, *(entry.offset for entry in found)])

    def has(self, *statuses):
        eventually(lambda: [entry.status for entry in self.entries] == list(statuses))
        return True


@pytest.fixture
def one(redis_server, trackers):
    return trackers(redis_server.server(), clock=FakeClock())


@pytest.fixture
def two(redis_server, trackers):
    return trackers(redis_server.server(), clock=FakeClock())


def test_a_process_reads_its_own_entries_in_the_answer(one):
    reader = Reader(one)
    connect(one)
    update(one, "unavailable")
    assert reader.has("online", "unavailable")
    assert reader.calls == 0


def test_entries_of_one_batch_are_read_in_their_order(one):
    reader = Reader(one)
    connect(one)
    statuses = ["unavailable", "online"] * 3
    gevent.joinall([gevent.spawn(update, one, status) for status in statuses])
    assert reader.has("online", *statuses)
    assert reader.calls == 0


def test_entries_of_another_process_are_read_with_a_call(one, two):
    reader = Reader(two)
    connect(one)
    assert reader.has("online")
    assert reader.calls == 1


def test_after_an_entry_of_another_process_nothing_is_skipped(one, two):
    reader = Reader(two)
    connect(one)
    connect(two, connection="c2", user="john", grants=(grant("john"),))
    update(one, "unavailable")
    assert reader.has("online", "online", "unavailable")


def test_a_signal_of_another_process_that_overtakes_the_answer_is_not_answered_by_it_alone(one):
    """The own entry 1 is in the answer, entry 2 of the other process was signalled before the answer arrived."""
    entries = one._signals.entries
    reader = Reader(one)
    connect(one)
    assert reader.has("online")
    first = list(reader.entries)
    one._signals.dispatch(["feed chess"])
    one._signals.dispatch(["feed chess"], {"chess": first})
    assert entries.after("chess", first[0].offset - 1, 10) is None


def test_nothing_is_stored_once_the_listeners_have_read(one):
    reader = Reader(one)
    connect(one)
    assert reader.has("online")
    gevent.sleep(0)
    assert one._signals.entries._feeds == {}


def test_an_application_that_no_listener_reads_is_not_in_the_answer(one):
    found = []
    one.subscribe(lambda topic, key: found.append((key, one.read_now(key, 0, 10))), lambda appid: appid == "go")
    connect(one, grants=(JANE, GO))
    eventually(lambda: len(found) == 2)
    assert found == [("chess", None), ("go", read(one, "go"))]


def test_a_revocation_is_read_with_a_call_which_omits_the_earlier_entries(one):
    reader = Reader(one)
    gevent.joinall([gevent.spawn(connect, one), gevent.spawn(one.append_revocation, JANE)])
    eventually(lambda: reader.entries)
    assert [(entry.status, entry.reason) for entry in reader.entries] == [("offline", "revoked")]
    assert reader.calls == 1


def test_a_damaged_feed_is_not_read_from_an_answer(one, redis_server):
    reader = Reader(one)
    connect(one)
    assert reader.has("online")
    redis_server.client.delete("dpresence:t:log:chess")
    found = []
    one.subscribe(lambda topic, key: found.append((topic, one.read_now("chess", reader.offset, 10))))
    update(one, "unavailable")
    eventually(lambda: ("damaged", None) in found)
    assert all(entries is None for _, entries in found)


def published(redis_server):
    """Return the number of messages that the server has published."""
    return redis_server.client.info("commandstats").get("cmdstat_publish", {"calls": 0})["calls"]


def test_a_single_process_publishes_no_message(one, redis_server):
    before = published(redis_server)
    connect(one)
    one.signal("mail", "jane")
    assert published(redis_server) == before


def test_a_process_that_joins_is_sent_signals_from_its_start_on(one, redis_server, trackers):
    two = trackers(redis_server.server(), clock=FakeClock())
    signals = []
    two.subscribe(lambda topic, key: signals.append((topic, key)))
    one.signal("mail", "jane")
    eventually(lambda: signals == [("mail", "jane")])


def test_messages_end_with_the_other_process(one, two, redis_server):
    two.close()
    eventually(lambda: redis_server.client.execute_command("PUBSUB", "NUMSUB", "dpresence:t:wakes")[1] == 1)
    before = published(redis_server)
    one.signal("mail", "jane")
    assert published(redis_server) == before


def test_a_process_whose_own_subscription_is_lost_still_publishes(one, two, redis_server):
    """The one subscription that is left is that of the other process."""
    signals = []
    two.subscribe(lambda topic, key: signals.append((topic, key)))
    one._pubsub.close()
    eventually(lambda: redis_server.client.execute_command("PUBSUB", "NUMSUB", "dpresence:t:wakes")[1] == 1)
    one.signal("mail", "jane")
    eventually(lambda: signals == [("mail", "jane")])


def test_a_process_of_an_earlier_version_is_sent_messages(one, redis_server):
    earlier = redis_server.client.pubsub()
    earlier.subscribe("dpresence:t:wakes")
    assert earlier.get_message(timeout=1)["type"] == "subscribe"
    one.signal("mail", "jane")
    assert earlier.get_message(timeout=1)["data"].decode().splitlines()[1:] == ["mail jane"]
    earlier.close()
