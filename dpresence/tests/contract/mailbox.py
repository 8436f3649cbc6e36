"""Contract of every mailbox. Subclasses give ``backend`` (empty, open), ``lost`` (its store has been lost) and ``pass_by`` (time)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import gevent
import pytest

from dpresence.backends.mailbox import SHOWN_NOW, InboxRecord, Mailbox, Queue, QueuedNotification, Record, Waiting
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.errors import BackendUnavailable
from dpresence.model import Grant, Notification
from dpresence.tests.support import body_of
from dpresence.tests.waiting import PATIENCE_SECONDS

NOW = 1_795_364_497_250
DAY = 86_400_000
SHORT = 300
"""Milliseconds that a test really waits, where the clock is the store's."""


def note(name: str, appid: str = "app-1", puid: str = "", sent_at: int = NOW) -> Notification:
    return Notification(name, appid, puid or f"puid-of-{appid}", "Chess", "Your move, Zoë ♞", "move", sent_at)


def one(
    name: str, user: str = "jane", appid: str = "app-1", ttl_ms: int = DAY, shown_until: int = SHOWN_NOW, **more: Any
) -> QueuedNotification:
    """A push of the tests: applications know a user by a PUID of their own."""
    puid = f"puid-of-{appid}" + ("" if user == "jane" else f"-{user}")
    return QueuedNotification(user, note(name, appid, **{"puid": puid, **more}), ttl_ms, shown_until)


def push(backend: Mailbox, *items: QueuedNotification | str, limit: int = 100) -> list[int]:
    """Store notifications, names standing for those of jane; returns the sizes."""
    stored = backend.enqueue([one(item) if isinstance(item, str) else item for item in items], limit)
    return [each.size for each in stored]


def grant(user: str = "jane", appid: str = "app-1", puid: str = "") -> Grant:
    return Grant(appid, puid or f"puid-of-{appid}" + ("" if user == "jane" else f"-{user}"), user, 0, 0)


def names(found: Iterable[Waiting]) -> list[str]:
    return [each.notification.id for each in found]


def kept(backend: Mailbox, user: str = "jane") -> list[str]:
    return names(backend.pending(user, 0, 10_000))


def settle(backend: Mailbox, user: str, ids: list[str], offline_to: Any = (), at: int = NOW) -> int:
    return backend.discard_received(user, ids, offline_to, at)


def waiting(backend: Mailbox, puid: str = "puid-of-app-1", user: str = "jane", shown_until: int = SHOWN_NOW) -> int:
    return backend.queue_size(user, puid, shown_until)


KEPT: InboxRecord = {"user": "jim", "position": 5, "notification": asdict(note("a")), "domain": "", "read": False, "held_until": None}
RECORD: Record = {"user": "jane", "puid": "p", "id": "a", "position": 5, "expires_at": 2 * NOW, "notification": None, "taken_at": NOW}


# one call of each method; a new method of the base is missing here until it is added
CALLS: dict[str, Callable[[Mailbox], Any]] = {
    "enqueue": lambda it: it.enqueue([one("a")], 100),
    "pending": lambda it: it.pending("jane", 0, 10),
    "undelivered_ids": lambda it: it.undelivered_ids("jane", ["a"]),
    "queue_size": lambda it: it.queue_size("jane", "puid-of-app-1", SHOWN_NOW),
    "first_position": lambda it: it.first_position("jane", "puid-of-app-1"),
    "discard_received": lambda it: it.discard_received("jane", ["a"], (), NOW),
    "cancel": lambda it: it.cancel("jane", "puid-of-app-1", "a"),
    "purge": lambda it: it.purge("jane"),
    "purge_grants": lambda it: it.purge_grants([grant()]),
    "count_undelivered": lambda it: it.count_undelivered(Queue("", ""), 10),
    "queues": lambda it: it.queues(Queue("", ""), 10),
    "records": lambda it: list(it.records()),
    "restore": lambda it: it.restore([RECORD]),
    "sweep": lambda it: it.sweep(),
    "ping": lambda it: it.ping(),
    "inbox": lambda it: it.inbox("jane", None, 10),
    "unread": lambda it: it.unread("jane"),
    "unread_ids": lambda it: it.unread_ids("jane", ["a"]),
    "mark_read": lambda it: it.mark_read("jane", ["a"]),
    "mark_read_until": lambda it: it.mark_read_until("jane", "a"),
    "remove_entry": lambda it: it.remove_entry("jane", "a"),
    "clear_inbox": lambda it: it.clear_inbox("jane"),
    "release": lambda it: it.release([("jane", "puid-of-app-1")]),
    "trim": lambda it: it.trim([("jane", "puid-of-app-1")]),
    "inbox_records": lambda it: list(it.inbox_records()),
    "restore_inbox": lambda it: it.restore_inbox([KEPT]),
}


