"""Contract of every mailbox when a grant, a user or a time to live ends, or when the receipt of a notification may be shown.

A part of the contract of its own; see ``mailbox``.
"""

from __future__ import annotations

import gevent
import pytest

from dpresence.backends.mailbox import SHOWN_NOW, Queue
from dpresence.tests.waiting import PATIENCE_SECONDS

from .mailbox import NOW, SHORT, grant, kept, one, push, settle, waiting

PUID = "puid-of-app-1"


class MailboxEndsContract:
    def test_settling_discards_what_is_named_and_counts_it(self, backend):
        push(backend, "a", "b", "c")
        assert settle(backend, "jane", ["a", "c", "unknown"]) == 2
        assert kept(backend) == ["b"]
        assert settle(backend, "jane", ["a"]) == 0
        assert settle(backend, "jane", []) == 0

    def test_thousands_are_settled_with_one_call(self, backend):
        ids = [f"{n}" for n in range(300)]
        push(backend, *ids, limit=1000)
        assert settle(backend, "jane", [*ids, *(f"unknown-{n}" for n in range(9_000))]) == 300
        assert kept(backend) == []

    def test_of_two_who_settle_at_once_one_counts_it(self, backend):
        push(backend, "a")
        settled = [gevent.spawn(settle, backend, "jane", ["a"]) for _ in range(2)]
        gevent.joinall(settled, timeout=PATIENCE_SECONDS, raise_error=True)
        assert sorted(each.value for each in settled) == [0, 1]

    def test_nobody_settles_for_another(self, backend):
        push(backend, "a")
        assert settle(backend, "joe", ["a"]) == 0
        assert kept(backend) == ["a"]

    def test_purging_a_grant_leaves_the_others(self, backend):
        push(backend, "a", "b", one("c", appid="app-2"), one("d", "joe"))
        assert backend.purge_grants([grant()]) == 2
        assert kept(backend) == ["c"]
        assert kept(backend, "joe") == ["d"]
        assert backend.purge_grants([grant()]) == 0

    def test_many_grants_are_purged_in_one_go(self, backend):
        for n in range(20):
            push(backend, *[one(f"n{n}-{m}", f"user-{n}", puid=f"puid-{n}") for m in range(5 + 40 * (n == 7))])
        assert backend.purge_grants([grant(f"user-{n}", puid=f"puid-{n}") for n in range(1, 20)]) == 135
        assert len(kept(backend, "user-0")) == 5
        assert [user for user in range(1, 20) if kept(backend, f"user-{user}")] == []
        assert backend.purge_grants([]) == 0

    def test_a_queue_of_hundreds_is_purged_as_a_whole(self, backend):
        push(backend, *[f"{n}" for n in range(350)], one("z", appid="app-2"), limit=1000)
        assert backend.purge_grants([grant(), grant(appid="app-2")]) == 351
        assert list(backend.queues(Queue("", ""), 10)) == []

    def test_notifications_under_a_later_puid_of_the_same_application_stay(self, backend):
        push(backend, "a", one("b", puid="later"))
        assert waiting(backend, "later") == 1
        assert backend.purge_grants([grant()]) == 1
        assert kept(backend) == ["b"]

    def test_purging_a_user_takes_everything_of_theirs(self, backend):
        push(backend, *[f"{n}" for n in range(250)], one("b", appid="app-2"), one("c", "joe"), limit=1000)
        settle(backend, "jane", ["0", "b"], offline_to=None)
        assert backend.purge("jane") == 249
        assert kept(backend) == [] and waiting(backend, shown_until=0) == 0
        assert kept(backend, "joe") == ["c"]
        assert backend.purge("jane") == 0

    def test_a_user_whose_name_begins_with_that_of_another_is_not_purged_with_them(self, backend):
        push(backend, "a", one("b", "jane-2"))
        assert backend.purge("jane") == 1
        assert kept(backend, "jane-2") == ["b"]

    def test_a_sweep_discards_what_has_expired_and_counts_it(self, backend, pass_by):
        push(backend, one("a", ttl_ms=SHORT), one("b", "joe", ttl_ms=SHORT), one("c", "joe"))
        assert backend.sweep() == 0
        pass_by(SHORT)
        assert backend.sweep() == 2
        assert backend.sweep() == 0
        assert kept(backend, "joe") == ["c"]
        assert backend.discarded == {"expired": 2, "dropped": 0}

    def test_a_received_notification_has_not_expired(self, backend, pass_by):
        push(backend, one("a", ttl_ms=SHORT), one("b", ttl_ms=SHORT))
        settle(backend, "jane", ["a"], offline_to=None)
        pass_by(SHORT)
        assert backend.sweep() == 2
        assert backend.discarded == {"expired": 1, "dropped": 0}

    @pytest.mark.slow
    def test_a_sweep_of_very_many_counts_them_all(self, backend, pass_by):
        for n in range(12):
            push(backend, *[one(f"n{n}-{m}", f"user-{n}", ttl_ms=SHORT) for m in range(100)])
        pass_by(SHORT)
        assert backend.sweep() == 1200
        assert list(backend.queues(Queue("", ""), 10)) == []

    def test_the_queues_that_hold_anything_come_in_pages(self, backend):
        push(backend, one("a", "u1"), one("b", "u1", "app-2"), one("c", "u2"), one("d", "u3"), one("e", "u3"), one("f", "u4"))
        settle(backend, "u2", ["c"], offline_to=None)
        settle(backend, "u4", ["f"])
        found, after = [], Queue("", "")
        while page := backend.queues(after, 2):
            found += page
            after = page[-1]
        assert found == [
            ("u1", "puid-of-app-1-u1"),
            ("u1", "puid-of-app-2-u1"),
            ("u2", "puid-of-app-1-u2"),
            ("u3", "puid-of-app-1-u3"),
        ]

    # -- what a user gets while an application is shown them as offline

    def test_a_notification_settled_unseen_is_gone_but_goes_on_counting(self, backend):
        push(backend, "a", "b", one("c", appid="app-2"))
        assert settle(backend, "jane", ["a", "c"], offline_to=[PUID]) == 2
        assert kept(backend) == ["b"]
        assert waiting(backend, shown_until=0) == 2 and waiting(backend, "puid-of-app-2", shown_until=0) == 0
        assert push(backend, one("d", shown_until=0)) == [3]
        assert settle(backend, "jane", ["a"], offline_to=None) == 0

    def test_without_names_it_is_unseen_by_all(self, backend):
        push(backend, "a", one("c", appid="app-2"))
        assert settle(backend, "jane", ["a", "c"], offline_to=None) == 2
        assert [waiting(backend, puid, shown_until=0) for puid in (PUID, "puid-of-app-2")] == [1, 1]

    def test_it_counts_until_the_application_was_shown_the_user_again(self, backend):
        push(backend, "a", "b", "c")
        settle(backend, "jane", ["a"], offline_to=None, at=NOW)
        settle(backend, "jane", ["b"], offline_to=None, at=NOW + 10)
        assert [waiting(backend, shown_until=NOW + n) for n in (0, 1, 10, 11)] == [3, 2, 2, 1]
        assert waiting(backend) == 1
        assert push(backend, one("d", shown_until=NOW + 1)) == [3]
        assert push(backend, "e") == [3]
        assert waiting(backend, shown_until=0) == 3, "what was counted no longer is gone for good"

    def test_it_counts_until_its_time_is_over(self, backend, pass_by):
        push(backend, one("a", ttl_ms=SHORT), "b")
        settle(backend, "jane", ["a", "b"], offline_to=None)
        pass_by(SHORT)
        assert waiting(backend, shown_until=0) == 1
        assert push(backend, one("c", shown_until=0)) == [2]

    def test_one_that_expired_and_is_counted_no_longer_is_subtracted_once(self, backend, pass_by):
        push(backend, *[one(f"hidden-{n}", ttl_ms=SHORT, shown_until=0) for n in range(130)], limit=1000)
        settle(backend, "jane", [f"hidden-{n}" for n in range(130)], offline_to=None)
        push(backend, *[one(f"long-{n}", shown_until=0) for n in range(3)], limit=1000)
        settle(backend, "jane", ["long-0"], offline_to=None)
        pass_by(SHORT)
        assert [waiting(backend, shown_until=until) for until in (NOW, NOW + 1, SHOWN_NOW)] == [3, 2, 2]
        assert push(backend, one("next", shown_until=NOW + 1), limit=1000) == [3]

    def test_in_a_full_queue_it_makes_room_first_when_it_is_the_oldest(self, backend):
        push(backend, one("a", shown_until=0), one("b", shown_until=0), one("c", shown_until=0), limit=3)
        settle(backend, "jane", ["a", "b"], offline_to=None)
        assert push(backend, one("d", shown_until=0), one("e", shown_until=0), limit=3) == [3, 3]
        assert kept(backend) == ["c", "d", "e"]
        settle(backend, "jane", ["d"], offline_to=None)
        assert push(backend, one("f", shown_until=0), limit=3) == [3]
        assert kept(backend) == ["e", "f"]

    def test_the_end_of_the_grant_takes_it_along(self, backend):
        push(backend, "a", "b")
        settle(backend, "jane", ["a"], offline_to=None)
        assert backend.purge_grants([grant()]) == 1
        assert waiting(backend, shown_until=0) == 0
