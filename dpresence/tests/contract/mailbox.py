"""What every mailbox must do. Subclasses give ``backend`` (empty, open) and ``lost`` (its store is gone)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent
import pytest

from dpresence.backends.mailbox import Mailbox
from dpresence.errors import BackendUnavailable
from dpresence.model import Grant, Notification

NOW = 1_795_364_497_250
END = NOW + 86_400_000


def note(name: str, appid: str = "app-1", sent_at: int = NOW, expires_at: int = END) -> Notification:
    return Notification(name, appid, f"puid-of-{appid}", "Chess", "Your move, Zoë ♞", "move", sent_at, expires_at)


def grant(user: str = "jane", appid: str = "app-1", puid: str = "") -> Grant:
    return Grant(appid, puid or f"puid-of-{appid}", user, 0, 0)


def names(notes: list[Notification]) -> list[str]:
    return [one.id for one in notes]


# one call of each method; a new method of the base is missing here until it is added
CALLS: dict[str, Callable[[Mailbox], Any]] = {
    "push": lambda it: it.push([("jane", note("a"))], 100),
    "pending": lambda it: it.pending("jane", NOW),
    "waiting": lambda it: it.waiting("jane", "app-1", NOW),
    "settle": lambda it: it.settle("jane", ["a"]),
    "purge": lambda it: it.purge("jane"),
    "purge_grants": lambda it: it.purge_grants([grant()]),
    "sweep": lambda it: it.sweep(NOW),
    "ping": lambda it: it.ping(),
}


class MailboxContract:
    def push(self, backend: Mailbox, *items: str, user: str = "jane", appid: str = "app-1", limit: int = 100) -> list[int]:
        return list(backend.push([(user, note(name, appid)) for name in items], limit))

    def test_a_notification_waits_as_it_was_pushed(self, backend):
        assert list(backend.push([("jane", note("a"))], 100)) == [1]
        assert list(backend.pending("jane", NOW)) == [note("a")]

    def test_nobody_else_gets_it(self, backend):
        self.push(backend, "a")
        assert list(backend.pending("joe", NOW)) == []
        assert backend.waiting("joe", "app-1", NOW) == 0

    def test_pushing_nothing_is_answered_with_nothing(self, backend):
        assert list(backend.push([], 100)) == []

    def test_what_was_pushed_first_comes_first(self, backend):
        self.push(backend, "b", "a")
        self.push(backend, "d", appid="app-2")
        self.push(backend, "c")
        assert names(backend.pending("jane", NOW)) == ["b", "a", "d", "c"]

    def test_the_order_holds_after_everything_was_settled(self, backend):
        self.push(backend, "a", "b")
        backend.settle("jane", ["b"])
        self.push(backend, "c")
        self.push(backend, "d")
        assert names(backend.pending("jane", NOW)) == ["a", "c", "d"]

    def test_sizes_are_those_of_each_queue_right_after_each_item(self, backend):
        self.push(backend, "a")
        items = [("jane", note("b")), ("joe", note("c")), ("jane", note("d", "app-2")), ("jane", note("e"))]
        assert list(backend.push(items, 100)) == [2, 1, 1, 3]

    def test_a_full_queue_drops_its_oldest(self, backend):
        assert self.push(backend, "a", "b", "c", limit=3) == [1, 2, 3]
        assert self.push(backend, "d", "e", limit=3) == [3, 3]
        assert names(backend.pending("jane", NOW)) == ["c", "d", "e"]
        assert backend.waiting("jane", "app-1", NOW) == 3

    def test_more_than_a_queue_holds_leaves_the_newest(self, backend):
        assert self.push(backend, "a", "b", "c", "d", limit=2) == [1, 2, 2, 2]
        assert names(backend.pending("jane", NOW)) == ["c", "d"]

    def test_a_full_queue_leaves_the_others_alone(self, backend):
        self.push(backend, "a", "b", limit=2)
        self.push(backend, "c", "d", appid="app-2", limit=2)
        self.push(backend, "e", "f", user="joe", limit=2)
        self.push(backend, "g", limit=2)
        assert names(backend.pending("jane", NOW)) == ["b", "c", "d", "g"]
        assert names(backend.pending("joe", NOW)) == ["e", "f"]

    def test_what_has_expired_is_dropped_before_the_oldest(self, backend):
        backend.push([("jane", note("a")), ("jane", note("b", expires_at=NOW + 10)), ("jane", note("c"))], 3)
        assert list(backend.push([("jane", note("d", sent_at=NOW + 10))], 3)) == [3]
        assert names(backend.pending("jane", NOW)) == ["a", "c", "d"]

    def test_a_hundred_are_pushed_in_one_go(self, backend):
        items = [(f"user-{n % 10}", note(f"n{n}")) for n in range(100)]
        assert list(backend.push(items, 100)) == [1 + n // 10 for n in range(100)]
        assert names(backend.pending("user-7", NOW)) == [f"n{n}" for n in range(7, 100, 10)]

    def test_pushes_at_once_keep_the_limit_and_the_order_of_each(self, backend):
        senders = [gevent.spawn(self.push, backend, *[f"{n}-{m}" for m in range(5)], limit=20) for n in range(8)]
        gevent.joinall(senders, timeout=10, raise_error=True)
        kept = names(backend.pending("jane", NOW))
        assert len(kept) == 20
        assert all(kept[start : start + 5] == [f"{kept[start][0]}-{m}" for m in range(5)] for start in range(0, 20, 5))
        assert sorted(size for sender in senders for size in sender.value) == [*range(1, 20), *[20] * 21]

    def test_an_expired_one_is_neither_pending_nor_waiting(self, backend):
        backend.push([("jane", note("a", expires_at=NOW + 1)), ("jane", note("b"))], 100)
        assert names(backend.pending("jane", NOW)) == ["a", "b"]
        assert backend.waiting("jane", "app-1", NOW) == 2
        assert names(backend.pending("jane", NOW + 1)) == ["b"]
        assert backend.waiting("jane", "app-1", NOW + 1) == 1

    def test_waiting_counts_one_application(self, backend):
        self.push(backend, "a", "b")
        self.push(backend, "c", appid="app-2")
        assert [backend.waiting("jane", appid, NOW) for appid in ("app-1", "app-2", "app-3")] == [2, 1, 0]

    def test_settling_discards_what_is_named_and_counts_it(self, backend):
        self.push(backend, "a", "b", "c")
        assert backend.settle("jane", ["a", "c", "unknown"]) == 2
        assert names(backend.pending("jane", NOW)) == ["b"]
        assert backend.settle("jane", ["a"]) == 0
        assert backend.settle("jane", []) == 0

    def test_of_two_who_settle_at_once_one_counts_it(self, backend):
        self.push(backend, "a")
        settled = [gevent.spawn(backend.settle, "jane", ["a"]) for _ in range(2)]
        gevent.joinall(settled, timeout=10, raise_error=True)
        assert sorted(one.value for one in settled) == [0, 1]

    def test_nobody_settles_for_another(self, backend):
        self.push(backend, "a")
        assert backend.settle("joe", ["a"]) == 0
        assert names(backend.pending("jane", NOW)) == ["a"]

    def test_purging_a_grant_leaves_the_others(self, backend):
        self.push(backend, "a", "b")
        self.push(backend, "c", appid="app-2")
        self.push(backend, "d", user="joe")
        assert backend.purge_grants([grant()]) == 2
        assert names(backend.pending("jane", NOW)) == ["c"]
        assert names(backend.pending("joe", NOW)) == ["d"]
        assert backend.purge_grants([grant()]) == 0

    def test_many_grants_are_purged_in_one_go(self, backend):
        for n in range(20):
            backend.push([(f"user-{n}", replace(note(f"n{n}-{m}"), puid=f"puid-{n}")) for m in range(5)], 100)
        assert backend.purge_grants([grant(f"user-{n}", puid=f"puid-{n}") for n in range(1, 20)]) == 95
        assert len(backend.pending("user-0", NOW)) == 5
        assert [user for user in range(1, 20) if backend.pending(f"user-{user}", NOW)] == []
        assert backend.purge_grants([]) == 0

    def test_what_waits_under_a_later_puid_of_the_same_application_stays(self, backend):
        self.push(backend, "a")
        backend.push([("jane", replace(note("b"), puid="later"))], 100)
        assert backend.purge_grants([grant()]) == 1
        assert names(backend.pending("jane", NOW)) == ["b"]

    def test_purging_a_user_takes_everything_of_hers(self, backend):
        self.push(backend, "a")
        self.push(backend, "b", appid="app-2")
        self.push(backend, "c", user="joe")
        assert backend.purge("jane") == 2
        assert list(backend.pending("jane", NOW)) == []
        assert names(backend.pending("joe", NOW)) == ["c"]

    def test_a_sweep_discards_what_has_expired_and_counts_it(self, backend):
        backend.push([("jane", note("a", expires_at=NOW + 1)), ("joe", note("b", expires_at=NOW + 1)), ("joe", note("c"))], 100)
        assert backend.sweep(NOW) == 0
        assert backend.sweep(NOW + 1) == 2
        assert backend.sweep(NOW + 1) == 0
        assert names(backend.pending("joe", NOW)) == ["c"]

    def test_a_reachable_store_answers_a_ping(self, backend):
        assert backend.ping() is None

    def test_every_method_is_tried_on_a_lost_store(self):
        assert set(CALLS) == Mailbox.__abstractmethods__ - {"close"}

    @pytest.mark.parametrize("method", CALLS)
    def test_a_lost_store_is_unavailable_and_nothing_else(self, lost, method):
        with pytest.raises(BackendUnavailable) as caught:
            CALLS[method](lost)
        assert caught.value.body() == {"result": "KO", "errno": 201, "error": BackendUnavailable.text, "retry_after": 5}

    def test_closing_twice_is_harmless(self, backend):
        backend.close()
        backend.close()
