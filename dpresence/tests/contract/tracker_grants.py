"""Contract of every tracker: entries that follow from grants, and the times of entries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.clock import SETTLING_SECONDS
from dpresence.model import FeedEntry, GrantSet
from dpresence.tests.support import EPOCH

from .tracker_values import GO, JANE, SECOND, SignalListener, changes, connect, flap, grant, read, seen, sweep, update


class GrantContract:
    # -- grants

    @pytest.mark.parametrize("status", ["online", "unavailable", "offline"])
    def test_a_new_grant_is_reported_with_the_present_status(self, backend, clock, status):
        connect(backend, status=status, grants=())
        clock.advance(5)
        backend.append_grant(JANE, 0)
        assert read(backend) == [FeedEntry(1, JANE.puid, status, SECOND + 5000, "granted")]

    def test_a_grant_of_a_user_never_seen_is_offline(self, backend):
        backend.append_grant(JANE, 0)
        assert changes(backend) == [("offline", "granted")]

    def test_a_paused_grant_gets_no_entry(self, backend, clock):
        paused = replace(JANE, paused=True)
        connect(backend, grants=(paused, GO))
        update(backend, "unavailable", (paused, GO))
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        sweep(backend, paused, GO)
        assert changes(backend) == []
        assert len(changes(backend, "go")) == 3

    def test_a_pause_looks_like_going_offline(self, backend):
        connect(backend)
        backend.append_current_status(replace(JANE, paused=True), 0)
        assert changes(backend) == [("online", "explicit"), ("offline", "explicit")]
        assert backend.status("jane") == "online"

    def test_resuming_tells_what_was_missed_and_nothing_before_it(self, backend, clock):
        paused = replace(JANE, paused=True)
        connect(backend)
        backend.append_current_status(paused, 0)
        update(backend, "unavailable", (paused,))
        clock.advance(10)
        backend.append_current_status(replace(JANE, since=clock.now()), 0)
        assert read(backend, offset=2) == [FeedEntry(3, JANE.puid, "unavailable", SECOND + 10_000, "explicit")]

    def test_a_pause_of_somebody_offline_is_seen_by_nobody(self, backend):
        backend.append_grant(JANE, 0)
        backend.append_current_status(replace(JANE, paused=True), 0)
        backend.append_current_status(JANE, 0)
        assert changes(backend) == [("offline", "granted")]

    @pytest.mark.parametrize("paused", [True, False])
    def test_a_refresh_that_shows_nothing_new_is_reported_once(self, backend, paused):
        connect(backend)
        for _ in range(3):
            backend.append_current_status(replace(JANE, paused=paused), 0)
        assert len(changes(backend)) == 1 + paused

    def test_a_change_that_ends_where_the_application_thinks_the_user_is_tells_nothing(self, backend):
        connect(backend)
        backend.append_current_status(replace(JANE, paused=True), 0)
        update(backend, "offline", (JANE,))  # resumed, and this change overtook the refresh
        backend.append_current_status(JANE, 0)
        assert changes(backend) == [("online", "explicit"), ("offline", "explicit")]

    def test_no_user_is_seen_online_twice(self, backend):
        connect(backend)
        backend.append_current_status(replace(JANE, paused=True), 0)
        connect(backend, "laptop", "c2", "unavailable", grants=())
        backend.append_current_status(JANE, 0)
        update(backend, "unavailable", ())
        update(backend, "online", (JANE,))
        assert changes(backend) == [("online", "explicit"), ("offline", "explicit"), ("online", "explicit")]

    def test_revoking_leaves_one_entry_of_the_puid(self, backend):
        joe = grant("joe")
        connect(backend)
        connect(backend, user="joe", grants=(joe,))
        flap(backend, 3)
        backend.append_revocation(JANE)
        assert [(one.offset, one.puid, one.status, one.reason) for one in read(backend)] == [
            (2, joe.puid, "online", "explicit"),
            (6, JANE.puid, "offline", "revoked"),
        ]
        assert seen(backend) == {joe.puid: "online"}
        assert list(backend.latest("chess", [JANE.puid])) == []
        assert backend.status("jane") == "unavailable"

    def test_revoking_one_application_leaves_the_others(self, backend):
        connect(backend, grants=(JANE, GO))
        backend.append_revocation(JANE)
        assert changes(backend, "go") == [("online", "explicit")]

    def test_nothing_follows_for_a_dead_puid(self, backend):
        connect(backend)
        backend.append_revocation(JANE)
        listener = SignalListener(backend)
        backend.append_revocation(JANE)
        backend.append_grant(JANE, 0)
        backend.append_current_status(JANE, 0)
        backend.append_current_status(replace(JANE, paused=True), 0)
        update(backend, "unavailable")
        connect(backend, connection="c2")
        backend.remove("jane", "phone", GrantSet(0, (JANE,)))
        assert changes(backend) == [("offline", "revoked")]
        assert seen(backend) == {}
        assert listener.received() == []

    def test_a_grant_that_was_never_published_can_be_revoked(self, backend):
        backend.append_revocation(JANE)
        assert changes(backend) == [("offline", "revoked")]
        assert seen(backend) == {}

    def test_granting_again_is_another_puid(self, backend):
        connect(backend)
        backend.append_revocation(JANE)
        again = replace(JANE, puid="another")
        backend.append_grant(again, 0)
        update(backend, "unavailable", (again,))
        assert [(one.puid, one.status, one.reason) for one in read(backend)] == [
            (JANE.puid, "offline", "revoked"),
            ("another", "online", "granted"),
            ("another", "unavailable", "explicit"),
        ]

    # -- times

    def test_times_are_rounded_down_to_the_second(self, backend, clock):
        clock.start = SECOND + 999
        connect(backend, grants=(replace(JANE, since=SECOND),))
        assert [one.at for one in read(backend)] == [SECOND]

    def test_no_time_lies_before_the_grant(self, backend):
        later = replace(JANE, since=EPOCH + 10_500)
        connect(backend, grants=(later,))
        backend.append_current_status(replace(later, paused=True), 0)
        assert [one.at for one in read(backend)] == [SECOND + 10_000] * 2

    def test_no_revocation_lies_before_the_grant(self, backend):
        backend.append_revocation(replace(JANE, since=EPOCH + 10_500))
        assert [one.at for one in read(backend)] == [SECOND + 10_000]

    def test_times_of_a_puid_never_go_backwards(self, backend, clock):
        connect(backend)
        clock.start -= 3_600_000
        clock.advance(1)
        update(backend, "unavailable")
        clock.advance(SETTLING_SECONDS)  # from here on the new time counts
        backend.append_current_status(replace(JANE, paused=True), 0)
        connect(backend, user="joe", grants=(grant("joe", since=0),))
        backend.append_revocation(JANE)
        assert [one.at for one in read(backend)] == [SECOND - 2_999_000, SECOND + 1000]
        assert [one.reason for one in read(backend)] == ["explicit", "revoked"]

    def test_memory_has_a_beginning(self, backend, clock):
        assert backend.remembers_since <= clock.now()
