"""Contract of every directory for outcomes of notifications. A part of the contract of its own; see ``directory``."""

from __future__ import annotations

import pytest

from dpresence.backends.directory.sql import fair_claims
from dpresence.errors import NotFound
from dpresence.model.outcomes import NewFollowed

from .directory_values import NOW, application, at_once

HOUR_MS = 3_600_000


def claimed(backend, after=None):
    return [each.id for each in backend.claim_outcomes(10, 60_000, after)[0]]


class OutcomesContract:
    @pytest.fixture
    def appid(self, backend, jane):
        """Return an application that follows two notifications, ``a`` and ``b``, of one PUID."""
        appid = application(backend, jane).id
        backend.follow_outcomes(appid, [NewFollowed(id_, "p1", HOUR_MS, shown=id_ == "a") for id_ in "ab"], 60_000)
        return appid

    def test_nothing_is_followed_of_an_application_that_was_deleted(self, backend):
        with pytest.raises(NotFound):
            backend.follow_outcomes("deleted", [NewFollowed("c", "p1", HOUR_MS, shown=True)], 60_000)

    def told(self, backend, appid, after=0):
        return [(each.id, each.outcome) for each in backend.outcomes(appid, after, 100)]

    def test_outcomes_are_read_in_order_after_a_position(self, backend, appid):
        assert backend.publish_outcomes(appid, {"b": ["pushed"]}) == 1
        first = backend.outcomes(appid, 0, 1)[0]
        assert backend.publish_outcomes(appid, {"a": ["delivered", "opened"], "b": ["delivered"]}) == 3
        assert self.told(backend, appid, first.position) == [("a", "delivered"), ("a", "opened"), ("b", "delivered")]
        assert first.puid == "p1" and first.at % 1000 == 0
        last = backend.outcomes(appid, 0, 100)[-1].position
        assert backend.outcomes(appid, last, 100) == []
        assert len(backend.outcomes(appid, last + 1, 100)) == 4, "a position of a later state of the database is none"
        assert backend.outcomes(appid, last + 1, 100, restart=False) == []

    def positions(self, backend, appid):
        return [each.position for each in backend.outcomes(appid, 0, 100)]

    def test_outcomes_of_another_application_do_not_move_the_positions_of_ones_own(self, backend, appid, jane):
        other = application(backend, jane, "app-2").id
        backend.follow_outcomes(other, [NewFollowed(f"o{number}", "p2", HOUR_MS, shown=True) for number in range(5)], 60_000)
        backend.publish_outcomes(appid, {"a": ["delivered"]})
        backend.publish_outcomes(other, {f"o{number}": ["delivered", "opened"] for number in range(4)})
        backend.publish_outcomes(appid, {"b": ["expired"]})
        backend.revoke_outcomes({"p2": other})
        backend.publish_outcomes(appid, {"a": ["shown", "opened"]})
        first, *rest = self.positions(backend, appid)
        assert rest == [first + 1, first + 2, first + 3]
        assert self.positions(backend, other) == [first + 8]

    def test_a_revoke_of_several_applications_gives_each_its_next_positions(self, backend, appid, jane):
        other = application(backend, jane, "app-2").id
        backend.follow_outcomes(other, [NewFollowed("c", "p2", HOUR_MS, shown=True)], 60_000)
        assert sorted(backend.revoke_outcomes({"p1": appid, "p2": other})) == [appid, other]
        assert (self.positions(backend, appid), self.positions(backend, other)) == ([1, 2], [1])

    def test_positions_go_on_after_every_outcome_was_deleted(self, backend, appid):
        backend.publish_outcomes(appid, {"a": ["delivered", "shown", "opened"]})
        [*_, last] = self.positions(backend, appid)
        backend.trim_outcomes(appid, 0)
        assert backend.outcomes(appid, last, 100) == []
        backend.follow_outcomes(appid, [NewFollowed("c", "p1", HOUR_MS, shown=True)], 60_000)
        backend.publish_outcomes(appid, {"c": ["expired"]})
        assert [(each.id, each.position) for each in backend.outcomes(appid, last, 100)] == [("c", last + 1)]

    def test_outcomes_are_not_read_again_because_the_last_ones_were_deleted(self, backend, appid):
        backend.follow_outcomes(appid, [NewFollowed("c", "p2", HOUR_MS, shown=True)], 60_000)
        backend.publish_outcomes(appid, {"c": ["delivered"]})
        backend.publish_outcomes(appid, {"a": ["delivered"], "b": ["expired"]})
        [*_, last] = self.positions(backend, appid)
        backend.revoke_outcomes({"p1": appid})
        assert self.told(backend, appid) == [("c", "delivered")] and self.told(backend, appid, last) == []

    def test_an_outcome_is_told_once_and_none_follows_an_end_except_of_a_delivery(self, backend, appid):
        assert backend.publish_outcomes(appid, {"a": ["opened", "delivered"], "b": ["expired"]}) == 2
        assert backend.publish_outcomes(appid, {"a": ["delivered", "expired", "pushed"], "b": ["delivered", "shown", "expired"]}) == 0
        assert backend.publish_outcomes(appid, {"a": ["shown", "opened"]}) == 2
        assert self.told(backend, appid) == [("a", "delivered"), ("b", "expired"), ("a", "shown"), ("a", "opened")]

    def test_a_notification_that_is_not_followed_or_of_another_application_has_no_outcomes(self, backend, appid, jane):
        assert backend.publish_outcomes("other", {"a": ["delivered"]}) == 0 and backend.publish_outcomes(appid, {"z": ["delivered"]}) == 0
        assert backend.followed("other", "a") is None and backend.followed(appid, "z") is None

    def test_held_outcomes_are_told_in_their_order(self, backend, appid):
        assert [each.id for each in backend.hold_outcome("jane", {"p1": NOW}, ["a", "b", "z"], "delivered", 1000)] == ["a", "b"]
        backend.hold_outcome("jane", {"p1": NOW + 5}, ["b"], "opened", 1000)
        backend.hold_outcome("jane", {"p1": NOW + 9}, ["b"], "delivered", 1000)
        assert self.told(backend, appid) == []
        assert [(each.id, each.held, each.held_at) for each in backend.held_outcomes(appid, "p1", "", 10)] == [
            ("a", "delivered", NOW),
            ("b", "delivered opened", NOW + 5),
        ]
        assert [each.id for each in backend.held_outcomes(appid, "p1", "a", 10)] == ["b"]
        assert list(backend.held_outcomes(appid, "p2", "", 10)) == [] == list(backend.held_outcomes("other", "p1", "", 10))
        backend.publish_outcomes(appid, {"b": ["delivered", "opened"]})
        assert [each.id for each in backend.held_outcomes(appid, "p1", "", 10)] == ["a"]

    def test_what_may_be_published_stays_so_until_more_is_held(self, backend, appid):
        for held_at, outcome, expected in ((NOW, "delivered", NOW), (0, "delivered", 0), (0, "shown", 0), (NOW, "opened", NOW)):
            [held] = backend.hold_outcome("jane", {"p1": held_at}, ["a"], outcome, 1000)
            assert held.held_at == expected
        assert held.held == "delivered shown opened"

    def test_another_user_holds_nothing(self, backend, appid):
        assert list(backend.hold_outcome("joe", {"p2": NOW}, ["a"], "delivered", 1000)) == []
        assert list(backend.held_outcomes(appid, "p1", "", 10)) == []

    def test_a_held_outcome_is_dropped_when_the_notification_has_another_end(self, backend, appid):
        backend.hold_outcome("jane", {"p1": NOW}, ["a"], "delivered", 1000)
        backend.publish_outcomes(appid, {"a": ["expired"]})
        assert list(backend.held_outcomes(appid, "p1", "", 10)) == []
        assert list(backend.hold_outcome("jane", {"p1": NOW}, ["a"], "delivered", 1000)) == []

    @pytest.mark.parametrize("end", ["dropped", "expired"])
    def test_what_a_device_has_reported_meanwhile_is_published_in_place_of_an_end_that_was_looked_up(self, backend, appid, end):
        backend.hold_outcome("jane", {"p1": 0}, ["a"], "delivered", 1000)
        backend.publish_outcomes(appid, {"a": [end], "b": [end]})
        assert self.told(backend, appid) == [("a", "delivered"), ("b", end)]

    @pytest.mark.parametrize("end", ["replaced", "cancelled"])
    def test_an_end_that_its_sender_has_caused_is_published_whatever_a_device_has_reported(self, backend, appid, end):
        backend.hold_outcome("jane", {"p1": 0}, ["a"], "delivered", 1000)
        backend.publish_outcomes(appid, {"a": [end]})
        assert self.told(backend, appid) == [("a", end)]

    def test_a_revoke_deletes_what_was_told_and_ends_the_rest(self, backend, appid):
        backend.publish_outcomes(appid, {"a": ["delivered"], "b": ["pushed"]})
        assert list(backend.revoke_outcomes({"p1": appid, "unknown": "app-unknown"})) == [appid]
        assert list(backend.revoke_outcomes({"p1": appid})) == []
        assert self.told(backend, appid) == [("b", "revoked")]

    def test_a_notification_can_be_looked_up_with_what_was_told(self, backend, appid):
        backend.place_followed(appid, {"a": 7})
        backend.publish_outcomes(appid, {"a": ["delivered"]})
        found, told = backend.followed(appid, "a")
        assert (found.puid, found.position, found.shown, [each.outcome for each in told]) == ("p1", 7, True, ["delivered"])
        assert [each.id for each in backend.followed_waiting("p1", 10)] == ["b"]

    def test_a_notification_is_claimed_when_it_is_due_and_by_one_process(self, backend, appid):
        assert not backend.outcomes_due() and claimed(backend) == []
        backend.postpone_outcomes({"a": 0, "b": 0})
        assert backend.outcomes_due()
        assert sorted(id_ for some in at_once(*[lambda: claimed(backend)] * 3) for id_ in some) == ["a", "b"]
        assert claimed(backend) == []

    def test_what_ends_of_one_application_at_once_delays_nothing_of_another(self, backend, appid, jane):
        backend.follow_outcomes(appid, [NewFollowed(f"flood-{n}", "p1", 0, shown=False) for n in range(100)], 60_000)
        other = application(backend, jane, "app-2").id
        backend.follow_outcomes(other, [NewFollowed("other", "p2", 0, shown=False)], 60_000)
        first = claimed(backend)
        assert "other" in first and len(first) == 6
        assert len(claimed(backend)) == 10, "alone it has all"

    def test_many_applications_with_much_that_is_due_are_claimed_in_turn(self, backend, jane):
        appids = [application(backend, jane, f"app-{n:02}").id for n in range(25)]
        for appid in appids:
            backend.follow_outcomes(appid, [NewFollowed(f"{appid}-{n}", "p1", 0, shown=False) for n in range(5)], 60_000)
        found, after = [], None
        for limit in (10, 10, 60, 10):
            due, _, after = backend.claim_outcomes(limit, 60_000, after)
            found.append([each.appid for each in due])
        assert found == [appids[:10], appids[10:20], sorted(appids[20:] * 5), appids[:10]]

    def test_applications_that_follow_nothing_take_no_turn(self, backend, jane, monkeypatch):
        monkeypatch.setattr(fair_claims, "_LOOKED_AT", 2)
        appids = [application(backend, jane, f"app-{n:02}").id for n in range(7)]
        for appid in appids[4:]:
            backend.follow_outcomes(appid, [NewFollowed(f"{appid}-{n}", "p1", 0, shown=False) for n in range(5)], 60_000)
        due, _, after = backend.claim_outcomes(10, 60_000, None)
        assert ([each.appid for each in due], after) == ([appids[4]] * 5 + [appids[5]] * 5, appids[5])

    def test_a_notification_is_due_when_it_expires(self, backend, appid):
        backend.follow_outcomes(appid, [NewFollowed("c", "p1", 0, shown=False)], 60_000)
        assert claimed(backend) == ["c"]
        backend.postpone_outcomes({"c": 2**52})
        assert claimed(backend) == ["c"]

    def test_what_is_held_delays_no_check(self, backend, appid):
        backend.follow_outcomes(appid, [NewFollowed("c", "p1", 5000, shown=False)], 60_000)
        before = {id_: backend.followed(appid, id_)[0].due_at for id_ in "abc"}
        backend.hold_outcome("jane", {"p1": NOW}, ["b", "c"], "delivered", 10_000)
        after = {id_: backend.followed(appid, id_)[0].due_at for id_ in "abc"}
        assert (after["a"], after["c"]) == (before["a"], before["c"]) and after["b"] < before["b"]
        backend.hold_outcome("jane", {"p1": NOW}, ["a"], "delivered", 40_000)
        assert backend.followed(appid, "a")[0].due_at == before["a"], "it is due soon anyway"

    def test_a_lease_does_not_outlast_the_time_to_live(self, backend, appid):
        backend.follow_outcomes(appid, [NewFollowed("c", "p1", 30_000, shown=False)], 0)
        assert claimed(backend) == ["c"]
        found, _ = backend.followed(appid, "c")
        assert found.due_at == found.expires_at

    def test_the_newest_remain(self, backend, appid):
        for number in range(4):
            backend.follow_outcomes(appid, [NewFollowed(f"c{number}", "p2", HOUR_MS, shown=True)], 60_000)
            backend.publish_outcomes(appid, {f"c{number}": ["delivered"]})
        backend.trim_outcomes(appid, 2)
        assert self.told(backend, appid) == [("c2", "delivered"), ("c3", "delivered")]
        assert [backend.followed(appid, id_) is not None for id_ in ("a", "c1", "c2", "c3")] == [False, False, True, True]

    def test_parallel_outcomes_are_read_without_a_gap(self, backend, appid):
        ids = [f"d{number}" for number in range(8)]
        backend.follow_outcomes(appid, [NewFollowed(id_, "p3", HOUR_MS, shown=True) for id_ in ids], 60_000)
        seen, position = set(), 0

        def read():
            nonlocal position
            for each in backend.outcomes(appid, position, 100):
                seen.add(each.id)
                position = max(position, each.position)

        tells = [lambda id_=id_: backend.publish_outcomes(appid, {id_: ["delivered"]}) for id_ in ids]
        at_once(*[step for tell in tells for step in (tell, read)])
        read()
        assert sorted(seen) == ids