class MailboxContract:
    def test_a_backup_contains_everything_and_restores_it(self, backend):
        push(backend, *(one(name, shown_until=0) for name in ("a", "b", "c")), one("d", user="joe"))
        settle(backend, "jane", ["b"], None, NOW)
        before, positions = list(backend.records()), [each.position for each in backend.pending("jane", 0, 10)]
        assert sorted(record["taken_at"] is None for record in before) == [False, True, True, True]
        for user in ("jane", "joe"):
            backend.purge(user)
        assert list(backend.records()) == []
        backend.restore(before)
        assert sorted(map(str, backend.records())) == sorted(map(str, before))
        assert kept(backend) == ["a", "c"] and waiting(backend, shown_until=0) == 3 and waiting(backend) == 2
        assert [each.position for each in backend.pending("jane", 0, 10)] == positions
        assert backend.enqueue([one("e")], 100)[0].position > max(record["position"] for record in before)

    def test_positions_of_later_notifications_are_higher_than_those_of_all_parts_that_were_restored(self, backend):
        push(backend, *(one(name) for name in ("a", "b", "c")))
        before = list(backend.records())
        backend.purge("jane")
        for record in reversed(before):
            backend.restore([record])
        assert kept(backend) == ["a", "b", "c"]
        assert backend.enqueue([one("d")], 100)[0].position > max(record["position"] for record in before)

    def test_undelivered_notifications_are_counted_in_parts(self, backend):
        assert backend.count_undelivered(Queue("", ""), 10) == (0, None)
        push(backend, *(one(name, shown_until=0) for name in "abc"), one("d", user="joe"), one("e", appid="app-2"))
        settle(backend, "jane", ["b"], None, NOW)  # is only counted for its application
        total, place, parts = 0, Queue("", ""), 0
        while place is not None:
            count, place = backend.count_undelivered(place, 2)
            total, parts = total + count, parts + 1
        assert (total, parts) == (4, 3 if isinstance(backend, SqlMailbox) else 2)

    @pytest.fixture
    def pass_by(self):
        """Let so many milliseconds of the store's time pass."""
        return lambda milliseconds: time.sleep(milliseconds / 1000 + 0.005)

    def test_a_notification_waits_as_it_was_pushed(self, backend):
        [stored] = backend.enqueue([one("a")], 100)
        assert stored.size == 1
        assert list(backend.pending("jane", 0, 10)) == [(stored.position, note("a"))]

    def test_nobody_else_gets_it(self, backend):
        push(backend, "a")
        assert kept(backend, "joe") == []
        assert waiting(backend, user="joe", puid="puid-of-app-1-joe") == 0

    def test_pushing_nothing_is_answered_with_nothing(self, backend):
        assert push(backend) == []

    def test_notifications_come_in_the_order_of_their_push(self, backend):
        push(backend, "b", "a")
        push(backend, one("d", appid="app-2"))
        push(backend, "c")
        assert kept(backend) == ["b", "a", "d", "c"]

    def test_positions_grow_also_after_everything_was_settled(self, backend):
        positions = []
        for name in "abcd":
            positions += [stored.position for stored in backend.enqueue([one(name), one(name * 2)], 100)]
            settle(backend, "jane", [name * 2, *([name] if name != "a" else [])])
        assert positions == sorted(set(positions))
        assert kept(backend) == ["a"]

    def test_waiting_notifications_come_in_pages_behind_a_position(self, backend):
        push(backend, *[one(f"{n}", appid=f"app-{n % 3}") for n in range(10)])
        found, after = [], 0
        for size in (4, 4, 2):
            page = backend.pending("jane", after, 4)
            assert len(page) == size
            found, after = found + names(page), page[-1].position
        assert found == [f"{n}" for n in range(10)] and list(backend.pending("jane", after, 4)) == []

    def test_a_page_is_full_though_what_is_before_it_has_expired(self, backend, pass_by):
        push(backend, *[one(f"a{n}", ttl_ms=SHORT) for n in range(5)], *[one(f"b{n}") for n in range(5)])
        pass_by(SHORT)
        assert names(backend.pending("jane", 0, 4)) == ["b0", "b1", "b2", "b3"]

    def test_sizes_are_those_of_each_queue_right_after_each_item(self, backend):
        push(backend, "a")
        assert push(backend, "b", one("c", "joe"), one("d", appid="app-2"), "e") == [2, 1, 1, 3]

    def test_a_full_queue_drops_its_oldest(self, backend):
        assert push(backend, "a", "b", "c", limit=3) == [1, 2, 3]
        assert push(backend, "d", "e", limit=3) == [3, 3]
        assert kept(backend) == ["c", "d", "e"]
        assert backend.discarded == {"expired": 0, "dropped": 2}
        assert waiting(backend) == 3

    def test_more_than_a_queue_holds_leaves_the_newest(self, backend):
        assert push(backend, "a", "b", "c", "d", limit=2) == [1, 2, 2, 2]
        assert kept(backend) == ["c", "d"]

    @pytest.mark.parametrize("expired", [0, 130])
    def test_a_limit_that_was_lowered_holds_from_the_next_push_on(self, backend, pass_by, expired):
        push(backend, *[one(f"expired-{n}", ttl_ms=SHORT) for n in range(expired)], limit=1000)
        push(backend, *[f"{n}" for n in range(250)], limit=1000)
        pass_by(SHORT if expired else 0)
        assert push(backend, "a", "b", limit=3) == [3, 3]
        assert kept(backend) == ["249", "a", "b"] and waiting(backend) == 3
        assert backend.discarded == {"expired": expired, "dropped": 249}

    def test_a_full_queue_leaves_the_others_alone(self, backend):
        push(backend, "a", "b", limit=2)
        push(backend, one("c", appid="app-2"), one("d", appid="app-2"), limit=2)
        push(backend, one("e", "joe"), one("f", "joe"), limit=2)
        push(backend, "g", limit=2)
        assert kept(backend) == ["b", "c", "d", "g"]
        assert kept(backend, "joe") == ["e", "f"]

    def test_a_push_to_several_full_queues_drops_the_oldest_of_each(self, backend, pass_by):
        people = ["jane", "joe", "jim"]
        for user in people:
            push(backend, *[one(f"{user}{n}", user, ttl_ms=SHORT if (user, n) == ("joe", 1) else DAY) for n in range(3)], limit=3)
        pass_by(SHORT)
        assert push(backend, *[one(f"{user}3", user) for user in people], one("jim4", "jim"), limit=3) == [3, 3, 3, 3]
        assert [kept(backend, user) for user in people] == [
            ["jane1", "jane2", "jane3"],
            ["joe0", "joe2", "joe3"],
            ["jim2", "jim3", "jim4"],
        ]

    def test_expired_notifications_are_dropped_before_the_oldest(self, backend, pass_by):
        push(backend, "a", one("b", ttl_ms=SHORT), "c", limit=3)
        pass_by(SHORT)
        assert push(backend, "d", limit=3) == [3]
        assert kept(backend) == ["a", "c", "d"]
        assert backend.discarded == {"expired": 1, "dropped": 0}

    def test_the_first_position_is_that_of_the_oldest_that_the_application_sees_as_waiting(self, backend):
        assert backend.first_position("jane", "puid-of-app-1") is None
        places = [each.position for each in backend.enqueue([one(name) for name in "abc"], 100)]
        assert backend.first_position("jane", "puid-of-app-1") == places[0]
        settle(backend, "jane", ["a"], offline_to=None)
        assert backend.first_position("jane", "puid-of-app-1") == places[0], "received while the user is shown as offline"
        settle(backend, "jane", ["b"])
        push(backend, "d", limit=2)
        assert backend.first_position("jane", "puid-of-app-1") == places[2], "a was dropped"

    def test_a_hundred_are_pushed_in_one_go(self, backend):
        assert push(backend, *[one(f"n{n}", f"user-{n % 10}") for n in range(100)]) == [1 + n // 10 for n in range(100)]
        assert kept(backend, "user-7") == [f"n{n}" for n in range(7, 100, 10)]

    def test_pushes_at_once_keep_the_limit_and_the_order_of_each(self, backend):
        senders = [gevent.spawn(push, backend, *[f"{n}-{m}" for m in range(5)], limit=20) for n in range(8)]
        gevent.joinall(senders, timeout=PATIENCE_SECONDS, raise_error=True)
        found = kept(backend)
        assert len(found) == 20
        assert all(found[start : start + 5] == [f"{found[start][0]}-{m}" for m in range(5)] for start in range(0, 20, 5))
        assert sorted(size for sender in senders for size in sender.value) == [*range(1, 20), *[20] * 21]

    def test_an_expired_one_is_neither_pending_nor_waiting(self, backend, pass_by):
        push(backend, one("a", ttl_ms=SHORT), "b")
        pass_by(SHORT)
        assert kept(backend) == ["b"]
        assert waiting(backend) == 1

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_a_sender_whose_clock_is_wrong_changes_nothing(self, backend, pass_by, hours):
        sent_at = NOW + hours * 3_600_000
        push(backend, one("short", ttl_ms=SHORT, sent_at=sent_at), one("long", sent_at=sent_at))
        assert backend.sweep() == 0
        pass_by(SHORT)
        assert backend.sweep() == 1
        assert kept(backend) == ["long"]

    def test_waiting_counts_one_application(self, backend):
        push(backend, "a", "b", one("c", appid="app-2"))
        assert [waiting(backend, f"puid-of-{appid}") for appid in ("app-1", "app-2", "app-3")] == [2, 1, 0]

    def test_one_can_ask_what_of_some_still_waits(self, backend):
        push(backend, "a", "b", one("c", "joe"))
        settle(backend, "jane", ["a"])
        assert backend.undelivered_ids("jane", ["a", "b", "c", "d"]) == {"b"}
        assert backend.undelivered_ids("jane", []) == set()

    def test_a_reachable_store_answers_a_ping(self, backend):
        assert backend.ping() is None

    def test_every_method_is_tried_on_a_lost_store(self):
        assert set(CALLS) == Mailbox.__abstractmethods__ - {"close"}

    @pytest.mark.parametrize("method", CALLS)
    def test_a_lost_store_is_unavailable_and_nothing_else(self, lost, method):
        with pytest.raises(BackendUnavailable) as caught:
            CALLS[method](lost)
        assert body_of(caught.value) == {"result": "KO", "errno": 201, "error": BackendUnavailable.text, "retry_after": 5}

    def test_closing_twice_is_harmless(self, backend):
        backend.close()
        backend.close()
