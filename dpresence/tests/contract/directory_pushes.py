"""Contract of every directory for subscriptions to Web Push and for pushes. A part of the contract of its own; see ``directory``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.model import DuePush, Session

from .directory_values import END, KEY, NOW, PAST, PUSH, SUBSCRIPTION, application, at_once, grant

LEASE_MS, HOUR_MS = 60_000, 3_600_000


def claimed(backend, per_hour=20):
    return [due.push.id for due in backend.claim_pushes(10, LEASE_MS, per_hour, None)[0]]


def pushes(*ids):
    return [replace(PUSH, id=id_, position=number) for number, id_ in enumerate(ids, 1)]


class PushContract:
    @pytest.fixture
    def granted(self, backend, jane):
        """Return a person whose grant to an active application allows pushes."""
        app = application(backend, jane)
        backend.move_application(app.id, {"validated_scheme": "https"})
        backend.activate(app.id, KEY)
        grant(backend, app, jane)
        backend.change_grant(app.id, jane.id, {"push": True}, NOW)
        return jane

    def test_a_subscription_is_stored_and_stored_again(self, backend, jane):
        mine = replace(SUBSCRIPTION, user=jane.id)
        assert backend.put_push_subscription(mine, 10) == mine
        later = replace(mine, label="Mine", session=b"s2", created_at=NOW + 1, expires_at=END + 1)
        assert backend.put_push_subscription(later, 10) == replace(later, created_at=NOW)
        assert list(backend.push_subscriptions(jane.id)) == [replace(later, created_at=NOW)]
        assert backend.remove_push_subscription(jane.id, mine.id) and not backend.remove_push_subscription(jane.id, mine.id)

    def test_a_browser_belongs_to_the_person_who_stored_it_last(self, backend, jane, joe):
        backend.put_push_subscription(replace(SUBSCRIPTION, user=jane.id), 10)
        stored = backend.put_push_subscription(replace(SUBSCRIPTION, user=joe.id, created_at=NOW + 1), 10)
        assert list(backend.push_subscriptions(jane.id)) == [] and list(backend.push_subscriptions(joe.id)) == [stored]
        assert stored.created_at == NOW + 1 and not backend.remove_push_subscription(jane.id, stored.id)

    def test_the_browsers_that_were_not_stored_for_longest_make_room(self, backend, jane):
        for n in (3, 1, 2):
            backend.put_push_subscription(replace(SUBSCRIPTION, id=f"b{n}", user=jane.id, expires_at=END + n), 2)
        assert {one.id for one in backend.push_subscriptions(jane.id)} == {"b2", "b3"}

    def test_a_subscription_ends_with_the_sign_out_of_its_session_but_not_with_the_end_of_its_time(self, backend, jane):
        for name in ("s1", "s2"):
            ends = PAST if name == "s2" else END
            backend.add_session(Session(name.encode(), jane.id, PAST - 1, ends))
            backend.put_push_subscription(replace(SUBSCRIPTION, id=name, user=jane.id, session=name.encode()), 10)
        backend.sweep()
        backend.end_session(b"s1")
        assert [one.id for one in backend.push_subscriptions(jane.id)] == ["s2"]
        backend.end_sessions(jane.id)
        assert list(backend.push_subscriptions(jane.id)) == []

    def test_a_subscription_stays_when_the_same_person_signs_in_again_and_ends_when_another_one_does(self, backend, jane, joe):
        backend.add_session(Session(b"s1", jane.id, NOW, END))
        backend.put_push_subscription(replace(SUBSCRIPTION, user=jane.id, session=b"s1"), 10)
        backend.add_session(Session(b"s2", jane.id, NOW + 1, END), previous=b"s1")
        assert [one.session for one in backend.push_subscriptions(jane.id)] == [b"s2"]
        backend.add_session(Session(b"s3", joe.id, NOW + 2, END), previous=b"s2")
        assert list(backend.push_subscriptions(jane.id)) == []

    def test_an_expired_subscription_is_not_returned_and_an_erasure_deletes_all(self, backend, jane):
        backend.put_push_subscription(replace(SUBSCRIPTION, user=jane.id, expires_at=PAST), 10)
        assert list(backend.push_subscriptions(jane.id)) == []
        backend.put_push_subscription(replace(SUBSCRIPTION, user=jane.id), 10)
        backend.erase(jane.id)
        assert list(backend.push_subscriptions(jane.id)) == []

    def test_what_one_application_has_pushed_at_once_delays_nothing_of_another(self, backend, granted):
        app = application(backend, granted, "app-2")
        backend.move_application(app.id, {"validated_scheme": "https"})
        backend.activate(app.id, replace(KEY, id="key-2", appid=app.id))
        grant(backend, app, granted, "puid-2")
        backend.change_grant(app.id, granted.id, {"push": True}, NOW)
        backend.add_pushes("app-1", pushes(*(f"flood-{n}" for n in range(100))), 0, 1000)
        backend.add_pushes(app.id, [replace(PUSH, id="other", puid="puid-2")], 0, 10)
        first, after = backend.claim_pushes(1, LEASE_MS, 1000, None)
        [second], _ = backend.claim_pushes(1, LEASE_MS, 1000, after)
        assert (first[0].appid, second.push.id) == ("app-1", "other")
        assert len(claimed(backend, 1000)) == 10, "alone it has all"

    def test_a_push_is_claimed_once_and_again_after_its_lease(self, backend, granted):
        backend.add_pushes("app-1", [PUSH], 0, 10)
        backend.add_pushes("app-1", [PUSH], 0, 10)
        assert backend.pushes_due()
        found = [due for dues in at_once(*[lambda: backend.claim_pushes(10, 0, 20, None)[0]] * 2) for due in dues]
        assert found[0] == DuePush(replace(found[0].push, attempts=1), granted.id, "app-1")
        assert [due.push.id for due in backend.claim_pushes(10, LEASE_MS, 20, None)[0]] == [PUSH.id] and not backend.pushes_due()
        assert claimed(backend) == []

    def test_a_push_that_is_not_due_or_whose_grant_has_ended_is_not_claimed(self, backend, granted):
        backend.add_pushes("app-1", [PUSH, replace(PUSH, id="n-2", puid="other")], LEASE_MS, 10)
        assert claimed(backend) == []
        backend.add_pushes("app-1", pushes("n-3"), 0, 10)
        backend.revoke("app-1", granted.id)
        assert claimed(backend) == [] and not backend.pushes_due()

    def test_a_pause_puts_pushes_off_until_they_are_released(self, backend, granted):
        backend.change_grant("app-1", granted.id, {"paused": True}, NOW)
        backend.add_pushes("app-1", [PUSH], 0, 10)
        assert claimed(backend) == [] and not backend.pushes_due()
        backend.change_grant("app-1", granted.id, {"paused": False}, NOW)
        backend.release_pushes(["puid-1"])
        assert claimed(backend) == [PUSH.id]

    def test_without_permission_and_after_its_time_a_push_is_deleted(self, backend, granted):
        backend.add_pushes("app-1", [replace(PUSH, id="late", expires_at=PAST)], 0, 10)
        assert claimed(backend) == []
        backend.add_pushes("app-1", [PUSH], 0, 10)
        backend.change_grant("app-1", granted.id, {"push": False}, NOW)
        assert claimed(backend) == []
        backend.change_grant("app-1", granted.id, {"push": True}, NOW)
        backend.release_pushes(["puid-1"])
        assert claimed(backend) == []

    def test_while_the_application_is_not_active_pushes_wait(self, backend, granted):
        backend.move_application("app-1", {"active": False})
        backend.add_pushes("app-1", [PUSH], 0, 10)
        assert claimed(backend) == []
        backend.add_pushes("app-1", [PUSH], 0, 10)
        assert claimed(backend) == []  # it was not deleted: the same one is not added again

    def test_of_too_many_that_wait_the_oldest_are_deleted(self, backend, granted):
        backend.add_pushes("app-1", pushes("n-1", "n-2", "n-3"), 0, 2)
        assert claimed(backend) == ["n-2", "n-3"]

    def test_later_ones_do_not_take_the_place_of_what_is_being_attempted(self, backend, granted):
        backend.add_pushes("app-1", pushes("n-1", "n-2"), 0, 2)
        attempted = backend.claim_pushes(10, LEASE_MS, 2, None)[0]
        backend.add_pushes("app-1", [replace(PUSH, id="n-3", position=3), replace(PUSH, id="n-4", position=4)], 0, 2)
        for due in attempted:
            backend.record_push_attempt(due.push, None, pushed=True)
        assert len(attempted) == 2 and claimed(backend, per_hour=2) == []

    def test_no_more_than_the_limit_are_attempted_in_an_hour(self, backend, granted):
        backend.add_pushes("app-1", pushes("n-1", "n-2", "n-3"), 0, 10)
        [first, second] = backend.claim_pushes(10, 0, 2, None)[0]
        backend.record_push_attempt(first.push, None, pushed=True)
        assert claimed(backend, per_hour=2) == ["n-2"]  # its second attempt does not count again
        backend.record_push_attempt(second.push, None, pushed=False)
        backend.add_pushes("app-1", [replace(PUSH, id="n-4"), replace(PUSH, id="n-5", position=9)], 0, 10)
        assert len(claimed(backend, per_hour=2)) == 1

    def test_an_attempt_that_fails_for_some_browsers_is_repeated_for_these(self, backend, granted):
        backend.add_pushes("app-1", [PUSH], 0, 10)
        [due] = backend.claim_pushes(10, LEASE_MS, 20, None)[0]
        backend.record_push_attempt(replace(due.push, done="b1 "), 0, pushed=True)
        [due] = backend.claim_pushes(10, LEASE_MS, 20, None)[0]
        assert due.push.done == "b1 " and due.push.attempts == 2 and due.push.pushed_at
        backend.record_push_attempt(due.push, None, pushed=False)
        backend.release_pushes(["puid-1"])
        assert claimed(backend) == []
